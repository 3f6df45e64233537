// Uses an object store with the AWS SDK for JavaScript: the operations of both services.
//
// Usage: node mediastore.mjs CONTROL_URL CONTAINERS_URL ACCESS_KEY_ID SECRET
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { MediaStore } from "@aws-sdk/client-mediastore";
import { MediaStoreData } from "@aws-sdk/client-mediastore-data";

const [controlURL, containersURL, accessKeyId, secretAccessKey] = process.argv.slice(2);
const ContainerName = "js";
const settings = (endpoint, secret = secretAccessKey) =>
  ({ endpoint, region: "us-east-1", maxAttempts: 1, credentials: { accessKeyId, secretAccessKey: secret } });
const refused = (promise, name, status) =>
  assert.rejects(promise, (e) => e.name === name && e.$metadata.httpStatusCode === status || assert.fail(`${e.name} ${e.$metadata?.httpStatusCode}`));

const control = new MediaStore(settings(controlURL));
assert.equal((await control.createContainer({ ContainerName, Tags: [{ Key: "team", Value: "news" }] })).Container.Status, "CREATING");
const { Container } = await control.describeContainer({ ContainerName });
assert.equal(Container.Status, "ACTIVE");
assert.ok((await control.listContainers({ MaxResults: 100 })).Containers.some((c) => c.Name === ContainerName));
const Resource = Container.ARN;
await control.tagResource({ Resource, Tags: [{ Key: "cost", Value: "1" }] });
await control.untagResource({ Resource, TagKeys: ["team"] });
assert.deepEqual((await control.listTagsForResource({ Resource })).Tags, [{ Key: "cost", Value: "1" }]);
const Policy = JSON.stringify({ Version: "2012-10-17", Statement: { Effect: "Allow", Principal: "*", Action: "mediastore:GetObject", Resource: Resource + "/open/*" } });
await control.putContainerPolicy({ ContainerName, Policy });
assert.equal((await control.getContainerPolicy({ ContainerName })).Policy, Policy);
await control.deleteContainerPolicy({ ContainerName });
await control.putCorsPolicy({ ContainerName, CorsPolicy: [{ AllowedOrigins: ["*"], AllowedMethods: ["GET"], AllowedHeaders: ["*"] }] });
assert.equal((await control.getCorsPolicy({ ContainerName })).CorsPolicy.length, 1);
await control.deleteCorsPolicy({ ContainerName });
await refused(control.getCorsPolicy({ ContainerName }), "CorsPolicyNotFoundException", 400);
const LifecyclePolicy = JSON.stringify({ rules: [{ definition: { path: [{ wildcard: "gone/*" }], seconds_since_create: [{ numeric: [">", 300] }] }, action: "EXPIRE" }] });
await control.putLifecyclePolicy({ ContainerName, LifecyclePolicy });
assert.equal((await control.getLifecyclePolicy({ ContainerName })).LifecyclePolicy, LifecyclePolicy);
await control.deleteLifecyclePolicy({ ContainerName });
await control.putMetricPolicy({ ContainerName, MetricPolicy: { ContainerLevelMetrics: "ENABLED" } });
assert.equal((await control.getMetricPolicy({ ContainerName })).MetricPolicy.ContainerLevelMetrics, "ENABLED");
await control.deleteMetricPolicy({ ContainerName });
await control.startAccessLogging({ ContainerName });
await control.stopAccessLogging({ ContainerName });
await refused(control.describeContainer({ ContainerName: "none" }), "ContainerNotFoundException", 400);
await refused(new MediaStore(settings(controlURL, "wrong")).listContainers({}), "InvalidSignatureException", 403);

const data = new MediaStoreData(settings(containersURL + ContainerName));
const text = async (Path, Range) => (await data.getObject({ Path, Range })).Body.transformToString();
assert.equal((await data.putObject({ Path: "a/b.ts", Body: "0123456789", ContentType: "video/mp2t" })).StorageClass, "TEMPORAL");
assert.equal(await text("a/b.ts"), "0123456789");
assert.equal(await text("/a/b.ts", "bytes=2-4"), "234");
await data.putObject({ Path: "/a/=1:2.m3u8", Body: Readable.from([Buffer.from("as it "), Buffer.from("comes")]), UploadAvailability: "STREAMING" });
assert.equal(await text("a/=1:2.m3u8"), "as it comes");
assert.equal((await data.describeObject({ Path: "a/b.ts" })).ContentLength, 10);
assert.deepEqual((await data.listItems({ Path: "a" })).Items.map((i) => i.Name), ["=1:2.m3u8", "b.ts"]);
await refused(data.getObject({ Path: "a/none" }), "ObjectNotFoundException", 404);
await refused(data.getObject({ Path: "a/b.ts", Range: "bytes=10-" }), "RequestedRangeNotSatisfiableException", 416);
await refused(new MediaStoreData(settings(containersURL + "none")).listItems({}), "ContainerNotFoundException", 404);
await refused(control.deleteContainer({ ContainerName }), "ContainerInUseException", 400);
for (const Path of ["a/b.ts", "a/=1:2.m3u8"]) await data.deleteObject({ Path });
await control.deleteContainer({ ContainerName });
console.log("good");

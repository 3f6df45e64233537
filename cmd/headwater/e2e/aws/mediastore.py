"""Uses an object store with boto3: every operation of both services.

Arguments: URL of the control plane, access key id, secret. Ends with 0 when every answer was as it should be.
"""
import json
import socket
import sys
import urllib.request

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

control_url, key, secret = sys.argv[1:]

# Names under .localhost are this machine (RFC 6761), which not every resolver knows.
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *a, **k: resolve("127.0.0.1" if str(host).endswith(".localhost") else host, *a, **k)


def client(service, url, secret=secret, key=key, **config):
    return boto3.client(service, endpoint_url=url, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret,
                        config=Config(retries={"max_attempts": 0}, **config))


def refused(code, call, **args):
    try:
        call(**args)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, e.response
        return e.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError("not refused with " + code)


def containers():
    c = client("mediastore", control_url)
    assert c.create_container(ContainerName="py", Tags=[{"Key": "team", "Value": "news"}])["Container"]["Status"] == "CREATING"
    assert refused("ContainerInUseException", c.create_container, ContainerName="py") == 400
    made = c.describe_container(ContainerName="py")["Container"]
    assert made["Status"] == "ACTIVE" and made["Endpoint"].count("/") == 2, made
    assert "py" in [x["Name"] for page in c.get_paginator("list_containers").paginate(PaginationConfig={"PageSize": 1}) for x in page["Containers"]]
    arn = made["ARN"]
    c.tag_resource(Resource=arn, Tags=[{"Key": "cost", "Value": "1"}])
    c.untag_resource(Resource=arn, TagKeys=["team"])
    assert c.list_tags_for_resource(Resource=arn)["Tags"] == [{"Key": "cost", "Value": "1"}]
    policies(c, arn)
    c.start_access_logging(ContainerName="py")
    assert c.describe_container(ContainerName="py")["Container"]["AccessLoggingEnabled"]
    c.stop_access_logging(ContainerName="py")
    assert refused("ContainerNotFoundException", c.describe_container, ContainerName="none") == 400
    assert refused("InvalidSignatureException", client("mediastore", control_url, secret="wrong").list_containers) == 403
    assert refused("UnrecognizedClientException", client("mediastore", control_url, key="AKIANOBODY").list_containers) == 403
    return c, made["Endpoint"], arn


def policies(c, arn):
    everybody = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "mediastore:GetObject", "Resource": arn + "/open/*"}]}
    c.put_container_policy(ContainerName="py", Policy=json.dumps(everybody))
    assert json.loads(c.get_container_policy(ContainerName="py")["Policy"]) == everybody
    everybody["Statement"][0]["Action"] = "mediastore:PutObject"
    refused("ValidationException", c.put_container_policy, ContainerName="py", Policy=json.dumps(everybody))
    rule = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "AllowedHeaders": ["*"], "MaxAgeSeconds": 30}
    c.put_cors_policy(ContainerName="py", CorsPolicy=[rule])
    assert c.get_cors_policy(ContainerName="py")["CorsPolicy"][0]["MaxAgeSeconds"] == 30
    c.delete_cors_policy(ContainerName="py")
    refused("CorsPolicyNotFoundException", c.get_cors_policy, ContainerName="py")
    rules = json.dumps({"rules": [{"definition": {"path": [{"wildcard": "gone/*"}], "seconds_since_create": [{"numeric": [">", 300]}]}, "action": "EXPIRE"}]})
    c.put_lifecycle_policy(ContainerName="py", LifecyclePolicy=rules)
    assert c.get_lifecycle_policy(ContainerName="py")["LifecyclePolicy"] == rules
    c.delete_lifecycle_policy(ContainerName="py")
    refused("PolicyNotFoundException", c.get_lifecycle_policy, ContainerName="py")
    c.put_metric_policy(ContainerName="py", MetricPolicy={"ContainerLevelMetrics": "ENABLED"})
    assert c.get_metric_policy(ContainerName="py")["MetricPolicy"]["ContainerLevelMetrics"] == "ENABLED"
    c.delete_metric_policy(ContainerName="py")
    refused("PolicyNotFoundException", c.get_metric_policy, ContainerName="py")


def objects(url):
    d = client("mediastore-data", url)
    put = d.put_object(Body=b"0123456789", Path="a/b.ts", ContentType="video/mp2t", CacheControl="max-age=6")
    assert put["StorageClass"] == "TEMPORAL" and len(put["ETag"]) == 64, put
    got = d.get_object(Path="a/b.ts")
    assert (got["Body"].read(), got["ContentType"], got["CacheControl"], got["ETag"]) == (b"0123456789", "video/mp2t", "max-age=6", put["ETag"]), got
    part = d.get_object(Path="a/b.ts", Range="bytes=2-4")
    assert (part["StatusCode"], part["Body"].read(), part["ContentRange"]) == (206, b"234", "bytes 2-4/10"), part
    assert refused("RequestedRangeNotSatisfiableException", d.get_object, Path="a/b.ts", Range="bytes=10-") == 416
    d.put_object(Body=b"as it comes", Path="/a/=1:2.m3u8", UploadAvailability="STREAMING")  # with the slash that the CLI's examples have
    assert d.describe_object(Path="/a/=1:2.m3u8")["ContentLength"] == 11
    assert d.get_object(Path="a/=1:2.m3u8")["Body"].read() == b"as it comes"
    assert [x["Name"] for page in d.get_paginator("list_items").paginate(Path="a", PaginationConfig={"PageSize": 1}) for x in page["Items"]] == ["=1:2.m3u8", "b.ts"]
    assert d.list_items()["Items"][0] == {"Name": "a", "Type": "FOLDER"}
    for call in (d.get_object, d.describe_object, d.delete_object):
        assert refused("ObjectNotFoundException", call, Path="a/none") == 404
    assert refused("ValidationException", d.put_object, Body=b"x", Path="a b") == 400
    assert refused("InvalidSignatureException", client("mediastore-data", url, secret="wrong").get_object, Path="a/b.ts") == 403
    refused("AccessDeniedException", client("mediastore-data", url, signature_version=UNSIGNED).get_object, Path="a/b.ts")
    d.put_object(Body=b"for all", Path="open/x")
    assert client("mediastore-data", url, signature_version=UNSIGNED).get_object(Path="open/x")["Body"].read() == b"for all"
    with urllib.request.urlopen(d.generate_presigned_url("get_object", Params={"Path": "a/b.ts"})) as answer:
        assert answer.read() == b"0123456789"
    for path in ("a/b.ts", "/a/=1:2.m3u8", "open/x"):
        d.delete_object(Path=path)
    assert d.list_items()["Items"] == []


control, endpoint, _ = containers()
by_path = "http://127.0.0.1:" + endpoint.rsplit(":", 1)[1] + "/containers/py"
for url in (endpoint, by_path):
    objects(url)
data = client("mediastore-data", endpoint)
data.put_object(Body=b"x", Path="x")
refused("ContainerInUseException", control.delete_container, ContainerName="py")
data.delete_object(Path="x")
control.delete_container_policy(ContainerName="py")
control.delete_container(ContainerName="py")
assert refused("ContainerNotFoundException", data.list_items) == 404
print("good")

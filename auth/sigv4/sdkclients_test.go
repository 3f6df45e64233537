package sigv4_test

import "headwater/auth/sigv4"

// goV1 holds requests of aws-sdk-go v1.55.8. Paths are cleaned before they are sent.
var goV1 = []vector{
	{name: "PutObject", method: "PUT", target: "/live/v%3D1/a%3Ab~c%20d%2Be.ts", host: dataHost + ":8080", stamp: "20261125T112504Z",
		headers: []string{"Content-Type: video/mp2t", "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD", "X-Amz-Storage-Class: TEMPORAL"},
		signed:  "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", body: "hello",
		signature: "a7253160cefc47305a462a334ee4a6fde9e762946021bb5d33f91b0c07815cd6"},
	{name: "GetObject of a path with slashes", method: "GET", target: "/live/a.ts", host: dataHost + ":8080", stamp: "20261125T112504Z",
		signed: "host;x-amz-date", signature: "eacddb06abb48ea8daaebd8690ecdb17f5e413678784dbf3a4197d12ea20fc53", digest: sigv4.EmptyDigest},
	{name: "ListItems", method: "GET", target: "/?MaxResults=20&NextToken=a%2Bb%2Fc%3D%3D&Path=live%2Fv%3D1%20~%2B", host: dataHost + ":8080",
		stamp: "20261125T112504Z", signed: "host;x-amz-date", digest: sigv4.EmptyDigest,
		signature: "8466ccc3514e47fe52e9cb500024ff616f5375489a0d122634c591828e3fda14"},
}

// The headers that every request of the JavaScript SDK has, but for the id, and those of a request without a body.
var (
	jsAgent = []string{"x-amz-user-agent: aws-sdk-js/3.1137.0", "amz-sdk-request: attempt=1; max=1"}
	jsEmpty = append([]string{"x-amz-content-sha256: " + sigv4.EmptyDigest}, jsAgent...)
)

const jsHost = dataHost + ":35861"

// jsV3 holds requests of @aws-sdk/client-mediastore-data 3.1138.0 (and client-mediapackagev2). It signs a body that is not a stream.
var jsV3 = []vector{
	{name: "PutObject with a slash before the path", method: "PUT", target: "//live/v%3D1/a%3Ab~c%20d%2Be%27%28x%29%21%2A.ts", host: jsHost,
		stamp: "20261125T112524Z", headers: append([]string{"content-type: video/mp2t", "x-amz-storage-class: TEMPORAL",
			"amz-sdk-invocation-id: 45815e75-0d40-44a1-b0f5-64d04dc6efd3", "x-amz-content-sha256: " + digest("hello")}, jsAgent...), body: "hello",
		signed: "amz-sdk-invocation-id;amz-sdk-request;content-length;content-type;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class;x-amz-user-agent",
		digest: digest("hello"), signature: "458adc23b83924950d8ea5437cd2d868e67ff98b99fb022abf0bcc0cd5753d19"},
	{name: "GetObject with slashes", method: "GET", target: "//live//a.ts", host: jsHost, stamp: "20261125T112524Z", digest: sigv4.EmptyDigest,
		headers:   append([]string{"range: bytes=0-9", "amz-sdk-invocation-id: 8c7ba177-47c9-4aa9-bbbe-b736b735854b"}, jsEmpty...),
		signed:    "amz-sdk-invocation-id;amz-sdk-request;host;range;x-amz-content-sha256;x-amz-date;x-amz-user-agent",
		signature: "f463be51ebcc5704f614b13796fb1d2ccf0f98bf2424c1c8962e44ae592be750"},
	{name: "ListItems", method: "GET", host: jsHost, target: "/?MaxResults=20&NextToken=a%2Bb%2Fc%3D%3D&Path=live%2Fv%3D1%20~%2B%27%28x%29%21%2A",
		stamp: "20261125T112524Z", digest: sigv4.EmptyDigest,
		headers:   append([]string{"amz-sdk-invocation-id: f1778aac-11ad-4d2c-976b-66f4aaa71bee"}, jsEmpty...),
		signed:    "amz-sdk-invocation-id;amz-sdk-request;host;x-amz-content-sha256;x-amz-date;x-amz-user-agent",
		signature: "eb66716ee118b75ae4ba5f0ddfebdf81c7d2f721632701d3721fbc6e8e64135f"},
	{name: "UntagResource", method: "DELETE", host: jsHost, stamp: "20261125T112524Z", service: "mediapackagev2", digest: sigv4.EmptyDigest,
		target: "/tags/arn%3Aaws%3Amediapackagev2%3Aeu-west-1%3A123456789012%3AchannelGroup%2Flive?tagKeys=b%20c&tagKeys=a%27%21&tagKeys=a%2A%2B",
		headers: []string{"amz-sdk-invocation-id: 461993f7-1a11-4d6b-a6f6-6492019ca3a9", "x-amz-user-agent: aws-sdk-js/3.699.0",
			"amz-sdk-request: attempt=1; max=1", "x-amz-content-sha256: " + sigv4.EmptyDigest},
		signed:    "amz-sdk-invocation-id;amz-sdk-request;host;x-amz-content-sha256;x-amz-date;x-amz-user-agent",
		signature: "4ee25c96d9190a1035901053c19c0eea8ab94b815870006e12115b29929c33ca"},
}

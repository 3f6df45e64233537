package sigv4_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/auth/sigv4"
)

const (
	dataHost    = "abcdefgh123456.data.mediastore.eu-west-1.example.com"
	controlHost = "127.0.0.1:9090"
	token       = "FwoGZXIvYXdzE//token+with/signs=="
)

// vector is a request that a client put on the wire, signed in its Authorization header with the key of the examples for
// eu-west-1.
type vector struct {
	name, method, target, host string
	headers                    []string
	stamp, service             string
	signed, signature          string
	body                       string
	digest                     string // that Verify returns
}

// wire returns the text of the request.
func (v vector) wire() string {
	lines := []string{v.method + " " + v.target + " HTTP/1.1", "Host: " + v.host, "X-Amz-Date: " + v.stamp,
		fmt.Sprintf("Authorization: AWS4-HMAC-SHA256 Credential=%s/%s/eu-west-1/%s/aws4_request, SignedHeaders=%s, Signature=%s",
			keyID, v.stamp[:8], v.service, v.signed, v.signature)}
	if v.body != "" && !strings.HasSuffix(v.body, "0\r\n\r\n") {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(v.body)))
	}
	return strings.Join(append(lines, v.headers...), "\n") + "\n\n" + v.body
}

// boto3 holds requests of boto3 1.43.11, its clock set to 2026-03-02 12:00. Headers that it does not sign are left out.
var boto3 = []vector{
	{name: "put_object", method: "PUT", target: "/live/v%3D1/a%3Ab.ts", host: dataHost + ":8080", headers: []string{
		"Content-Type: video/mp2t", "Cache-Control: max-age=6,  public", "x-amz-storage-class: TEMPORAL",
		"x-amz-upload-availability: STREAMING", "X-Amz-Content-SHA256: UNSIGNED-PAYLOAD"},
		signed:    "cache-control;content-type;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class;x-amz-upload-availability",
		signature: "043e56509bf08f4527a16a79d538795c7eeba2443cb29fd6b6f3f309731043af", body: "hello"},
	{name: "get_object with a slash before the path", method: "GET", target: "//live/a.ts", host: dataHost + ":8080",
		headers: []string{"Range: bytes=0-9"}, signed: "host;range;x-amz-date", digest: sigv4.EmptyDigest,
		signature: "71f3796c02068ccc98543c2ce78e1c99e0bf424e109c73435755ada959049503"},
	{name: "get_object with every kind of character", method: "GET", target: "/live/a~b%20c%2Bd%3De.ts", host: dataHost + ":8080",
		signed: "host;x-amz-date", signature: "9f97b825dcc3e989b20e838018d9ff82706ed62d7d9e26cdc5df472173a0e50f", digest: sigv4.EmptyDigest},
	{name: "list_items, its parameters not in order", method: "GET", host: dataHost + ":8080",
		target: "/?Path=live%2Fv%3D1&MaxResults=20&NextToken=a%2Bb%2Fc%3D%3D",
		signed: "host;x-amz-date", signature: "4781eda5362d090331b9211a5ffd58605181b4d3f4fed78dd8ec37b545b57d86", digest: sigv4.EmptyDigest},
	{name: "describe_object", method: "HEAD", target: "/live/a.ts", host: dataHost + ":8080",
		signed: "host;x-amz-date", signature: "5797eb7620ff549e4ceebb6b03b3a21b2be3077aa2e2e39383c4d395dec2fcab", digest: sigv4.EmptyDigest},
	{name: "delete_object with dots in the path", method: "DELETE", target: "/live/../a.ts", host: dataHost + ":8080",
		headers: []string{"Content-Length: 0"},
		signed:  "host;x-amz-date", signature: "8a2131eba49336a1efd16a2ee44bdc78d25d4b29f5fa01949284a75556088d9c", digest: sigv4.EmptyDigest},
	{name: "create_container", method: "POST", target: "/", host: controlHost, headers: []string{
		"X-Amz-Target: MediaStore_20170901.CreateContainer", "Content-Type: application/x-amz-json-1.1"},
		signed:    "content-type;host;x-amz-date;x-amz-target",
		signature: "cd133006a116f9f08029754605b1af65071ad7797c107c9b4436b61df3ea9ff2",
		body:      `{"ContainerName": "live", "Tags": [{"Key": "a", "Value": "b"}]}`,
		digest:    "6e6babf73b8ecf9afcddfdf240dac123968c8626314d22e432bfd105bb8e0732"},
	{name: "untag_resource of a channel", method: "DELETE", host: controlHost, service: "mediapackagev2",
		target: "/tags/arn%3Aaws%3Amediapackagev2%3Aeu-west-1%3A123456789012%3AchannelGroup%2Flive%2Fchannel%2Fone?tagKeys=b%20c&tagKeys=a~z&tagKeys=a%2Bb",
		signed: "host;x-amz-date", signature: "426468d5880cb6942c65b055584edbad7d26cffd1868533ceec6e2252bc83849", digest: sigv4.EmptyDigest},
	{name: "list_channel_groups", method: "GET", target: "/channelGroup?maxResults=2&nextToken=x%3D%3D", host: controlHost,
		service: "mediapackagev2", signed: "host;x-amz-date", digest: sigv4.EmptyDigest,
		signature: "5ca2b432067b0b37c2b9de0e7c5ec6528349272e58a67d78f4700226e9d5c9af"},
	{name: "create_channel", method: "POST", target: "/channels", host: controlHost, headers: []string{"Content-Type: application/json"},
		service: "mediapackage", signed: "content-type;host;x-amz-date",
		signature: "f9f8a68017af6a2f4a750b7b2d337cf6063f85475ab55b2bd2f509d0167e7bcd",
		body:      `{"id": "one", "description": "x"}`, digest: "ffa4d3826cbba664114f0f8ca811399655a2e949f77a6d48b56cecc71e738c12"},
}

// temporary is a request of boto3 1.43.11 with temporary credentials, at the same time.
var temporary = vector{name: "get_object", method: "GET", target: "/live/a.ts", host: dataHost,
	headers: []string{"X-Amz-Security-Token: " + token}, stamp: "20260302T120000Z", service: "mediastore",
	signed: "host;x-amz-date;x-amz-security-token", signature: "84dd492d0082a177a3cbe7d7cf240d98934539e83df8bea8ca07594f16321bb0"}

// curl holds requests of curl 7.88.1 with --aws-sigv4 and --path-as-is.
var curl = []vector{
	{name: "a path", method: "GET", target: "/live/a.ts", host: dataHost, stamp: "20261125T105459Z",
		signed: "host;x-amz-date", signature: "6a3c089ea0dfeab2a5851e521178389bce9f1ca2dfae384d94d68f22b0995683", digest: sigv4.EmptyDigest},
	{name: "a path with every kind of character", method: "GET", target: "/live/v=1/a:b~c%20d%3De.ts", host: dataHost + ":8080",
		stamp: "20261125T105459Z", signed: "host;x-amz-date", digest: sigv4.EmptyDigest,
		signature: "4140fb7b1fd082c9289380d945f2490d5865e2c7a2a5f9e741c15a8f571097a1"},
	{name: "a path with two slashes", method: "GET", target: "//live/a.ts", host: dataHost + ":8080", stamp: "20261125T105459Z",
		signed: "host;x-amz-date", signature: "1d08221462f498b7d996ff2b69dee399c6e96abce81ede34f1b535e45e10f251", digest: sigv4.EmptyDigest},
	{name: "a query not in order", method: "GET", target: "/?Path=live%2Fa&MaxResults=20", host: dataHost, stamp: "20261125T105459Z",
		signed: "host;x-amz-date", signature: "18e694aa5199a0d1c68329d43e2907c6d1e12f554aa869bbeca055fb3f563222", digest: sigv4.EmptyDigest},
	{name: "a query that is not encoded", method: "GET", target: "/?MaxResults=20&Path=live/a&NextToken=a+b~c==&e", host: dataHost,
		stamp: "20261125T105500Z", signed: "host;x-amz-date", digest: sigv4.EmptyDigest,
		signature: "36f384135a2938e002e49c840499c285764581b8439f32adc0430521831fd621"},
	{name: "an upload", method: "PUT", target: "/live/a.ts", host: dataHost, stamp: "20261125T105500Z", headers: []string{
		"x-amz-content-sha256: UNSIGNED-PAYLOAD", "Content-Type: video/mp2t", "Expect: 100-continue"}, body: "hello",
		signed: "content-type;host;x-amz-content-sha256;x-amz-date", signature: "1e8d0218ae0a61d9d003fa45ba4ca2b53c14643c422a3f1099fdd2a6cab821aa"},
	{name: "an upload in chunks, with headers signed that net/http takes away", method: "PUT", target: "/live/a.ts", host: dataHost,
		stamp: "20261125T105500Z", headers: []string{"Transfer-Encoding: chunked", "Expect: 100-continue",
			"x-amz-content-sha256: UNSIGNED-PAYLOAD", "X-Amz-Upload-Availability: STREAMING"}, body: "5\r\nhello\r\n0\r\n\r\n",
		signed:    "expect;host;transfer-encoding;x-amz-content-sha256;x-amz-date;x-amz-upload-availability",
		signature: "7ee41d3317bebc7ac64f1ca195eaee92ad2e96caac57ddf56b7778497564482b"},
	{name: "a call of the control plane", method: "POST", target: "/", host: controlHost, stamp: "20261125T105500Z", headers: []string{
		"X-Amz-Target: MediaStore_20170901.CreateContainer", "Content-Type: application/x-amz-json-1.1"},
		signed: "content-type;host;x-amz-date;x-amz-target", signature: "554d5b793d63cbd45789b548e586358d6aed46d16eadb7c9264481c632f2fd57",
		body: `{"ContainerName":"live"}`, digest: "5532baaabd7390f41a9585311c4f7f41eec11ad55d9a7f599030e2577fb971e5"},
}

func TestRequestsOfClients(t *testing.T) {
	for client, vectors := range map[string][]vector{"boto3": boto3, "curl": curl, "Go v1": goV1, "JavaScript v3": jsV3} {
		for _, v := range vectors {
			t.Run(client+" "+v.name, func(t *testing.T) {
				if v.stamp == "" {
					v.stamp = "20260302T120000Z"
				}
				if v.service == "" {
					v.service = "mediastore"
				}
				body := ""
				if v.method == "POST" {
					body = digest(v.body) // control planes read before they decide
				}
				id, err := trusting("").Verify(received(t, v.wire()), body, at(v.stamp))
				require.NoError(t, err)
				require.Equal(t, sigv4.Identity{Principal: "encoder", KeyID: keyID, Region: "eu-west-1", Service: v.service, Digest: v.digest}, id)
			})
		}
	}
}

func TestCurlMustBeToldNotToSignTheBodyOfAnUpload(t *testing.T) {
	v := vector{method: "PUT", target: "/live/a.ts", host: dataHost, stamp: "20261125T105500Z", service: "mediastore", body: "hello",
		signed: "host;x-amz-date", signature: "3df2c895599eb3e774562a907eb299aa5f93b4a04d390d719e20a1d89f1cebf0"}
	_, err := trusting("").Verify(received(t, v.wire()), "", at(v.stamp))
	refused(t, err, sigv4.ErrIncompleteSignature, sigv4.ReasonPayloadMissing)
}

// presigned holds URLs of generate_presigned_url of boto3 1.43.11 on 2026-03-02 12:00, for 300 seconds.
var presigned = []struct {
	name, method, target, signed, signature, token string
}{
	{name: "get_object", method: "GET", target: "/live/a%3Db.ts?", signed: "host",
		signature: "8a3860c6a9a9ee81cc12380057eb14896b3de2a0de588e15c99f79a1768d9cc8"},
	{name: "get_object with temporary credentials", method: "GET", signed: "host", token: token,
		target:    "/live/a%3Db.ts?X-Amz-Security-Token=FwoGZXIvYXdzE%2F%2Ftoken%2Bwith%2Fsigns%3D%3D&",
		signature: "53435c12c9600852d1c4a3d8f80f3ff66f90179ae67bdc7fd379774de72f61b5"},
	{name: "list_items", method: "GET", target: "/?Path=live&MaxResults=3&", signed: "host",
		signature: "10187b41ce4e972ff15757f2d7e677cbb781ff9ffe799fc79eda471ed035fc24"},
	{name: "put_object, which boto3 signs for a body without bytes", method: "PUT", target: "/live/a.ts?", signed: "content-type%3Bhost",
		signature: "cba7c2dec45ddb9339167ed8862eece2243cf00588b2319e8c9429f786daa888"},
}

func TestPresignedURLsOfBoto3(t *testing.T) {
	for _, p := range presigned {
		t.Run(p.name, func(t *testing.T) {
			target := p.target + "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260302%2Feu-west-1%2Fmediastore%2Faws4_request" +
				"&X-Amz-Date=20260302T120000Z&X-Amz-Expires=300&X-Amz-SignedHeaders=" + p.signed + "&X-Amz-Signature=" + p.signature
			head := p.method + " " + target + " HTTP/1.1\nHost: " + dataHost + "\nContent-Type: video/mp2t\n"
			id, err := trusting(p.token).Verify(received(t, head+"\n"), "", at("20260302T120459Z"))
			require.NoError(t, err)
			require.Equal(t, sigv4.EmptyDigest, id.Digest)
			id, err = trusting(p.token).Verify(received(t, head+"Content-Length: 5\n\nhello"), "", at("20260302T120459Z"))
			require.NoError(t, err)
			require.Equal(t, sigv4.EmptyDigest, id.Digest, "a body must be what was signed")
		})
	}
}

package sigv4_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/stretchr/testify/require"

	"headwater/auth/sigv4"
)

// serve returns the address of a server that answers what Verify says, and what the body's digest is.
func serve(t *testing.T, v sigv4.Verifier) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := v.Verify(r, "", noon)
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		sum := sha256.New()
		_, _ = io.Copy(sum, r.Body)
		w.Header().Set("Digest", hex.EncodeToString(sum.Sum(nil)))
		_ = json.NewEncoder(w).Encode(id)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// send sends a request and returns the identity that the server saw.
func send(t *testing.T, r *http.Request) sigv4.Identity {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
	var id sigv4.Identity
	if r.Method == http.MethodHead {
		return id
	}
	require.NoError(t, json.Unmarshal(body, &id))
	require.Equal(t, "encoder", id.Principal)
	if id.Digest != "" {
		require.Equal(t, resp.Header.Get("Digest"), id.Digest)
	}
	return id
}

// sdkRequests are requests that the signer of aws-sdk-go-v2 signs.
var sdkRequests = []struct {
	name, method, path, query, body string
	headers                         map[string]string
	digest                          string // signed; "" for that of the body
	chunked                         bool
}{
	{name: "an upload whose body is unsigned", method: "PUT", path: "/live/a.ts", body: "hello", digest: sigv4.UnsignedPayload,
		headers: map[string]string{"X-Amz-Content-Sha256": sigv4.UnsignedPayload, "Content-Type": "video/mp2t", "Cache-Control": "max-age=6",
			"X-Amz-Storage-Class": "TEMPORAL", "User-Agent": "aws-sdk-go-v2/1", "Amz-Sdk-Request": "attempt=1; max=3"}},
	{name: "an upload in chunks", method: "PUT", path: "/live/a.ts", body: "hello", digest: sigv4.UnsignedPayload, chunked: true,
		headers: map[string]string{"X-Amz-Content-Sha256": sigv4.UnsignedPayload, "X-Amz-Upload-Availability": "STREAMING"}},
	{name: "an upload whose body is signed", method: "PUT", path: "/live/a.ts", body: "hello",
		headers: map[string]string{"X-Amz-Content-Sha256": digest("hello")}},
	{name: "a chunked upload whose body is signed", method: "PUT", path: "/live/a.ts", body: "hello", chunked: true,
		headers: map[string]string{"X-Amz-Content-Sha256": digest("hello")}},
	{name: "a range", method: "GET", path: "/live/a.ts", headers: map[string]string{"Range": "bytes=0-9"}},
	{name: "a header that has spaces in it", method: "GET", path: "/live/a.ts", headers: map[string]string{"X-Spaces": " a   b  c"}},
	{name: "a query", method: "GET", path: "/", query: "Path=live%2Fv%3D1&MaxResults=20&NextToken=a%2Bb~c%3D%3D&b=2&b=10&b"},
	{name: "a query with a space written as a plus", method: "GET", path: "/", query: "Path=a+b"},
	{name: "a head", method: "HEAD", path: "/live/a.ts"},
	{name: "a delete", method: "DELETE", path: "/live/a.ts"},
	{name: "the root", method: "GET", path: ""},
	{name: "two slashes", method: "GET", path: "//live//a.ts"},
	{name: "dots", method: "GET", path: "/live/./x/../a.ts"},
	{name: "an equals sign and a colon", method: "GET", path: "/live/v=1/a:b.ts"},
	{name: "an equals sign and a colon, encoded", method: "GET", path: "/live/v%3D1/a%3Ab.ts"},
	{name: "a space", method: "GET", path: "/live/a%20b.ts"},
	{name: "a plus and a tilde", method: "GET", path: "/live/a+b~c.ts"},
	{name: "an ARN", method: "GET", path: "/tags/arn%3Aaws%3Amediapackagev2%3Aeu-west-1%3A123456789012%3AchannelGroup%2Flive"},
}

func TestRequestsOfTheSDK(t *testing.T) {
	for name, option := range map[string]func(*v4.SignerOptions){
		"double encoding": func(*v4.SignerOptions) {},
		"single encoding": func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true },
	} {
		for _, tt := range sdkRequests {
			for _, session := range []string{"", token} {
				t.Run(name+", "+tt.name, func(t *testing.T) {
					r, payload := sdkRequest(t, serve(t, trusting(session)), tt.method, tt.path, tt.query, tt.body, tt.headers, tt.chunked)
					if tt.digest != "" {
						payload = tt.digest
					}
					creds := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret, SessionToken: session}
					require.NoError(t, v4.NewSigner(option).SignHTTP(context.Background(), creds, r, payload, "mediastore", "eu-west-1", noon))
					id := send(t, r)
					if r.Method != http.MethodHead {
						require.Equal(t, payload != sigv4.UnsignedPayload, id.Digest != "")
					}
				})
			}
		}
	}
}

// sdkRequest returns a request that is not signed yet, and the digest of its body.
func sdkRequest(t *testing.T, server, method, path, query, body string, headers map[string]string, chunked bool) (*http.Request, string) {
	t.Helper()
	u, err := url.Parse(server + path)
	require.NoError(t, err)
	u.RawQuery = query
	r := &http.Request{Method: method, URL: u, Header: http.Header{}, Host: u.Host}
	if body != "" {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	if chunked {
		r.ContentLength = -1
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	return r, digest(body)
}

func TestPresignedURLsOfTheSDK(t *testing.T) {
	for _, tt := range []struct {
		name, method, path, body, payload, session string
		headers                                    map[string]string
	}{
		{name: "a read", method: "GET", path: "/live/v%3D1/a%20b.ts?Path=x+y", payload: sigv4.EmptyDigest},
		{name: "a read whose body is unsigned", method: "GET", path: "/live/a.ts", payload: sigv4.UnsignedPayload},
		{name: "a read with temporary credentials", method: "GET", path: "//live/a.ts", payload: sigv4.EmptyDigest, session: token},
		{name: "an upload that says that it is unsigned", method: "PUT", path: "/live/a.ts", body: "hello", payload: sigv4.UnsignedPayload,
			headers: map[string]string{"X-Amz-Content-Sha256": sigv4.UnsignedPayload, "Content-Type": "video/mp2t"}},
		{name: "an upload that does not say it", method: "PUT", path: "/live/a.ts", body: "hello", payload: sigv4.UnsignedPayload},
		{name: "an upload with settings, which go into the query", method: "PUT", path: "/live/a.ts", body: "hello", payload: sigv4.UnsignedPayload,
			headers: map[string]string{"X-Amz-Storage-Class": "TEMPORAL"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequest(tt.method, serve(t, trusting(tt.session))+tt.path, strings.NewReader(tt.body))
			require.NoError(t, err)
			for name, value := range tt.headers {
				r.Header.Set(name, value)
			}
			query := r.URL.Query()
			query.Set("X-Amz-Expires", "300")
			r.URL.RawQuery = query.Encode()
			creds := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret, SessionToken: tt.session}
			signed, headers, err := v4.NewSigner().PresignHTTP(context.Background(), creds, r, tt.payload, "mediastore", "eu-west-1", noon.Add(-time.Minute))
			require.NoError(t, err)
			again, err := http.NewRequest(tt.method, signed, strings.NewReader(tt.body))
			require.NoError(t, err)
			for name, values := range headers {
				if name != "Host" && name != "Content-Length" {
					again.Header[http.CanonicalHeaderKey(name)] = values
				}
			}
			id := send(t, again)
			require.Equal(t, tt.payload != sigv4.UnsignedPayload, id.Digest != "")
		})
	}
}

// The signer of the SDK signs neither, and could not verify what does.
func TestHeadersThatTheSDKLeavesOutMayBeSigned(t *testing.T) {
	server := serve(t, trusting(""))
	for name, chunked := range map[string]bool{"of a known length": false, "in chunks": true} {
		t.Run(name, func(t *testing.T) {
			r, _ := sdkRequest(t, server, "PUT", "/live/a.ts", "", "hello", map[string]string{"User-Agent": "Encoder/1  (x;  y)", "Expect": "100-continue"}, chunked)
			c := uploader()
			signed := http.Header{"User-Agent": {"Encoder/1 (x; y)"}, "Expect": {"100-continue"}, "Content-Length": {"5"}, "Transfer-Encoding": {"chunked"},
				"X-Amz-Date": {c.stamp}, "X-Amz-Content-Sha256": {c.payload}}
			c.names = append(c.names, "user-agent", "expect", map[bool]string{false: "content-length", true: "transfer-encoding"}[chunked])
			slices.Sort(c.names)
			c.sign(r)
			authorization(r.Header.Get("Authorization")[strings.LastIndex(r.Header.Get("Authorization"), "=")+1:], c.signature(r.Method, r.Host, signed))(r)
			require.Empty(t, send(t, r).Digest)
		})
	}
}

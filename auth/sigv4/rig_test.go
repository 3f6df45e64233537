package sigv4_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/auth/sigv4"
)

// The key of the examples in the AWS documentation, with which every vector of these tests is signed.
const (
	keyID  = "AKIDEXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// keys finds keys in a map.
type keys map[string]sigv4.Key

func (k keys) Key(id string) (sigv4.Key, bool) {
	key, ok := k[id]
	return key, ok
}

// trusting returns a verifier that knows the key of the examples, with a session token or "".
func trusting(token string) sigv4.Verifier {
	return sigv4.Verifier{
		Keys:     keys{keyID: {Secret: secret, SessionToken: token, Principal: "encoder"}},
		Services: []string{"mediastore", "mediapackage", "mediapackagev2", "service"},
	}
}

// received parses a request as a server does. wire is its text up to and with the body, lines ending with "\n".
func received(t testing.TB, wire string) *http.Request {
	t.Helper()
	head, body, _ := strings.Cut(wire, "\n\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body)))
	require.NoError(t, err)
	return r
}

// digest returns the SHA-256 of a body in hexadecimal digits.
func digest(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// at returns the time of an X-Amz-Date.
func at(stamp string) time.Time {
	t, err := time.Parse("20060102T150405Z", stamp)
	if err != nil {
		panic(err)
	}
	return t
}

// refused requires that an error is of a kind, for a reason.
func refused(t testing.TB, err, kind error, reason string) {
	t.Helper()
	require.ErrorIs(t, err, kind)
	var e *sigv4.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, reason, e.Reason)
	require.Regexp(t, `^[\w:.? -]{1,255}$`, e.Error())
}

// inOrder returns names in the order in which clients sign headers.
func inOrder(names []string) []string {
	slices.Sort(names)
	return names
}

// client signs requests as AWS describes it, in the order of its documentation. It signs what it is told to, which the
// signers of SDKs do not.
type client struct {
	id, secret, token string
	stamp             string   // X-Amz-Date
	region, service   string   // of the scope
	names             []string // of signed headers
	payload           string   // what stands for the body
	path, query       string   // in the form in which they are signed
}

// uploader signs an upload with the key of the examples.
func uploader() client {
	return client{id: keyID, secret: secret, stamp: "20260302T120000Z", region: "eu-west-1", service: "mediastore",
		names: []string{"host", "x-amz-content-sha256", "x-amz-date"}, payload: sigv4.UnsignedPayload, path: "/live/a.ts"}
}

func (c client) scope() string {
	return c.stamp[:8] + "/" + c.region + "/" + c.service + "/aws4_request"
}

// signature returns the signature of a request, whose headers are complete.
func (c client) signature(method, host string, h http.Header) string {
	text := method + "\n" + c.path + "\n" + c.query + "\n"
	for _, name := range c.names {
		if name == "host" {
			text += "host:" + host + "\n"
			continue
		}
		text += name + ":" + strings.Join(h.Values(name), ",") + "\n"
	}
	text += "\n" + strings.Join(c.names, ";") + "\n" + c.payload
	key := []byte("AWS4" + c.secret)
	for _, part := range append(strings.Split(c.scope(), "/"), "AWS4-HMAC-SHA256\n"+c.stamp+"\n"+c.scope()+"\n"+digest(text)) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}

// sign signs a request in its headers.
func (c client) sign(r *http.Request) {
	r.Header.Set("X-Amz-Date", c.stamp)
	if slices.Contains(c.names, "x-amz-content-sha256") {
		r.Header.Set("X-Amz-Content-Sha256", c.payload)
	}
	if c.token != "" {
		r.Header.Set("X-Amz-Security-Token", c.token)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+c.id+"/"+c.scope()+",SignedHeaders="+strings.Join(c.names, ";")+
		",Signature="+c.signature(r.Method, r.Host, r.Header))
}

// upload returns a PUT as a server receives it.
func upload() *http.Request {
	r := httptest.NewRequest(http.MethodPut, "/live/a.ts", strings.NewReader("hello"))
	r.Host = dataHost
	return r
}

// signedUpload returns an upload that uploader signed.
func signedUpload() *http.Request {
	r := upload()
	uploader().sign(r)
	return r
}

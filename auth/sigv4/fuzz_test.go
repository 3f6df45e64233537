package sigv4_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/auth/sigv4"
)

// soundness requires that what Verify says of a request hangs together.
func soundness(t *testing.T, r *http.Request) (accepted bool) {
	t.Helper()
	id, err := trusting("").Verify(r, "", noon)
	if err == nil {
		require.Equal(t, "encoder", id.Principal)
		require.Equal(t, keyID, id.KeyID)
		return true
	}
	var e *sigv4.Error
	require.ErrorAs(t, err, &e)
	require.Regexp(t, `^[\w:.? -]{1,255}$`, e.Error())
	require.Zero(t, id)
	return false
}

func FuzzAuthorizationHeader(f *testing.F) {
	good := signedUpload().Header.Get("Authorization")
	for _, s := range []string{good, "", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ,", strings.ReplaceAll(good, ",", ", "), "AWS4-HMAC-SHA256 Credential=////,SignedHeaders=;,Signature="} {
		f.Add(s, "20260302T120000Z", "UNSIGNED-PAYLOAD")
	}
	f.Add(good, "Mon, 02 Mar 2026 12:00:00 GMT", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
	f.Fuzz(func(t *testing.T, authorization, date, payload string) {
		r := upload()
		r.Header = http.Header{"Authorization": {authorization}, "X-Amz-Date": {date}, "X-Amz-Content-Sha256": {payload}}
		if soundness(t, r) {
			require.Contains(t, authorization, good[strings.LastIndex(good, "=")+1:], "no other signature is good for this upload")
		}
	})
}

func FuzzTarget(f *testing.F) {
	good := presign(nil).RequestURI
	for _, s := range []string{good, "", "*", "/", "//", "/?", "/?&", "/?=", "/%", "/%zz?%zz=%", "http://h", "http://h?x", "/a/../../b//./?a=1&a=0;b", good + "&" + good[strings.Index(good, "?")+1:], good + "%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		r := upload()
		r.RequestURI = target
		if soundness(t, r) {
			require.Contains(t, target, good[strings.LastIndex(good, "=")+1:], "no other signature is good for this upload")
		}
		// The same target signed in the header: the forms of any path and query are made without a panic.
		uploader().sign(r)
		r.Body = io.NopCloser(strings.NewReader("hello"))
		soundness(t, r)
	})
}

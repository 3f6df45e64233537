package sigv4_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/auth/sigv4"
)

var noon = at("20260302T120000Z")

func TestAnUnsignedRequestIsToldApart(t *testing.T) {
	_, err := trusting("").Verify(upload(), "", noon)
	refused(t, err, sigv4.ErrMissingAuthenticationToken, sigv4.ReasonUnsigned)
}

// authorization returns a change of one part of the Authorization header.
func authorization(old, new string) func(*http.Request) {
	return func(r *http.Request) {
		given := r.Header.Get("Authorization")
		if !strings.Contains(given, old) {
			panic(old)
		}
		r.Header.Set("Authorization", strings.Replace(given, old, new, 1))
	}
}

// header returns a change of a header.
func header(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[name] = values }
}

func TestRefusedHeaders(t *testing.T) {
	given := signedUpload().Header.Get("Authorization")
	signature := given[strings.Index(given, ",Signature=")+len(",Signature="):]
	for name, tt := range map[string]struct {
		change func(*http.Request)
		kind   error
		reason string
	}{
		"two Authorization headers":        {header("Authorization", given, given), sigv4.ErrIncompleteSignature, sigv4.ReasonTwice},
		"another scheme":                   {header("Authorization", "Basic ZW5jOm9sZA=="), sigv4.ErrIncompleteSignature, sigv4.ReasonAlgorithm},
		"an empty header":                  {header("Authorization", ""), sigv4.ErrIncompleteSignature, sigv4.ReasonAlgorithm},
		"Signature Version 4A":             {authorization("HMAC-SHA256", "ECDSA-P256-SHA256"), sigv4.ErrIncompleteSignature, sigv4.ReasonAlgorithm},
		"another hash":                     {authorization("SHA256", "SHA1"), sigv4.ErrIncompleteSignature, sigv4.ReasonAlgorithm},
		"nothing after the scheme":         {header("Authorization", "AWS4-HMAC-SHA256"), sigv4.ErrIncompleteSignature, sigv4.ReasonAuthorization},
		"an unknown part":                  {authorization(",Signature=", ",Signatur="), sigv4.ErrIncompleteSignature, sigv4.ReasonAuthorization},
		"a part twice":                     {authorization(",Signature=", ",Signature=,Signature="), sigv4.ErrIncompleteSignature, sigv4.ReasonTwice},
		"a comma at the end":               {authorization(given, given+","), sigv4.ErrIncompleteSignature, sigv4.ReasonAuthorization},
		"no signature":                     {authorization(",Signature="+signature, ""), sigv4.ErrIncompleteSignature, sigv4.ReasonMissing},
		"an empty list of signed headers":  {authorization("host;x-amz-content-sha256;x-amz-date", ""), sigv4.ErrIncompleteSignature, sigv4.ReasonMissing},
		"a credential of four parts":       {authorization("/eu-west-1", ""), sigv4.ErrIncompleteSignature, sigv4.ReasonCredential},
		"a credential of six parts":        {authorization("/eu-west-1", "/eu/west-1"), sigv4.ErrIncompleteSignature, sigv4.ReasonCredential},
		"a credential without a key":       {authorization(keyID+"/", "/"), sigv4.ErrIncompleteSignature, sigv4.ReasonCredential},
		"a signed header twice":            {authorization("=host", "=host;host"), sigv4.ErrIncompleteSignature, sigv4.ReasonSignedHeaders},
		"a signed header in upper case":    {authorization("=host", "=Host"), sigv4.ErrIncompleteSignature, sigv4.ReasonSignedHeaders},
		"a signed header without a name":   {authorization("=host", "=host;"), sigv4.ErrIncompleteSignature, sigv4.ReasonSignedHeaders},
		"too many signed headers":          {authorization("=host", "=host"+strings.Repeat(";x", 64)), sigv4.ErrIncompleteSignature, sigv4.ReasonTooMany},
		"a header that is too long":        {authorization("=host", "="+strings.Repeat("x", 8<<10)), sigv4.ErrIncompleteSignature, sigv4.ReasonTooLong},
		"a signature in upper case":        {authorization(signature, strings.ToUpper(signature)), sigv4.ErrIncompleteSignature, sigv4.ReasonSignature},
		"a signature that is too short":    {authorization(signature, signature[1:]), sigv4.ErrIncompleteSignature, sigv4.ReasonSignature},
		"no date":                          {header("X-Amz-Date"), sigv4.ErrIncompleteSignature, sigv4.ReasonDateMissing},
		"two dates":                        {header("X-Amz-Date", "20260302T120000Z", "20260302T120000Z"), sigv4.ErrIncompleteSignature, sigv4.ReasonTwice},
		"a date in another format":         {header("X-Amz-Date", "2026-03-02T12:00:00Z"), sigv4.ErrIncompleteSignature, sigv4.ReasonDate},
		"a date with a fraction":           {header("X-Amz-Date", "20260302T120000.5Z"), sigv4.ErrIncompleteSignature, sigv4.ReasonDate},
		"a date of another day":            {authorization("20260302", "20260301"), sigv4.ErrInvalidSignature, sigv4.ReasonScopeDate},
		"another service":                  {authorization("/mediastore/", "/s3/"), sigv4.ErrInvalidSignature, sigv4.ReasonScopeService},
		"another end of the scope":         {authorization("aws4_request", "aws5_request"), sigv4.ErrInvalidSignature, sigv4.ReasonScopeEnd},
		"another region":                   {authorization("eu-west-1", "eu-west-2"), sigv4.ErrInvalidSignature, sigv4.ReasonMismatch},
		"an unknown key":                   {authorization(keyID, "AKIDOTHER"), sigv4.ErrUnrecognizedClient, sigv4.ReasonKeyUnknown},
		"a key without a secret":           {authorization(keyID, "AKIDEMPTY"), sigv4.ErrUnrecognizedClient, sigv4.ReasonKeyUnknown},
		"a host that is not signed":        {authorization("=host;", "="), sigv4.ErrInvalidSignature, sigv4.ReasonNotSigned},
		"a date that is not signed":        {authorization(";x-amz-date", ""), sigv4.ErrInvalidSignature, sigv4.ReasonNotSigned},
		"an x-amz header that was added":   {header("X-Amz-Storage-Class", "TEMPORAL"), sigv4.ErrInvalidSignature, sigv4.ReasonNotSigned},
		"a signed header that got lost":    {authorization("=host", "=content-type;host"), sigv4.ErrInvalidSignature, sigv4.ReasonHeaderMissing},
		"a signed empty body with a body":  {header("X-Amz-Content-Sha256", sigv4.EmptyDigest), sigv4.ErrInvalidSignature, sigv4.ReasonMismatch},
		"a digest that is none":            {header("X-Amz-Content-Sha256", "x"), sigv4.ErrIncompleteSignature, sigv4.ReasonPayload},
		"signed chunks":                    {header("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), sigv4.ErrUnsupportedPayload, sigv4.ReasonAWSChunked},
		"unsigned chunks with a trailer":   {header("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"), sigv4.ErrUnsupportedPayload, sigv4.ReasonAWSChunked},
		"two tokens":                       {header("X-Amz-Security-Token", "a", "b"), sigv4.ErrIncompleteSignature, sigv4.ReasonTwice},
		"a target without a path":          {func(r *http.Request) { r.RequestURI = "*" }, sigv4.ErrIncompleteSignature, sigv4.ReasonTarget},
		"a target that is too long":        {func(r *http.Request) { r.RequestURI += strings.Repeat("a", 16<<10) }, sigv4.ErrIncompleteSignature, sigv4.ReasonTooLong},
		"too many parameters":              {func(r *http.Request) { r.RequestURI += "?" + strings.Repeat("&", 256) }, sigv4.ErrIncompleteSignature, sigv4.ReasonTooMany},
		"a signature in the query as well": {func(r *http.Request) { r.RequestURI += "?X-Amz-Signature=x" }, sigv4.ErrIncompleteSignature, sigv4.ReasonTwoSignatures},
	} {
		t.Run(name, func(t *testing.T) {
			r := signedUpload()
			tt.change(r)
			v := trusting("")
			v.Keys.(keys)["AKIDEMPTY"] = sigv4.Key{Principal: "nobody"}
			_, err := v.Verify(r, "", noon)
			refused(t, err, tt.kind, tt.reason)
		})
	}
}

func TestSignedHeadersAreBounded(t *testing.T) {
	r, c := upload(), uploader()
	r.Header.Set("X-Long", strings.Repeat("x", 64<<10))
	c.names = []string{"host", "x-amz-content-sha256", "x-amz-date", "x-long"}
	c.sign(r)
	_, err := trusting("").Verify(r, "", noon)
	refused(t, err, sigv4.ErrIncompleteSignature, sigv4.ReasonTooLong)
}

func TestAnErrorNamesThePartThatItIsAbout(t *testing.T) {
	for want, change := range map[string]func(*http.Request){
		"signature is incomplete: part_missing: Signature":                           authorization(",Signature="+uploader().signature("PUT", dataHost, signedUpload().Header), ""),
		"signature is invalid: header_must_be_signed: x-amz-meta-a?b":                header("X-Amz-Meta-A~b", "1"),
		"signature is invalid: scope_service_is_another: a??b?":                      authorization("mediastore", "a\"\x00b\xff"),
		"signature is invalid: scope_region_is_another: " + strings.Repeat("x", 100): authorization("eu-west-1", strings.Repeat("x", 1000)),
	} {
		r := signedUpload()
		change(r)
		v := trusting("")
		v.Region = "eu-west-1"
		_, err := v.Verify(r, "", noon)
		require.EqualError(t, err, want)
	}
}

// turned changes the order of the parts of the Authorization header.
func turned(r *http.Request) {
	scheme, parts, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	first, rest, _ := strings.Cut(parts, ",")
	r.Header.Set("Authorization", scheme+" "+rest+","+first)
}

func TestAcceptedHeaders(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"as signed":                   func(*http.Request) {},
		"spaces after the commas":     func(r *http.Request) { authorization(",Signed", ", Signed")(r); authorization(",Sign", ",  \tSign")(r) },
		"the parts in another order":  turned,
		"a Host among the headers":    header("Host", "other.example.com"),
		"the id that CloudFront adds": header("X-Amz-Cf-Id", "abc=="),
		"headers that others add": func(r *http.Request) {
			header("X-Amzn-Trace-Id", "Root=1")(r)
			header("X-Forwarded-For", "192.0.2.1")(r)
		},
		"the target in absolute form":        func(r *http.Request) { r.RequestURI = "http://" + dataHost + r.RequestURI },
		"a slash before the path":            func(r *http.Request) { r.RequestURI = "/" + r.RequestURI },
		"a path that was encoded on the way": func(r *http.Request) { r.RequestURI = "/live/%61.ts" },
		"an empty query":                     func(r *http.Request) { r.RequestURI += "?" },
	} {
		t.Run(name, func(t *testing.T) {
			r := signedUpload()
			change(r)
			id, err := trusting("").Verify(r, "", noon)
			require.NoError(t, err)
			require.Equal(t, sigv4.Identity{Principal: "encoder", KeyID: keyID, Region: "eu-west-1", Service: "mediastore"}, id)
		})
	}
}

func TestOneSignatureIsNotGoodForTwoResources(t *testing.T) {
	r, c := upload(), uploader()
	r.RequestURI, c.path = "/live/a%3Db", "/live/a%253Db"
	c.sign(r)
	_, err := trusting("").Verify(r, "", noon)
	require.NoError(t, err)
	for _, target := range []string{"/live/a%253Db", "/live/a%25253Db", "/live%2Fa%3Db", "/live/a%3db/", "/live/a=b"} {
		r.RequestURI = target
		_, err = trusting("").Verify(r, "", noon)
		refused(t, err, sigv4.ErrInvalidSignature, sigv4.ReasonMismatch)
	}
}

func TestAnEncodedSlashIsNotASlash(t *testing.T) {
	r := signedUpload()
	r.RequestURI = "/live%2Fa.ts"
	_, err := trusting("").Verify(r, "", noon)
	refused(t, err, sigv4.ErrInvalidSignature, sigv4.ReasonMismatch)
}

func TestQueriesAreSignedInThreeForms(t *testing.T) {
	for _, form := range []string{"a=1%202&b=x%2Fy", "a=1+2&b=x/y", "b=x/y&a=1+2"} {
		r, c := upload(), uploader()
		r.RequestURI, c.query = "/live/a.ts?b=x/y&a=1+2", form
		c.sign(r)
		_, err := trusting("").Verify(r, "", noon)
		require.NoError(t, err, form)
		r.RequestURI = "/live/a.ts?b=x/y&a=1%2B2"
		_, err = trusting("").Verify(r, "", noon)
		refused(t, err, sigv4.ErrInvalidSignature, sigv4.ReasonMismatch)
	}
}

func TestTheDateMayBeInTheDateHeader(t *testing.T) {
	for _, date := range []string{"20260302T120000Z", "Mon, 02 Mar 2026 12:00:00 GMT"} {
		r, c := upload(), uploader()
		c.names, c.payload = []string{"date", "host"}, digest("hello")
		r.Header.Set("Date", date)
		c.sign(r)
		r.Header.Del("X-Amz-Date")
		_, err := trusting("").Verify(r, digest("hello"), noon)
		require.NoError(t, err, date)
	}
}

func TestSkewIsFifteenMinutes(t *testing.T) {
	for _, tt := range []struct {
		now    time.Time
		reason string
	}{
		{now: noon.Add(-sigv4.MaxSkew - 1), reason: sigv4.ReasonFuture},
		{now: noon.Add(-sigv4.MaxSkew)},
		{now: noon.Add(sigv4.MaxSkew)},
		{now: noon.Add(sigv4.MaxSkew + 1), reason: sigv4.ReasonPast},
	} {
		_, err := trusting("").Verify(signedUpload(), "", tt.now)
		if tt.reason == "" {
			require.NoError(t, err)
			continue
		}
		refused(t, err, sigv4.ErrRequestExpired, tt.reason)
	}
}

func TestScopeAndRegion(t *testing.T) {
	v := trusting("")
	v.Region = "eu-west-1"
	_, err := v.Verify(signedUpload(), "", noon)
	require.NoError(t, err)
	v.Region = "us-east-1"
	_, err = v.Verify(signedUpload(), "", noon)
	refused(t, err, sigv4.ErrInvalidSignature, sigv4.ReasonScopeRegion)
	v.Services = nil
	_, err = v.Verify(signedUpload(), "", noon)
	refused(t, err, sigv4.ErrInvalidSignature, sigv4.ReasonScopeService)
}

func TestPayloads(t *testing.T) {
	hello := digest("hello")
	for name, tt := range map[string]struct {
		signed, read string // digests: that in the header, "" for no header; that of a body that was read
		want, reason string
	}{
		"a digest to be checked by the caller":     {signed: hello, want: hello},
		"a digest of a body that was read":         {signed: hello, read: hello, want: hello},
		"a digest of another body than was read":   {signed: hello, read: digest("other"), reason: sigv4.ReasonDigest},
		"unsigned, whatever was read":              {signed: sigv4.UnsignedPayload, read: hello},
		"no header and a body that was read":       {read: hello, want: hello},
		"no header and a body that was not read":   {reason: sigv4.ReasonPayloadMissing},
		"no header and another body that was read": {read: digest("other"), reason: sigv4.ReasonMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			r, c := upload(), uploader()
			c.payload = tt.signed
			if tt.signed == "" {
				c.names, c.payload = []string{"host", "x-amz-date"}, hello
			}
			c.sign(r)
			id, err := trusting("").Verify(r, tt.read, noon)
			if tt.reason == "" {
				require.NoError(t, err)
				require.Equal(t, tt.want, id.Digest)
				return
			}
			require.ErrorContains(t, err, tt.reason)
		})
	}
}

func TestARequestWithoutABodyHasTheDigestOfNothing(t *testing.T) {
	r, c := upload(), uploader()
	r.Body, r.ContentLength = http.NoBody, 0
	c.payload = digest("hello")
	c.sign(r)
	_, err := trusting("").Verify(r, "", noon)
	refused(t, err, sigv4.ErrInvalidSignature, sigv4.ReasonDigest)
}

func TestKeysAreChangedWithoutAGap(t *testing.T) {
	v := trusting("")
	v.Keys.(keys)["AKIDNEXT"] = sigv4.Key{Secret: "next", Principal: "encoder"}
	next := uploader()
	next.id, next.secret = "AKIDNEXT", "next"
	crossed := next
	crossed.secret = secret
	for _, c := range []client{uploader(), next} {
		r := upload()
		c.sign(r)
		id, err := v.Verify(r, "", noon)
		require.NoError(t, err)
		require.Equal(t, "encoder", id.Principal)
		require.Equal(t, c.id, id.KeyID)
	}
	r := upload()
	crossed.sign(r)
	_, err := v.Verify(r, "", noon)
	refused(t, err, sigv4.ErrInvalidSignature, sigv4.ReasonMismatch)
	delete(v.Keys.(keys), keyID)
	_, err = v.Verify(signedUpload(), "", noon)
	refused(t, err, sigv4.ErrUnrecognizedClient, sigv4.ReasonKeyUnknown)
}

func TestTemporaryCredentials(t *testing.T) {
	id, err := trusting(token).Verify(received(t, temporary.wire()), "", noon)
	require.NoError(t, err)
	require.Equal(t, sigv4.EmptyDigest, id.Digest)

	for _, known := range []string{"other", ""} {
		_, err = trusting(known).Verify(received(t, temporary.wire()), "", noon)
		refused(t, err, sigv4.ErrUnrecognizedClient, sigv4.ReasonToken)
	}
	_, err = trusting(token).Verify(signedUpload(), "", noon)
	refused(t, err, sigv4.ErrUnrecognizedClient, sigv4.ReasonToken)

	v := trusting("")
	v.Keys = keys{keyID: {Secret: secret, SessionToken: token, Expires: noon.Add(time.Second)}}
	_, err = v.Verify(received(t, temporary.wire()), "", noon)
	require.NoError(t, err)
	_, err = v.Verify(received(t, temporary.wire()), "", noon.Add(time.Second))
	refused(t, err, sigv4.ErrExpiredToken, sigv4.ReasonKeyExpired)
}

// presign returns an upload whose query is signed, after the change of a parameter; "" leaves one out.
func presign(change map[string]string) *http.Request {
	r, c := upload(), uploader()
	c.names = []string{"host"}
	params := map[string]string{"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": c.id + "/" + c.scope(), "X-Amz-Date": c.stamp,
		"X-Amz-Expires": "300", "X-Amz-SignedHeaders": "host"}
	write := func() string {
		var out []string
		for name, value := range params {
			if value != "" {
				out = append(out, name+"="+strings.ReplaceAll(value, "/", "%2F"))
			}
		}
		return strings.Join(inOrder(out), "&")
	}
	for name, value := range change {
		params[name] = value
	}
	c.query = write()
	params["X-Amz-Signature"] = c.signature(r.Method, r.Host, r.Header)
	if value, ok := change["X-Amz-Signature"]; ok {
		params["X-Amz-Signature"] = value
	}
	r.RequestURI += "?" + write()
	return r
}

func TestRefusedPresignedURLs(t *testing.T) {
	for name, tt := range map[string]struct {
		param, value string
		kind         error
		reason       string
	}{
		"another algorithm":             {"X-Amz-Algorithm", "AWS4-HMAC-SHA1", sigv4.ErrIncompleteSignature, sigv4.ReasonAlgorithm},
		"no algorithm":                  {"X-Amz-Algorithm", "", sigv4.ErrIncompleteSignature, sigv4.ReasonMissing},
		"no credential":                 {"X-Amz-Credential", "", sigv4.ErrIncompleteSignature, sigv4.ReasonMissing},
		"a credential that is none":     {"X-Amz-Credential", "x", sigv4.ErrIncompleteSignature, sigv4.ReasonCredential},
		"no date":                       {"X-Amz-Date", "", sigv4.ErrIncompleteSignature, sigv4.ReasonMissing},
		"a date that is none":           {"X-Amz-Date", "20260302", sigv4.ErrIncompleteSignature, sigv4.ReasonDate},
		"no end":                        {"X-Amz-Expires", "", sigv4.ErrIncompleteSignature, sigv4.ReasonMissing},
		"an end at once":                {"X-Amz-Expires", "0", sigv4.ErrIncompleteSignature, sigv4.ReasonExpires},
		"an end before the beginning":   {"X-Amz-Expires", "-1", sigv4.ErrIncompleteSignature, sigv4.ReasonExpires},
		"an end after more than a week": {"X-Amz-Expires", "604801", sigv4.ErrIncompleteSignature, sigv4.ReasonExpires},
		"an end that is no number":      {"X-Amz-Expires", "1h", sigv4.ErrIncompleteSignature, sigv4.ReasonExpires},
		"an end far beyond":             {"X-Amz-Expires", "99999999999999999999", sigv4.ErrIncompleteSignature, sigv4.ReasonExpires},
		"no signed headers":             {"X-Amz-SignedHeaders", "", sigv4.ErrIncompleteSignature, sigv4.ReasonMissing},
		"a host that is not signed":     {"X-Amz-SignedHeaders", "date", sigv4.ErrInvalidSignature, sigv4.ReasonNotSigned},
		"no signature":                  {"X-Amz-Signature", "", sigv4.ErrIncompleteSignature, sigv4.ReasonMissing},
		"a signature that is none":      {"X-Amz-Signature", "x", sigv4.ErrIncompleteSignature, sigv4.ReasonSignature},
		"another signature":             {"X-Amz-Signature", sigv4.EmptyDigest, sigv4.ErrInvalidSignature, sigv4.ReasonMismatch},
		"a token of nobody":             {"X-Amz-Security-Token", "x", sigv4.ErrUnrecognizedClient, sigv4.ReasonToken},
		"a digest that is none":         {"X-Amz-Content-Sha256", "x", sigv4.ErrIncompleteSignature, sigv4.ReasonPayload},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := trusting("").Verify(presign(map[string]string{tt.param: tt.value}), "", noon)
			refused(t, err, tt.kind, tt.reason)
		})
	}
	for _, more := range []string{"X-Amz-Signature=x", "X-Amz-Date=20260302T120000Z", "X-Amz-Expires=300", "X%2DAmz-Algorithm=x"} {
		r := presign(nil)
		r.RequestURI += "&" + more
		_, err := trusting("").Verify(r, "", noon)
		refused(t, err, sigv4.ErrIncompleteSignature, sigv4.ReasonTwice)
	}
	r := presign(map[string]string{"X-Amz-Security-Token": "x"})
	r.Header.Set("X-Amz-Security-Token", "x")
	_, err := trusting("").Verify(r, "", noon)
	refused(t, err, sigv4.ErrIncompleteSignature, sigv4.ReasonTwice)
}

func TestAPresignedURLLastsAsLongAsItSays(t *testing.T) {
	for _, tt := range []struct {
		expires string
		now     time.Time
		reason  string
	}{
		{"300", noon.Add(-sigv4.MaxSkew - 1), sigv4.ReasonFuture},
		{"300", noon.Add(-sigv4.MaxSkew), ""},
		{"300", noon.Add(5 * time.Minute), ""},
		{"300", noon.Add(5*time.Minute + 1), sigv4.ReasonURLExpired},
		{"1", noon.Add(time.Second), ""},
		{"604800", noon.Add(sigv4.MaxExpires), ""},
		{"604800", noon.Add(sigv4.MaxExpires + 1), sigv4.ReasonURLExpired},
	} {
		id, err := trusting("").Verify(presign(map[string]string{"X-Amz-Expires": tt.expires}), "", tt.now)
		if tt.reason == "" {
			require.NoError(t, err)
			require.Empty(t, id.Digest, "the body is unsigned")
			continue
		}
		refused(t, err, sigv4.ErrRequestExpired, tt.reason)
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	k := sigv4.Key{Secret: "s3cret", SessionToken: "t0ken", Principal: "encoder"}
	var out strings.Builder
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "key", k, "verifier", sigv4.Verifier{Keys: keys{"id": k}})
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "key", &k)
	body, err := json.Marshal(struct{ K sigv4.Key }{k})
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, verb+verb+verb, k, &k, struct{ In sigv4.Key }{k})
		fmt.Fprintf(&out, verb, trusting("t0ken"))
	}
	all := out.String() + string(body)
	for _, s := range []string{"s3cret", "t0ken", secret, fmt.Sprintf("%x", "s3cret")} {
		require.NotContains(t, all, s)
	}
	require.Contains(t, all, "encoder:***")
}

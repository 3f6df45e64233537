package auth_test

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"hash"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/auth"
)

var (
	noon    = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	rotated = auth.Credentials{Users: []auth.User{{"enc", "old"}, {"enc", "new"}, {"spare", "pw"}}}
)

const target = "/in/v1/default/1/one/a%20b.ts?x=1"

// answer is what a client makes of a challenge (RFC 7616, 3.4), with every value as it may be spoilt.
type answer struct {
	user, password, realm, nonce, uri, method, algorithm, count, cnonce, qop string
}

// header writes the answer as RFC 7616 wants it.
func (a answer) header() string {
	h := map[string]func() hash.Hash{"MD5": md5.New, "SHA-256": sha256.New}[a.algorithm]
	sum := func(parts ...string) string {
		s := h()
		fmt.Fprint(s, strings.Join(parts, ":"))
		return fmt.Sprintf("%x", s.Sum(nil))
	}
	response := sum(sum(a.user, a.realm, a.password), a.nonce, a.count, a.cnonce, a.qop, sum(a.method, a.uri))
	return fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=%s, cnonce="%s", nc=%s, qop=%s`,
		a.user, a.realm, a.nonce, a.uri, response, a.algorithm, a.cnonce, a.count, a.qop)
}

// put returns the request that the answer belongs to.
func put(header string) *http.Request {
	r := httptest.NewRequest(http.MethodPut, target, nil)
	r.Header.Set("Authorization", header)
	return r
}

// challenges returns what a refusal offers.
func challenges(t *testing.T, d auth.Decision) []string {
	t.Helper()
	var refused *auth.RefusedError
	require.ErrorAs(t, d.Err(), &refused)
	return refused.Challenge
}

// nonceOf returns the nonce of a fresh challenge.
func nonceOf(t *testing.T, d *auth.Digest, now time.Time) string {
	t.Helper()
	offered := challenges(t, d.Check(rotated, put(""), now))
	return regexp.MustCompile(`nonce="([^"]+)"`).FindStringSubmatch(offered[0])[1]
}

func good(nonce string) answer {
	return answer{user: "enc", password: "old", realm: auth.Realm, nonce: nonce, uri: target, method: http.MethodPut,
		algorithm: "MD5", count: "00000001", cnonce: "0a4f113b", qop: "auth"}
}

func TestDigestIsOfferedBeforeBasic(t *testing.T) {
	both := auth.Credentials{Users: rotated.Users, Tokens: []string{"tok"}}
	offered := challenges(t, auth.NewDigest().Check(both, put(""), noon))
	require.Len(t, offered, 4)
	require.Regexp(t, `^Digest realm="headwater", qop="auth", algorithm=SHA-256, nonce="[\w-]{54}"$`, offered[0])
	require.Regexp(t, `^Digest realm="headwater", qop="auth", algorithm=MD5, nonce="[\w-]{54}"$`, offered[1], "ffmpeg obeys the last")
	require.Equal(t, []string{`Basic realm="headwater", charset="UTF-8"`, `Bearer realm="headwater"`}, offered[2:])
}

func TestDigestIsNotOfferedWithoutAPassword(t *testing.T) {
	d := auth.NewDigest()
	require.True(t, d.Check(auth.Credentials{}, put("Digest x"), noon).Allowed, "anyone may push")
	refused := d.Check(auth.Credentials{Tokens: []string{"tok"}}, put(good("x").header()), noon)
	require.Equal(t, []string{`Bearer realm="headwater"`}, challenges(t, refused))
}

func TestBasicAndBearerGoOnBesideDigest(t *testing.T) {
	d := auth.NewDigest()
	r := put("")
	r.SetBasicAuth("enc", "new")
	require.True(t, d.Check(rotated, r, noon).Allowed)
	require.True(t, d.Check(auth.Credentials{Users: rotated.Users, Tokens: []string{"tok"}}, put("Bearer tok"), noon).Allowed)
}

func TestDigest(t *testing.T) {
	tests := []struct {
		name   string
		change func(*answer)
		reason string
	}{
		{"the old password is still valid", func(*answer) {}, auth.ReasonUser},
		{"the new password is valid already", func(a *answer) { a.password = "new" }, auth.ReasonUser},
		{"SHA-256 is as good", func(a *answer) { a.algorithm = "SHA-256" }, auth.ReasonUser},
		{"counts may come in any order", func(a *answer) { a.count = "0000ffff" }, auth.ReasonUser},
		{"the target may be written with its host", func(a *answer) { a.uri = "http://example.com" + target }, auth.ReasonUser},
		{"another user's password does not help", func(a *answer) { a.password = "pw" }, auth.ReasonBadUser},
		{"an unknown user is refused", func(a *answer) { a.user = "nobody" }, auth.ReasonBadUser},
		{"a wrong password is refused", func(a *answer) { a.password = "Old" }, auth.ReasonBadUser},
		{"an empty password is refused", func(a *answer) { a.password = "" }, auth.ReasonBadUser},
		{"an answer for another realm is refused", func(a *answer) { a.realm = "elsewhere" }, auth.ReasonBadUser},
		{"an answer for another method is refused", func(a *answer) { a.method = http.MethodGet }, auth.ReasonBadUser},
		{"an answer for another target is refused", func(a *answer) { a.uri = "/in/v1/default/1/one/b.ts" }, auth.ReasonDigestURI},
		{"a nonce that we did not make is stale", func(a *answer) { a.nonce = strings.Repeat("A", 54) }, auth.ReasonStale},
		{"a nonce of another length is stale", func(a *answer) { a.nonce = "A" }, auth.ReasonStale},
		{"a wrong password is not called stale", func(a *answer) { a.nonce, a.password = "A", "x" }, auth.ReasonBadUser},
		{"a count of 0 is refused", func(a *answer) { a.count = "00000000" }, auth.ReasonBadDigest},
		{"a count of nine digits is refused", func(a *answer) { a.count = "000000001" }, auth.ReasonBadDigest},
		{"an answer without a nonce of the client's is refused", func(a *answer) { a.cnonce = "" }, auth.ReasonBadDigest},
		{"another quality of protection is refused", func(a *answer) { a.qop = "auth-int" }, auth.ReasonBadDigest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := auth.NewDigest()
			a := good(nonceOf(t, d, noon))
			tt.change(&a)
			got := d.Check(rotated, put(a.header()), noon)
			require.Equal(t, tt.reason, got.Reason)
			require.Equal(t, tt.reason == auth.ReasonUser, got.Allowed)
			if got.Allowed {
				require.Equal(t, "enc", got.Principal)
				return
			}
			offered := challenges(t, got)
			require.Len(t, offered, 3)
			require.Equal(t, tt.reason == auth.ReasonStale, strings.Contains(offered[0], "stale=true"))
		})
	}
}

func TestAnEmptyPasswordIsNeverRight(t *testing.T) {
	d, c := auth.NewDigest(), auth.Credentials{Users: []auth.User{{"enc", ""}}}
	a := good(nonceOf(t, d, noon))
	a.password = ""
	require.Equal(t, auth.ReasonBadUser, d.Check(c, put(a.header()), noon).Reason)
}

func TestDigestIsReadHoweverItIsWritten(t *testing.T) {
	d := auth.NewDigest()
	header := good(nonceOf(t, d, noon)).header()
	for what, change := range map[string]func(string) string{
		"as ffmpeg quotes it":     func(s string) string { return strings.Replace(s, "qop=auth", `qop="auth"`, 1) },
		"everything quoted":       func(s string) string { return strings.Replace(s, "nc=00000001", `nc="00000001"`, 1) },
		"without spaces":          func(s string) string { return strings.ReplaceAll(s, ", ", ",") },
		"spaces around =":         func(s string) string { return strings.ReplaceAll(s, "nc=", "nc = ") },
		"empty elements":          func(s string) string { return strings.ReplaceAll(s, ", ", " ,, ") },
		"in capital letters":      func(s string) string { return strings.Replace(s, "Digest username", "DIGEST USERNAME", 1) },
		"what nobody asked for":   func(s string) string { return s + `, opaque="", more="a\"b, c=d"` },
		"MD5 as it is by itself":  func(s string) string { return strings.Replace(s, "algorithm=MD5, ", "", 1) },
		"escapes that are needed": func(s string) string { return strings.Replace(s, `"enc"`, `"e\n\c"`, 1) },
		"algorithm in lower case": func(s string) string { return strings.Replace(s, "MD5", "md5", 1) },
	} {
		require.Equal(t, auth.ReasonUser, d.Check(rotated, put(change(header)), noon).Reason, what)
	}
	for what, change := range map[string]func(string) string{
		"nothing":              func(string) string { return "Digest" },
		"a value without name": func(s string) string { return s + `, ="x"` },
		"a name without value": func(s string) string { return s + ", stale" },
		"an open quote":        func(s string) string { return s + `, x="` },
		"an open escape":       func(s string) string { return s + `, x="\` },
		"a value twice":        func(s string) string { return s + `, username="enc"` },
		"no comma":             func(s string) string { return strings.ReplaceAll(s, ", ", " ") },
		"an unknown algorithm": func(s string) string { return strings.Replace(s, "MD5", "MD5-sess", 1) },
		"the wrong algorithm":  func(s string) string { return strings.Replace(s, "MD5", "SHA-256", 1) },
		"a response in words":  func(s string) string { return regexp.MustCompile(`response="..`).ReplaceAllString(s, `response="no`) },
		"a hashed name":        func(s string) string { return s + ", userhash=true" },
		"too much":             func(s string) string { return s + `, x="` + strings.Repeat("x", 8<<10) + `"` },
	} {
		require.Equal(t, auth.ReasonBadDigest, d.Check(rotated, put(change(header)), noon).Reason, what)
	}
}

func TestANonceGetsOld(t *testing.T) {
	d := auth.NewDigest()
	header := good(nonceOf(t, d, noon)).header()
	require.True(t, d.Check(rotated, put(header), noon.Add(auth.NonceLifetime-time.Second)).Allowed)
	require.True(t, d.Check(rotated, put(header), noon.Add(-time.Minute)).Allowed, "the clock was set back")
	old := d.Check(rotated, put(header), noon.Add(auth.NonceLifetime))
	require.Equal(t, auth.ReasonStale, old.Reason)
	require.Contains(t, challenges(t, old)[1], "stale=true")
	restarted := auth.NewDigest()
	require.Equal(t, auth.ReasonStale, restarted.Check(rotated, put(header), noon).Reason, "so does one from before a restart")
}

func TestANonceDoesNotGetOldOnTheConnectionThatUsesIt(t *testing.T) {
	d := auth.NewDigest()
	header := good(nonceOf(t, d, noon)).header()
	on := func(conn context.Context, header string) *http.Request { return put(header).WithContext(conn) }
	mine, other := auth.Connected(t.Context(), nil), auth.Connected(t.Context(), nil)
	weeks := noon.Add(500 * time.Hour)
	require.Equal(t, auth.ReasonStale, d.Check(rotated, on(mine, header), weeks).Reason, "it was not used while it was young")
	require.True(t, d.Check(rotated, on(mine, header), noon).Allowed)
	require.True(t, d.Check(rotated, on(mine, header), weeks).Allowed)
	require.Equal(t, auth.ReasonStale, d.Check(rotated, on(other, header), weeks).Reason)
	gone := auth.Credentials{Users: []auth.User{{"enc", "new"}}}
	require.Equal(t, auth.ReasonBadUser, d.Check(gone, on(mine, header), weeks).Reason, "a password that went is not remembered")
}

func FuzzDigest(f *testing.F) {
	d := auth.NewDigest()
	for _, s := range []string{"", "username=", `a="b", c=d,,`, `username="\`, `nc=1 nc=2`, "=,=", good(strings.Repeat("A", 54)).header()[7:]} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, params string) {
		for _, header := range []string{"Digest " + params, params} {
			require.False(t, d.Check(rotated, put(header), noon).Allowed && !strings.HasPrefix(strings.ToLower(header), "basic"),
				"nobody can guess a nonce")
		}
	})
}

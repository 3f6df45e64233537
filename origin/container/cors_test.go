package container

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var players = CORSRule{AllowedOrigins: []string{"*"}, AllowedMethods: []string{"GET", "HEAD"}, AllowedHeaders: []string{"*"},
	ExposeHeaders: []string{"ETag", "Content-Length"}, MaxAgeSeconds: 3000}

func ask(c *Container, method, origin string, more ...string) (h http.Header, preflight, allowed bool) {
	r := httptest.NewRequest(method, "/a", nil)
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	for i := 0; i+1 < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	h = http.Header{}
	preflight, allowed = c.AllowCORS(h, r)
	return h, preflight, allowed
}

func corsOf(rules ...CORSRule) *Container { return &Container{Settings: Settings{CORS: rules}} }

func TestARequestWithoutAnOriginHasNoCORSHeaders(t *testing.T) {
	h, preflight, allowed := ask(corsOf(players), http.MethodGet, "")
	require.Empty(t, h)
	require.False(t, preflight || allowed)
}

func TestEveryPageMayPlay(t *testing.T) {
	h, preflight, allowed := ask(corsOf(players), http.MethodGet, "https://player.example")
	require.False(t, preflight)
	require.True(t, allowed)
	require.Equal(t, "*", h.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "ETag, Content-Length", h.Get("Access-Control-Expose-Headers"))
	require.Empty(t, h.Get("Access-Control-Allow-Credentials"))
	require.Empty(t, h.Get("Access-Control-Allow-Methods"), "which is for preflights")
}

func TestAPreflightIsAnsweredByTheFirstRuleThatApplies(t *testing.T) {
	upload := CORSRule{AllowedOrigins: []string{"https://*.example"}, AllowedMethods: []string{"PUT"}, AllowedHeaders: []string{"x-amz-*", "content-type"}}
	c := corsOf(players, upload)
	h, preflight, allowed := ask(c, http.MethodOptions, "https://studio.example",
		"Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "X-Amz-Date, Content-Type")
	require.True(t, preflight && allowed)
	require.Equal(t, "https://studio.example", h.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "true", h.Get("Access-Control-Allow-Credentials"))
	require.Equal(t, "PUT", h.Get("Access-Control-Allow-Methods"))
	require.Equal(t, "x-amz-date, content-type", h.Get("Access-Control-Allow-Headers"))
	require.Contains(t, h.Get("Vary"), "Origin")

	h, _, allowed = ask(c, http.MethodOptions, "https://player.example", "Access-Control-Request-Method", "GET",
		"Access-Control-Request-Headers", "range")
	require.True(t, allowed)
	require.Equal(t, "3000", h.Get("Access-Control-Max-Age"))
}

func TestWhatNoRuleAllowsHasNoCORSHeaders(t *testing.T) {
	only := CORSRule{AllowedOrigins: []string{"http://h"}, AllowedMethods: []string{"GET"}, AllowedHeaders: []string{"range"}}
	for name, tt := range map[string]struct {
		method, origin string
		more           []string
	}{
		"another scheme": {http.MethodGet, "https://h", nil},
		"another port":   {http.MethodGet, "http://h:80", nil},
		"another method": {http.MethodPut, "http://h", nil},
		"another header": {http.MethodOptions, "http://h", []string{"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "range, x"}},
	} {
		t.Run(name, func(t *testing.T) {
			h, _, allowed := ask(corsOf(only), tt.method, tt.origin, tt.more...)
			require.False(t, allowed)
			require.Empty(t, h.Get("Access-Control-Allow-Origin"))
		})
	}
}

func TestACORSPolicyThatBreaksARuleIsRefused(t *testing.T) {
	require.NoError(t, checkCORS([]CORSRule{players}))
	change := func(f func(*CORSRule)) []CORSRule { r := players; f(&r); return []CORSRule{r} }
	for name, rules := range map[string][]CORSRule{
		"no rule":              {},
		"too many rules":       make([]CORSRule, 101),
		"no origin":            change(func(r *CORSRule) { r.AllowedOrigins = nil }),
		"two stars":            change(func(r *CORSRule) { r.AllowedOrigins = []string{"*://*"} }),
		"an empty origin":      change(func(r *CORSRule) { r.AllowedOrigins = []string{""} }),
		"a line break":         change(func(r *CORSRule) { r.AllowedOrigins = []string{"http://a\r\nb"} }),
		"no method":            change(func(r *CORSRule) { r.AllowedMethods = nil }),
		"another method":       change(func(r *CORSRule) { r.AllowedMethods = []string{"POST"} }),
		"a long header":        change(func(r *CORSRule) { r.AllowedHeaders = []string{strings.Repeat("a", 8193)} }),
		"headers in one":       change(func(r *CORSRule) { r.ExposeHeaders = []string{"a, b"} }),
		"an age below nothing": change(func(r *CORSRule) { r.MaxAgeSeconds = -1 }),
	} {
		t.Run(name, func(t *testing.T) { require.ErrorIs(t, checkCORS(rules), ErrInvalid) })
	}
}

package auth_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/auth"
)

func TestMatchAny(t *testing.T) {
	tests := []struct {
		name    string
		given   string
		secrets []string
		want    bool
	}{
		{"the only secret matches", "edge-1", []string{"edge-1"}, true},
		{"either of two live secrets matches", "edge-2", []string{"edge-1", "edge-2"}, true},
		{"the same secret twice still matches", "edge-1", []string{"edge-1", "edge-1"}, true},
		{"a prefix of a secret does not match", "edge", []string{"edge-1"}, false},
		{"a secret with something after it does not match", "edge-1 curl", []string{"edge-1"}, false},
		{"case matters", "EDGE-1", []string{"edge-1"}, false},
		{"nothing matches an empty list", "edge-1", nil, false},
		{"an empty value matches nothing", "", []string{"edge-1"}, false},
		{"an empty secret is never matched", "", []string{""}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, auth.MatchAny(tt.given, tt.secrets))
		})
	}
}

func TestCredentials(t *testing.T) {
	both := auth.Credentials{
		Users:  []auth.User{{"enc", "old"}, {"enc", "new"}, {"spare", "pw"}},
		Tokens: []string{"tok-1", "tok-2"},
	}
	tests := []struct {
		name        string
		credentials auth.Credentials
		user, pass  string
		header      string
		allowed     bool
		reason      string
		principal   string
	}{
		{name: "no credentials configured lets everyone pass", allowed: true, reason: auth.ReasonOpen},
		{name: "a request without credentials is challenged", credentials: both, reason: auth.ReasonNoCredentials},
		{name: "the old password is still valid", credentials: both, user: "enc", pass: "old", allowed: true,
			reason: auth.ReasonUser, principal: "enc"},
		{name: "the new password is valid already", credentials: both, user: "enc", pass: "new", allowed: true,
			reason: auth.ReasonUser, principal: "enc"},
		{name: "another user's password does not help", credentials: both, user: "enc", pass: "pw",
			reason: auth.ReasonBadUser},
		{name: "an empty password is refused", credentials: both, user: "enc", reason: auth.ReasonBadUser},
		{name: "any token is enough", credentials: both, header: "Bearer tok-2", allowed: true,
			reason: auth.ReasonToken, principal: "token"},
		{name: "the scheme's case does not matter", credentials: both, header: "bearer tok-1", allowed: true,
			reason: auth.ReasonToken, principal: "token"},
		{name: "a wrong token is refused", credentials: both, header: "Bearer tok-3", reason: auth.ReasonBadToken},
		{name: "a bearer header without token is refused", credentials: both, header: "Bearer", reason: auth.ReasonBadToken},
		{name: "an unknown scheme is refused", credentials: both, header: "Digest x", reason: auth.ReasonBadScheme},
		{name: "broken base64 is refused", credentials: both, header: "Basic !!!", reason: auth.ReasonBadScheme},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("PUT", "/in/v1/default/1/one/index.m3u8", strings.NewReader("x"))
			if tt.user != "" {
				r.SetBasicAuth(tt.user, tt.pass)
			}
			if tt.header != "" {
				r.Header.Set("Authorization", tt.header)
			}
			d := tt.credentials.Check(r)
			require.Equal(t, tt.allowed, d.Allowed)
			require.Equal(t, tt.reason, d.Reason)
			require.Equal(t, tt.principal, d.Principal)
			if tt.allowed {
				require.NoError(t, d.Err())
				return
			}
			require.ErrorIs(t, d.Err(), auth.ErrUnauthenticated)
			var refused *auth.RefusedError
			require.ErrorAs(t, d.Err(), &refused)
			require.Equal(t, []string{`Basic realm="headwater", charset="UTF-8"`, `Bearer realm="headwater"`}, refused.Challenge)
		})
	}
}

func TestDecisionRefusesByDefault(t *testing.T) {
	require.ErrorIs(t, auth.Decision{}.Err(), auth.ErrDenied)
	require.EqualError(t, auth.Deny("allow_ips").Err(), "access denied: allow_ips")
	require.NoError(t, auth.Allow("open").Err())
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	c := auth.Credentials{Users: []auth.User{{"enc", "s3cret"}}, Tokens: []string{"t0ken"}}
	var out strings.Builder
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "credentials", c, "user", c.Users[0])
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "credentials", &c)
	body, err := json.Marshal(struct{ C auth.Credentials }{c})
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, verb+verb+verb, c, &c, struct{ In auth.Credentials }{c})
		fmt.Fprintf(&out, verb, c.Users)
	}
	all := out.String() + string(body)
	require.NotContains(t, all, "s3cret")
	require.NotContains(t, all, "t0ken")
	require.NotContains(t, all, fmt.Sprintf("%x", "s3cret"))
	require.Contains(t, all, "enc:***")
}

func FuzzAuthorizationHeader(f *testing.F) {
	for _, s := range []string{"", "Basic ZW5jOm9sZA==", "Bearer tok", "Basic", "Bearer  tok", "basic \x00", "Bearer " + strings.Repeat("x", 4096)} {
		f.Add(s)
	}
	c := auth.Credentials{Users: []auth.User{{"enc", "old"}}, Tokens: []string{"tok"}}
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Authorization"] = []string{header}
		d := c.Check(r)
		if d.Allowed && !strings.Contains(header, "tok") {
			name, password, _ := r.BasicAuth()
			require.Equal(t, "enc:old", name+":"+password)
		}
	})
}

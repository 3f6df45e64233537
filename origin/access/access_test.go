package access_test

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/auth"
	"headwater/auth/iprange"
	"headwater/origin/access"
	"headwater/origin/channel"
)

// checker trusts 10.0.0.0/8 and ::1, and knows the source "edges" (198.51.100.0/24).
func checker(t testing.TB) *access.Checker {
	t.Helper()
	file := filepath.Join(t.TempDir(), "edges.txt")
	require.NoError(t, os.WriteFile(file, []byte("198.51.100.0/24\n"), 0o600))
	sources := iprange.NewSources(slog.New(slog.DiscardHandler))
	require.NoError(t, sources.Set([]iprange.Source{{Name: "edges", File: file}}))
	trusted, err := iprange.Parse("10.0.0.0/8", "::1")
	require.NoError(t, err)
	return access.NewChecker(trusted, sources)
}

// request makes one from peer with headers "Name: value".
func request(method, peer string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "/out/v1/default/one/cmaf/index.m3u8", nil)
	r.RemoteAddr = peer
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func TestClient(t *testing.T) {
	c := checker(t)
	tests := []struct {
		name    string
		peer    string
		headers []string
		want    string // "" when it cannot be known
	}{
		{"without proxies the peer is the client", "192.0.2.1:5000", nil, "192.0.2.1"},
		{"a forged header of an untrusted peer is not believed", "192.0.2.1:5000", []string{"X-Forwarded-For: 198.51.100.1"}, "192.0.2.1"},
		{"a trusted proxy names the client", "10.0.0.1:80", []string{"X-Forwarded-For: 192.0.2.9"}, "192.0.2.9"},
		{"the rightmost address that is no proxy counts", "10.0.0.1:80", []string{"X-Forwarded-For: 203.0.113.1, 192.0.2.9, 10.2.3.4"}, "192.0.2.9"},
		{"several headers are one list", "10.0.0.1:80", []string{"X-Forwarded-For: 203.0.113.1", "X-Forwarded-For: 192.0.2.9"}, "192.0.2.9"},
		{"junk from a trusted proxy means that nobody knows", "10.0.0.1:80", []string{"X-Forwarded-For: 192.0.2.9, unknown"}, ""},
		{"junk left of the client does not matter", "10.0.0.1:80", []string{"X-Forwarded-For: unknown, 192.0.2.9"}, "192.0.2.9"},
		{"an empty element is junk", "10.0.0.1:80", []string{"X-Forwarded-For: 192.0.2.9,"}, ""},
		{"a proxy that forwards for nobody is the client", "10.0.0.1:80", nil, "10.0.0.1"},
		{"when all are proxies the leftmost is the client", "10.0.0.1:80", []string{"X-Forwarded-For: 10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"a port beside the address is accepted", "10.0.0.1:80", []string{"X-Forwarded-For: 192.0.2.9:4711"}, "192.0.2.9"},
		{"an IPv4-mapped peer counts as IPv4", "[::ffff:10.0.0.1]:80", []string{"X-Forwarded-For: ::ffff:192.0.2.9"}, "192.0.2.9"},
		{"an IPv6 proxy is trusted as well", "[::1]:80", []string{"X-Forwarded-For: 2001:db8::5"}, "2001:db8::5"},
		{"a peer without address is nobody", "@", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := c.Client(request("GET", tt.peer, tt.headers...))
			require.Equal(t, tt.want != "", ok)
			if ok {
				require.Equal(t, tt.want, got.String())
			}
		})
	}
}

func TestCheck(t *testing.T) {
	c := checker(t)
	prefixes := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	all := channel.Access{UserAgentSecrets: []string{"edge-1", "edge-2"}, AllowIPs: prefixes, RequireHTTPS: true}
	secret := channel.Access{UserAgentSecrets: []string{"edge-1", "edge-2"}}
	const https = "X-Forwarded-Proto: https"
	tests := []struct {
		name   string
		access channel.Access
		r      *http.Request
		want   string // reason
		allow  bool
	}{
		{"without rules everybody may play", channel.Access{}, request("GET", "203.0.113.1:1"), "open", true},
		{"plain HTTP is refused where HTTPS is required", all, request("GET", "192.0.2.1:1"), "require_https", false},
		{"an untrusted peer cannot claim HTTPS", all, request("GET", "192.0.2.1:1", https), "require_https", false},
		{"a trusted proxy can", all, request("GET", "10.0.0.1:1", https, "X-Forwarded-For: 192.0.2.1", "User-Agent: edge-1"), "access", true},
		{"every hop must have been HTTPS", all, request("GET", "10.0.0.1:1", "X-Forwarded-Proto: https, http"), "require_https", false},
		{"HTTPS is checked before the address", all, request("GET", "203.0.113.1:1", "User-Agent: x"), "require_https", false},
		{"the address before the secret", channel.Access{AllowIPs: prefixes, UserAgentSecrets: []string{"edge-1"}},
			request("GET", "203.0.113.1:1", "User-Agent: x"), "allow_ips", false},
		{"an address on the list may play", channel.Access{AllowIPs: prefixes}, request("GET", "192.0.2.1:1"), "access", true},
		{"so may one of IPv6", channel.Access{AllowIPs: prefixes}, request("GET", "[2001:db8::1]:1"), "access", true},
		{"an address in a named source may play", channel.Access{AllowIPs: prefixes, AllowSources: []string{"edges"}},
			request("GET", "198.51.100.1:1"), "access", true},
		{"a source that does not exist admits nobody", channel.Access{AllowSources: []string{"none"}},
			request("GET", "198.51.100.1:1"), "allow_ips", false},
		{"junk from a trusted proxy is refused", channel.Access{AllowIPs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}},
			request("GET", "10.0.0.1:1", "X-Forwarded-For: x"), "allow_ips", false},
		{"either live secret is good", secret, request("GET", "203.0.113.1:1", "User-Agent: edge-2"), "access", true},
		{"a part of a secret is not", secret, request("GET", "203.0.113.1:1", "User-Agent: edge"), "user_agent_secrets", false},
		{"nor is none", secret, request("GET", "203.0.113.1:1"), "user_agent_secrets", false},
		{"HEAD needs the secret", secret, request("HEAD", "203.0.113.1:1"), "user_agent_secrets", false},
		{"plain OPTIONS needs the secret", secret, request("OPTIONS", "203.0.113.1:1"), "user_agent_secrets", false},
		{"a preflight does not", secret, request("OPTIONS", "203.0.113.1:1", "Origin: https://player.example",
			"Access-Control-Request-Method: GET"), "preflight", true},
		{"GET with a preflight's headers does", secret, request("GET", "203.0.113.1:1", "Origin: https://player.example",
			"Access-Control-Request-Method: GET"), "user_agent_secrets", false},
		{"a preflight needs the right address", channel.Access{AllowIPs: prefixes}, request("OPTIONS", "203.0.113.1:1",
			"Origin: https://player.example", "Access-Control-Request-Method: GET"), "allow_ips", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := c.Check(tt.r, tt.access)
			require.Equal(t, tt.want, d.Reason)
			require.Equal(t, tt.allow, d.Allowed)
			if !tt.allow {
				require.ErrorIs(t, d.Err(), auth.ErrDenied)
			}
		})
	}
	t.Run("TLS to us is HTTPS", func(t *testing.T) {
		r := request("GET", "192.0.2.1:1", "User-Agent: edge-1")
		r.TLS = &tls.ConnectionState{}
		require.True(t, c.Check(r, all).Allowed)
	})
}

func TestTrustIsReplaced(t *testing.T) {
	c := checker(t)
	c.Trust(iprange.Prefixes{})
	got, ok := c.Client(request("GET", "10.0.0.1:1", "X-Forwarded-For: 192.0.2.9"))
	require.True(t, ok)
	require.Equal(t, "10.0.0.1", got.String())
}

func FuzzClient(f *testing.F) {
	for _, s := range []string{"", ",", "192.0.2.9", "192.0.2.9, 10.0.0.1", "fe80::1%eth0", "[2001:db8::1]:443", strings.Repeat(",", 5000)} {
		f.Add(s)
	}
	c := checker(f)
	f.Fuzz(func(t *testing.T, xff string) {
		r := request("GET", "10.0.0.1:1")
		r.Header["X-Forwarded-For"] = []string{xff}
		if a, ok := c.Client(r); ok {
			require.True(t, a.IsValid())
			require.Empty(t, a.Zone())
			require.False(t, a.Is4In6())
		}
	})
}

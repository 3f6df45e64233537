package iprange_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"headwater/auth/iprange"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestContains(t *testing.T) {
	set, err := iprange.Parse("192.0.2.0/24", "192.0.3.0/24", "192.0.2.7", "198.51.100.7", "::ffff:203.0.113.0/120", "2001:db8::/32")
	require.NoError(t, err)
	require.Equal(t, 4, set.Len(), "neighbours and overlaps are one range")
	tests := []struct {
		name string
		addr string
		want bool
	}{
		{"the first address of a range is inside", "192.0.2.0", true},
		{"the last address of a range is inside", "192.0.3.255", true},
		{"the address before a range is outside", "192.0.1.255", false},
		{"the address after a range is outside", "192.0.4.0", false},
		{"an address alone means itself", "198.51.100.7", true},
		{"and not its neighbour", "198.51.100.8", false},
		{"an IPv4-mapped prefix holds IPv4 addresses", "203.0.113.9", true},
		{"an IPv4-mapped address counts as IPv4", "::ffff:192.0.2.1", true},
		{"an IPv6 address is found", "2001:db8:ffff::1", true},
		{"a zone is disregarded", "2001:db8::1%eth0", true},
		{"an IPv6 address after every range is outside", "ffff::", false},
		{"an IPv4 address before every range is outside", "0.0.0.0", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, set.Contains(addr(tt.addr))) })
	}
	require.False(t, set.Contains(netip.Addr{}), "no address is in no set")
	require.False(t, iprange.Prefixes{}.Contains(addr("192.0.2.1")), "the empty set holds nothing")
	require.False(t, iprange.New(netip.MustParsePrefix("::/0")).Contains(addr("192.0.2.1")), "all of IPv6 holds no IPv4")
	require.True(t, iprange.New(netip.MustParsePrefix("0.0.0.0/0")).Contains(addr("255.255.255.255")))
}

func TestParsePrefixRefuses(t *testing.T) {
	for _, s := range []string{"", "/", "192.0.2.0/33", "192.0.2.1/24", "192.0.2", "fe80::1%eth0", "fe80::%1/64", "2001:db8::1/32",
		"192.0.2.0/024", "host.example", " 192.0.2.0/24"} {
		_, err := iprange.ParsePrefix(s)
		require.ErrorIs(t, err, iprange.ErrSyntax, s)
	}
	_, err := iprange.Parse("192.0.2.1/24", "192.0.2.0/24", "x")
	require.ErrorContains(t, err, "write 192.0.2.0/24")
	require.ErrorContains(t, err, `"x"`, "all problems are reported")
}

func TestContainsAgreesWithAskingEachPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gen := rapid.Custom(func(t *rapid.T) netip.Prefix {
			b := rapid.SliceOfN(rapid.ByteRange(0, 3), 4, 4).Draw(t, "bytes")
			if rapid.Bool().Draw(t, "v6") {
				var a [16]byte
				copy(a[12:], b)
				return netip.PrefixFrom(netip.AddrFrom16(a), rapid.IntRange(90, 128).Draw(t, "bits")).Masked()
			}
			return netip.PrefixFrom(netip.AddrFrom4([4]byte(b)), rapid.IntRange(6, 32).Draw(t, "bits")).Masked()
		})
		prefixes := rapid.SliceOfN(gen, 0, 20).Draw(t, "prefixes")
		set := iprange.New(prefixes...)
		a := gen.Draw(t, "address").Addr()
		want := slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
		if set.Contains(a) != want {
			t.Fatalf("%v in %v: got %v", a, prefixes, !want)
		}
	})
}

const awsSample = `{"syncToken":"1","createDate":"2026-01-01-00-00-00","prefixes":[
 {"ip_prefix":"192.0.2.0/25","region":"GLOBAL","service":"CLOUDFRONT_ORIGIN_FACING","network_border_group":"GLOBAL"},
 {"ip_prefix":"198.51.100.0/24","region":"eu-west-1","service":"EC2","network_border_group":"eu-west-1"}],
 "ipv6_prefixes":[
 {"ipv6_prefix":"2001:db8:1::/48","region":"GLOBAL","service":"CLOUDFRONT_ORIGIN_FACING","network_border_group":"GLOBAL"}]}`

func TestParseAWS(t *testing.T) {
	set, err := iprange.ParseAWS([]byte(awsSample), []string{"cloudfront_origin_facing"})
	require.NoError(t, err)
	require.True(t, set.Contains(addr("192.0.2.127")))
	require.True(t, set.Contains(addr("2001:db8:1::5")), "the IPv6 list is read as well")
	require.False(t, set.Contains(addr("198.51.100.1")), "another service's ranges are left out")

	_, err = iprange.ParseAWS([]byte(awsSample), []string{"ROUTE53"})
	require.ErrorIs(t, err, iprange.ErrEmpty)
	require.ErrorContains(t, err, "ROUTE53")
	for name, text := range map[string]string{
		"nothing": "", "not JSON": "<html>", "cut short": awsSample[:200], "another type": `{"prefixes":{"a":1}}`,
		"a bad prefix": `{"prefixes":[{"ip_prefix":"192.0.2.0","service":"A"},{"ip_prefix":"x","service":"A"}]}`,
	} {
		_, err := iprange.ParseAWS([]byte(text), []string{"A"})
		require.ErrorIs(t, err, iprange.ErrSyntax, name)
	}
}

func TestParseList(t *testing.T) {
	set, err := iprange.ParseList([]byte("# edges\n192.0.2.0/24\n\n2001:db8::/32 # v6\r\n"))
	require.NoError(t, err)
	require.Equal(t, 2, set.Len())
	_, err = iprange.ParseList([]byte("# nothing\n"))
	require.ErrorIs(t, err, iprange.ErrEmpty)
	_, err = iprange.ParseList([]byte("192.0.2.0/24\nedge.example\n"))
	require.ErrorContains(t, err, "line 2")
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "{}", awsSample, "192.0.2.0/24\n::/0\n", "::ffff:0:0/96", "0.0.0.0/0", "1.2.3.4/99999999999",
		`{"prefixes":[{"ip_prefix":"","service":"EC2"}]}`, strings.Repeat("[", 20000)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, parse := range []func([]byte) (iprange.Prefixes, error){
			iprange.ParseList,
			func(b []byte) (iprange.Prefixes, error) { return iprange.ParseAWS(b, []string{"EC2"}) },
		} {
			set, err := parse(data)
			require.Equal(t, err == nil, set.Len() > 0, "a set that was accepted holds something")
		}
		if p, err := iprange.ParsePrefix(string(data)); err == nil {
			require.True(t, iprange.New(p).Contains(p.Addr()))
		}
	})
}

func BenchmarkContains(b *testing.B) {
	var list []netip.Prefix
	for i := range 2000 {
		list = append(list, netip.MustParsePrefix(fmt.Sprintf("10.%d.%d.0/25", i/256, i%256)))
	}
	set := iprange.New(list...)
	a := addr("10.3.77.5")
	b.ReportAllocs()
	for b.Loop() {
		set.Contains(a)
	}
}

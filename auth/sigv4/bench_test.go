package sigv4_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/auth/sigv4"
)

func BenchmarkVerify(b *testing.B) {
	v := trusting("")
	get := boto3[1]
	get.target, get.stamp, get.service = "/live/a.ts", "20260302T120000Z", "mediastore"
	get.headers, get.signed, get.signature = nil, "host;x-amz-date", boto3[4].signature
	get.method = "HEAD"
	put := boto3[0]
	put.stamp, put.service = get.stamp, get.service
	wrong := put
	wrong.signature = sigv4.EmptyDigest
	for name, request := range map[string]vector{"an upload of boto3": put, "a head of boto3": get, "a wrong signature": wrong} {
		r := received(b, request.wire())
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := v.Verify(r, "", noon)
				if (err == nil) != (name != "a wrong signature") {
					require.NoError(b, err)
				}
			}
		})
	}
}

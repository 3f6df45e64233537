package mpegts

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkMuxer is a video segment of 2 s at 5 Mbit/s that nobody keeps.
func BenchmarkMuxer(b *testing.B) {
	rec := record(b, beforeWrap, 2, "1280x720", "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "5M", "-minrate", "5M", "-c:a", "aac")
	b.ReportAllocs()
	for b.Loop() {
		m, err := NewMuxer(rec.video[:1])
		require.NoError(b, err)
		n, err := m.WriteTo(io.Discard)
		require.NoError(b, err)
		b.SetBytes(n)
	}
}

package mpegts

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkAppendSegment is a video segment of 2 s at 5 Mbit/s, made in memory that is used again.
func BenchmarkAppendSegment(b *testing.B) {
	rec := record(b, beforeWrap, 2, "1280x720", "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "5M", "-minrate", "5M", "-c:a", "aac")
	out, err := Segment(rec.video[:1])
	require.NoError(b, err)
	b.SetBytes(int64(len(out)))
	for b.Loop() {
		out, err = AppendSegment(out[:0], rec.video[:1])
	}
	require.NoError(b, err)
}

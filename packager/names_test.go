package packager

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNamesOfSegmentsReadBackAsWhatTheyName(t *testing.T) {
	tests := []struct {
		name, ext, written string
		want               Resource
	}{
		{"a CMAF segment", ".mp4", SegmentName(897804000, ".mp4", "v1"),
			Resource{Kind: MediaSegment, Tracks: []string{"v1"}, Number: 897804000}},
		{"segment 0", ".mp4", SegmentName(0, ".mp4", "v1"), Resource{Kind: MediaSegment, Tracks: []string{"v1"}}},
		{"a muxed TS segment", ".ts", SegmentName(7, ".ts", "v1", "a1"),
			Resource{Kind: MediaSegment, Tracks: []string{"v1", "a1"}, Number: 7}},
		{"a TS segment of one track", ".ts", SegmentName(7, ".ts", "a1"),
			Resource{Kind: MediaSegment, Tracks: []string{"a1"}, Number: 7}},
		{"an init segment", ".mp4", InitName("v1", "0a1b2c3d"),
			Resource{Kind: Init, Tracks: []string{"v1"}, Config: "0a1b2c3d"}},
		{"a segment by time", ".mp4", "segment_v1_t161604720000000.mp4",
			Resource{Kind: MediaSegment, Tracks: []string{"v1"}, ByTime: true, Time: 161604720000000}},
		{"a track called init", ".mp4", SegmentName(3, ".mp4", "init"),
			Resource{Kind: MediaSegment, Tracks: []string{"init"}, Number: 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, ok := ParseSegmentName(tt.written, tt.ext)
			require.True(t, ok, tt.written)
			require.Equal(t, tt.want, r)
		})
	}
}

func TestNamesThatNobodyWroteAreRefused(t *testing.T) {
	for _, name := range []string{
		"", ".mp4", "segment.mp4", "segment_.mp4", "segment_v1.mp4", "segment__7.mp4", "segment_v1_.mp4", "segment_v1_t.mp4",
		"segment_v1_-7.mp4", "segment_v1_+7.mp4", "segment_v1_07.mp4", "segment_v1_t07.mp4", "segment_v1_7_8.mp4",
		"segment_v1_9223372036854775808.mp4", "segment_v1_7.ts", "segment_v1_7.mp4.mp4", "Segment_v1_7.mp4",
		"segment_v1..a1_7.mp4", "segment_v1.a1.a2_7.mp4", "segment_v1.a1_0a_init.mp4", "segment_v1_init.mp4",
		"segment_v1__init.mp4", "segment_v 1_7.mp4", "segment_../x_7.mp4", "segment_v1_7_init_8.mp4",
	} {
		t.Run(name, func(t *testing.T) {
			_, ok := ParseSegmentName(name, ".mp4")
			require.False(t, ok)
		})
	}
}

func TestIDsAreShortAndPlain(t *testing.T) {
	for _, id := range []string{"a", "video-1080p", "0", "Z9-", strings.Repeat("x", 64)} {
		require.True(t, ValidID(id), id)
	}
	for _, id := range []string{"", "a_b", "a.b", "a/b", "ä", "a b", "a\x00", strings.Repeat("x", 65)} {
		require.False(t, ValidID(id), id)
	}
}

func FuzzParseSegmentName(f *testing.F) {
	for _, seed := range []string{
		"", "segment_v1_7.mp4", "segment_v1_t7.mp4", "segment_v1_0a_init.mp4", "segment_v1.a1_7.mp4",
		"segment_v1_9223372036854775807.mp4", strings.Repeat("_", 1000) + ".mp4",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		r, ok := ParseSegmentName(name, ".mp4")
		if !ok {
			return
		}
		// A resource has one name, so that caches hold it once.
		switch {
		case r.Kind == Init:
			require.Equal(t, name, InitName(r.Tracks[0], r.Config))
		case r.ByTime:
			byNumber := SegmentName(r.Time, ".mp4", r.Tracks...)
			i := strings.LastIndexByte(byNumber, '_') + 1
			require.Equal(t, name, byNumber[:i]+"t"+byNumber[i:])
		default:
			require.Equal(t, name, SegmentName(r.Number, ".mp4", r.Tracks...))
		}
	})
}

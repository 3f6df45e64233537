package demux

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzVideoUnits goes past the packets, which a fuzzer finds hard to build, to access units and parameter sets.
func FuzzVideoUnits(f *testing.F) {
	code := []byte{0, 0, 0, 1}
	f.Add(cat(code, aud, code, sps1(f), code, pps, code, idr), cat(code, slice), true)
	f.Add(cat(code, sps2(f), code, pps, code, recovery, code, slice), cat(code, sps1(f), code, pps, code, idr), true)
	hevcSets := cat(code, fromHex(f, "40010c01ffff01600000030090000003000003003c959809"), code, []byte{0x42, 1, 1}, code, []byte{0x44, 1}, code, []byte{0x26, 1, 2})
	f.Add(hevcSets, cat(code, []byte{0x2a, 1, 2}), false)
	f.Add([]byte{}, []byte{0, 0, 1}, false)
	f.Fuzz(func(t *testing.T, one, two []byte, avc bool) {
		c := h265
		if avc {
			c = h264
		}
		bounded(t, len(one)+len(two), func() {
			s := &stream{codec: c, units: []unit{{pts: 9000, dts: 5400, data: one}, {pts: 12600, dts: 9000, data: two}, {pts: -1, dts: -1, data: two}}}
			fr, err := s.recovering(fuzzLimits)
			if err != nil {
				return
			}
			require.True(t, fr.Samples[0].Sync)
			want := 0
			for _, x := range fr.Samples {
				want += int(x.Size)
			}
			data, err := io.ReadAll(fr.Body)
			require.NoError(t, err)
			require.Len(t, data, want)
			own, err := ParseInit(fr.Track.Config.Header)
			require.NoError(t, err, "the header that is written can be read")
			require.Equal(t, fr.Track.Config.Codec, own.Tracks[0].Config.Codec)
			require.Equal(t, fr.Track.Config.Width, own.Tracks[0].Config.Width)
		})
		for _, b := range [][]byte{one, two} {
			splitAnnexB(b, func(nal []byte) { require.True(t, bytes.Contains(b, nal)) })
		}
	})
}

// recovering is video as its callers have it: what a library panics over is malformed.
func (s *stream) recovering(lim Limits) (fr *Fragment, err error) {
	defer func() {
		if p := recover(); p != nil {
			fr, err = nil, ErrMalformed
		}
	}()
	return s.video(lim)
}

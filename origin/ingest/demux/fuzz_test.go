package demux

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// fuzzLimits are small enough for a leak of memory to show.
var fuzzLimits = Limits{Header: 1 << 20, Fragment: 4 << 20, Samples: 10_000}

// boxSeeds are a stream of boxes, whole, cut, and with each box's size set to the values that break parsers.
func boxSeeds(f *testing.F) [][]byte {
	avcC := fromHex(f, "0142c00bffe10018")
	avcC = cat(avcC, sps1(f), []byte{1, 0, 4}, pps)
	video := func(e *entry) {
		v, err := avcEntry([][]byte{sps1(f)}, [][]byte{pps}, avcC)
		require.NoError(f, err)
		*e = v
	}
	head := headerOf(f, trackSpec{id: 1, timescale: 48000, elst: []uint32{20, 1<<32 - 1, 0, 1024}, trex: defaults{duration: 1024, size: 2}},
		trackSpec{id: 2, timescale: 12800, entry: video}, trackSpec{id: 3, timescale: 1, handler: "text"},
		trackSpec{id: 4, timescale: 90000, entry: eventEntry("evte")})
	body := cat(head, boxOf("styp", "cmfs\x00\x00\x00\x00lmsg"), simple(0, "abcd"),
		fragmentOf("aabb", trafSpec{id: 1, runs: []runSpec{{0, []uint32{2}}}}, trafSpec{id: 2, time: -5, runs: []runSpec{{2, []uint32{1, 1}}}}),
		boxOf("mfra", ""))
	seeds := [][]byte{nil, {0}, head, body, body[:len(body)-3], body[len(head):], bytes.Repeat([]byte("\x00\x00\x00\x10moov\x00\x00\x00\x08trak"), 40)}
	for _, size := range []uint32{0, 1, 4, 7, 8, 1 << 31, 1<<32 - 1} {
		for _, name := range []string{"ftyp", "moov", "mvhd", "trak", "elst", "stsd", "mp4a", "esds", "avcC", "moof", "traf", "tfhd", "trun", "mdat"} {
			b := bytes.Clone(body)
			if at := bytes.Index(b, []byte(name)); at >= 4 {
				binary.BigEndian.PutUint32(b[at-4:], size)
				seeds = append(seeds, b)
			}
		}
	}
	long := cat([]byte{0, 0, 0, 1}, []byte("mdat"), []byte{0x80, 0, 0, 0, 0, 0, 0, 0})
	seeds = append(seeds, long, cat(head, long))
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		b := bytes.Clone(body)
		for range 4 {
			b[rng.IntN(len(b))] = byte(rng.Uint32())
		}
		seeds = append(seeds, b)
	}
	return seeds
}

func FuzzParseInit(f *testing.F) {
	for _, s := range boxSeeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := ParseInit(b)
		if err != nil {
			require.Nil(t, in)
			return
		}
		again, err := ParseInit(in.Raw)
		require.NoError(t, err)
		require.Equal(t, in, again)
		for _, tr := range in.Tracks {
			require.NotZero(t, tr.Timescale)
			require.NotEmpty(t, tr.Config.Codec)
			own, err := ParseInit(tr.Config.Header)
			require.NoError(t, err, "the header that is written can be read")
			require.Equal(t, tr.Config.Codec, own.Tracks[0].Config.Codec)
		}
	})
}

func FuzzMP4Reader(f *testing.F) {
	for _, s := range boxSeeds(f) {
		f.Add(s, true)
	}
	init, err := ParseInit(oneAudio(f))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, b []byte, known bool) {
		in := init
		if !known {
			in = nil
		}
		bounded(t, len(b), func() {
			r := NewMP4Reader(bytes.NewReader(b), in, fuzzLimits)
			for n := 0; ; n++ {
				require.LessOrEqual(t, n, len(b)/8, "each event takes a box")
				ev, err := r.Next()
				if err != nil {
					_, again := r.Next()
					require.Equal(t, err, again)
					return
				}
				if ev.Fragment == nil {
					require.NotNil(t, ev.Init)
					continue
				}
				require.NotEmpty(t, ev.Fragment.Samples)
				require.LessOrEqual(t, len(ev.Fragment.Samples), fuzzLimits.Samples)
				if n%3 == 2 {
					continue // leave it unread
				}
				data, err := io.ReadAll(ev.Fragment.Body)
				if err == nil {
					var want int
					for _, s := range ev.Fragment.Samples {
						want += int(s.Size)
					}
					require.Len(t, data, want)
				}
			}
		})
	})
}

func FuzzReadTS(f *testing.F) {
	m := newMuxer(f, aacTrack())
	m.picture(3*frameTime, frameTime, aud, sps1(f), pps, filler, idr)
	m.aac(1000, "first", "second")
	m.picture(5*frameTime, 2*frameTime, aud, slice)
	body := m.bytes()
	seeds := [][]byte{nil, {0x47}, body, body[:len(body)-1], body[188:], cat([]byte("noise\x47"), body), cat(body, body)}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		b := bytes.Clone(body)
		for range 6 {
			b[rng.IntN(len(b))] = byte(rng.Uint32())
		}
		seeds = append(seeds, b)
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded(t, len(b), func() {
			got, err := ReadTS(bytes.NewReader(b), fuzzLimits)
			if err != nil {
				require.Nil(t, got)
				return
			}
			for _, fr := range got {
				require.NotEmpty(t, fr.Samples)
				require.True(t, fr.PTS >= 0 && fr.PTS < clockPeriod)
				var want int
				for _, s := range fr.Samples {
					want += int(s.Size)
				}
				data, err := io.ReadAll(fr.Body)
				require.NoError(t, err)
				require.Len(t, data, want)
				if fr.Track.Kind == media.Video {
					require.True(t, fr.Samples[0].Sync)
					require.Zero(t, fr.Samples[0].CompositionOffset)
				}
			}
		})
	})
}

// FuzzAudioFrames goes past the packets, which a fuzzer finds hard to build.
func FuzzAudioFrames(f *testing.F) {
	f.Add([]byte("\xff\xf1\x4c\x80\x01\x7f\xfcabcd"), uint8(aacADTS))
	f.Add([]byte("\x0b\x77\x00\x00\x14\x40\x43\x00\x00"), uint8(ac3))
	f.Add([]byte("\x0b\x77\x00\x1f\x3f\x86\x00\x00\x00\x00\x00\x00\x00"), uint8(eac3))
	f.Fuzz(func(t *testing.T, b []byte, c uint8) {
		s := &stream{codec: aacADTS + codec(c%3)}
		s.units = []unit{{pts: 5, dts: 5, data: b}, {pts: -1, dts: -1, data: b}, {pts: clockPeriod - 9, data: b}}
		fr, err := s.audio(fuzzLimits)
		if err != nil || fr == nil {
			return
		}
		var want int
		for _, x := range fr.Samples {
			want += int(x.Size)
		}
		data, err := io.ReadAll(fr.Body)
		require.NoError(t, err)
		require.Len(t, data, want)
	})
}

// bounded fails when f allocates out of proportion to its input of n bytes.
func bounded(t *testing.T, n int, f func()) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20+400*n))
}

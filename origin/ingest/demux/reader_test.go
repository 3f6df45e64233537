package demux

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// trackSpec is a track of a synthetic header.
type trackSpec struct {
	id        uint32
	handler   string // "" for soun
	timescale uint32
	elst      []uint32 // pairs of duration and media_time
	trex      defaults
	entry     func(e *entry)
}

func aacLC(t testing.TB) entry {
	e, err := aacEntry([]byte{0x11, 0x90}) // LC, 48 kHz, stereo
	require.NoError(t, err)
	return e
}

// headerOf builds a header with the tracks, as an encoder would.
func headerOf(t testing.TB, tracks ...trackSpec) []byte {
	var w boxWriter
	w.box("ftyp", func() { w.text("iso6\x00\x00\x00\x00iso6") })
	w.box("moov", func() {
		w.full("mvhd", 0, func() {
			w.u32(0, 0, 1000, 0, 0x10000)
			w.b = append(w.b, make([]byte, 76)...)
		})
		for _, s := range tracks {
			e := aacLC(t)
			if s.entry != nil {
				s.entry(&e)
			}
			var k boxWriter
			k.box("trak", func() {
				header{timescale: s.timescale, language: packLanguage("deu")}.trak(&k, e)
				if s.elst != nil {
					k.box("edts", func() {
						k.full("elst", 0, func() {
							k.u32(uint32(len(s.elst) / 2))
							for i := 0; i < len(s.elst); i += 2 {
								k.u32(s.elst[i], s.elst[i+1], 0x10000)
							}
						})
					})
				}
			})
			binary.BigEndian.PutUint32(k.b[8+8+4+8:], s.id)
			if s.handler != "" {
				k.b = bytes.Replace(k.b, []byte("soun"), []byte(s.handler), 1)
			}
			w.b = append(w.b, k.b...)
		}
		w.box("mvex", func() {
			for _, s := range tracks {
				w.full("trex", 0, func() { w.u32(s.id, 1, s.trex.duration, s.trex.size, s.trex.flags) })
			}
		})
	})
	return w.b
}

func oneAudio(t testing.TB) []byte {
	return headerOf(t, trackSpec{id: 1, timescale: 48000, trex: defaults{duration: 1024, size: 2}})
}

// trafSpec is a track fragment of a synthetic moof; its runs give the sizes of samples and where in the mdat they lie.
type trafSpec struct {
	id    uint32
	time  int64
	none  bool // without tfdt
	extra func(w *boxWriter)
	runs  []runSpec
	base  uint64 // base_data_offset when not 0
}

type runSpec struct {
	at    int // in the mdat
	sizes []uint32
}

func fragmentOf(payload string, trafs ...trafSpec) []byte {
	build := func(moof int) []byte {
		var w boxWriter
		w.box("moof", func() {
			w.full("mfhd", 0, func() { w.u32(1) })
			for _, s := range trafs {
				w.box("traf", func() {
					if s.base != 0 {
						w.full("tfhd", 1, func() { w.u32(s.id, uint32(s.base>>32), uint32(s.base)) })
					} else {
						w.full("tfhd", 0x20000, func() { w.u32(s.id) })
					}
					if !s.none {
						w.full("tfdt", 1<<24, func() { w.u32(uint32(s.time>>32), uint32(s.time)) })
					}
					if s.extra != nil {
						s.extra(&w)
					}
					for _, r := range s.runs {
						w.full("trun", 0x201, func() {
							w.u32(uint32(len(r.sizes)), uint32(moof+8+r.at))
							w.u32(r.sizes...)
						})
					}
				})
			}
		})
		return w.b
	}
	var w boxWriter
	w.b = build(len(build(0)))
	w.box("mdat", func() { w.text(payload) })
	return w.b
}

func boxOf(name string, body string) []byte { return wrapBox(name, []byte(body)) }

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// drain returns the bodies of all fragments and the error that ended the stream.
func drain(body []byte, init *Init, lim Limits) (frags []*Fragment, data []string, err error) {
	r := NewMP4Reader(iotest.HalfReader(bytes.NewReader(body)), init, lim)
	for {
		ev, err := r.Next()
		if err != nil {
			return frags, data, err
		}
		if ev.Fragment != nil {
			b, err := io.ReadAll(ev.Fragment.Body)
			frags, data = append(frags, ev.Fragment), append(data, string(b))
			if err != nil {
				return frags, data, err
			}
		}
	}
}

func simple(time int64, payload string) []byte {
	return fragmentOf(payload, trafSpec{id: 1, time: time, runs: []runSpec{{0, []uint32{uint32(len(payload))}}}})
}

func TestReaderFindsFragmentsAmongWhateverStandsBetweenThem(t *testing.T) {
	head := oneAudio(t)
	large := cat([]byte{0, 0, 0, 1}, []byte("wide"), []byte{0, 0, 0, 0, 0, 0, 0, 20}, []byte("abcd"))
	body := cat(boxOf("uuid", strings.Repeat("x", 40)), head, boxOf("styp", "cmfs\x00\x00\x00\x00cmfs"), boxOf("sidx", "123456789012"),
		boxOf("prft", "x"), boxOf("emsg", ""), simple(0, "one"), large, boxOf("free", "xx"), boxOf("emib", "?"), simple(1024, "two"),
		boxOf("styp", "cmfs\x00\x00\x00\x00lmsgslat"), simple(2048, "three"), boxOf("mdat", "orphan"), boxOf("mfra", ""))
	frags, data, err := drain(body, nil, DefaultLimits)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, []string{"one", "two", "three"}, data)
	require.EqualValues(t, 2048, frags[2].Time)
	require.Equal(t, "de", frags[0].Track.Language)

	t.Run("and says what the segment's type box said", func(t *testing.T) {
		r := NewMP4Reader(iotest.OneByteReader(bytes.NewReader(body)), nil, DefaultLimits)
		var got []Event
		for {
			ev, err := r.Next() // bodies are left unread
			if err != nil {
				require.ErrorIs(t, err, io.EOF)
				break
			}
			got = append(got, ev)
		}
		require.Len(t, got, 4)
		require.Equal(t, head, got[0].Init.Raw)
		require.True(t, got[1].First)
		require.False(t, got[2].First)
		require.True(t, got[3].First && got[3].Last && got[3].Fragment.Slate)
		require.False(t, got[1].Last || got[1].Fragment.Slate)
		require.Equal(t, []string{"cmfs", "lmsg", "slat"}, got[3].Brands)
	})
	t.Run("and a header that comes again changes nothing", func(t *testing.T) {
		r := NewMP4Reader(bytes.NewReader(cat(head, simple(0, "a"), head, simple(1024, "b"))), nil, DefaultLimits)
		var inits []*Init
		var tracks []*Track
		for {
			ev, err := r.Next()
			if err != nil {
				break
			}
			if ev.Init != nil {
				inits = append(inits, ev.Init)
			} else {
				tracks = append(tracks, ev.Fragment.Track)
			}
		}
		require.Len(t, inits, 2)
		require.Same(t, inits[0], inits[1])
		require.Same(t, tracks[0], tracks[1])
	})
	t.Run("and a header of another upload serves", func(t *testing.T) {
		init, err := ParseInit(head)
		require.NoError(t, err)
		_, data, err := drain(simple(0, "x"), init, DefaultLimits)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, []string{"x"}, data)
		again, err := ParseInit(init.Raw)
		require.NoError(t, err)
		require.Equal(t, init, again)
	})
}

func TestReaderCollectsScatteredSamples(t *testing.T) {
	two := headerOf(t, trackSpec{id: 7, timescale: 48000, trex: defaults{duration: 1024}},
		trackSpec{id: 9, timescale: 44100, trex: defaults{duration: 1024}}, trackSpec{id: 3, timescale: 1000, handler: "text"})
	t.Run("of two tracks", func(t *testing.T) {
		frags, data, err := drain(cat(two, fragmentOf("aabbbBcC", trafSpec{id: 9, runs: []runSpec{{2, []uint32{3, 1}}}},
			trafSpec{id: 7, time: 5, runs: []runSpec{{0, []uint32{2}}, {6, []uint32{1, 1}}}},
			trafSpec{id: 3, runs: []runSpec{{0, []uint32{1}}}})), nil, DefaultLimits)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, []string{"bbbB", "aacC"}, data)
		require.Equal(t, []uint32{9, 7}, []uint32{frags[0].Track.Source, frags[1].Track.Source})
		require.Equal(t, []int{1, 0}, []int{frags[0].Track.Index, frags[1].Track.Index})
		require.EqualValues(t, 3*1024, frags[1].Duration())
	})
	t.Run("of one track behind padding", func(t *testing.T) {
		_, data, err := drain(cat(oneAudio(t), fragmentOf("....abcd..", trafSpec{id: 1, runs: []runSpec{{4, []uint32{1}}, {5, []uint32{3}}}}),
			simple(9, "next")), nil, DefaultLimits)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, []string{"abcd", "next"}, data)
	})
	t.Run("out of order", func(t *testing.T) {
		_, data, err := drain(cat(oneAudio(t), fragmentOf("BBAA", trafSpec{id: 1, runs: []runSpec{{2, []uint32{2}}, {0, []uint32{2}}}})), nil, DefaultLimits)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, []string{"AABB"}, data)
	})
	t.Run("counted from the start of another file", func(t *testing.T) {
		_, data, err := drain(cat(oneAudio(t), fragmentOf("abc", trafSpec{id: 1, base: 1 << 40, runs: []runSpec{{0, []uint32{3}}}})), nil, DefaultLimits)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, []string{"abc"}, data)
	})
	t.Run("of an ignored track alone, which is nothing", func(t *testing.T) {
		frags, _, err := drain(cat(two, fragmentOf("abc", trafSpec{id: 3, runs: []runSpec{{0, []uint32{3}}}})), nil, DefaultLimits)
		require.ErrorIs(t, err, io.EOF)
		require.Empty(t, frags)
	})
	t.Run("in an mdat that runs to the end of the body", func(t *testing.T) {
		b := simple(0, "abcd")
		binary.BigEndian.PutUint32(b[len(b)-12:], 0)
		_, data, err := drain(cat(oneAudio(t), b, []byte("more")), nil, DefaultLimits)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, []string{"abcd"}, data)
	})
}

func TestReaderRefuses(t *testing.T) {
	head := oneAudio(t)
	size := func(b []byte, n uint32) []byte {
		b = bytes.Clone(b)
		binary.BigEndian.PutUint32(b, n)
		return b
	}
	long := func(name string, n uint64) []byte {
		return binary.BigEndian.AppendUint64(cat([]byte{0, 0, 0, 1}, []byte(name)), n)
	}
	huge := func(count uint32) []byte { // trun that claims count samples with no byte for them
		b := fragmentOf("", trafSpec{id: 1, runs: []runSpec{{0, nil}}})
		at := bytes.Index(b, []byte("trun"))
		binary.BigEndian.PutUint32(b[at+8:], count)
		return b
	}
	encrypted := bytes.Replace(head, []byte("mp4a"), []byte("enca"), 1)
	small := DefaultLimits
	small.Fragment, small.Samples = 100, 3
	for _, c := range []struct {
		name string
		body []byte
		lim  Limits
		want error
	}{
		{"a header of four bytes", []byte{0, 0, 0, 9}, DefaultLimits, ErrTruncated},
		{"size 0 of a moov", size(head[20:], 0), DefaultLimits, ErrMalformed},
		{"size 2", size(boxOf("free", ""), 2), DefaultLimits, ErrMalformed},
		{"size 4", size(boxOf("moof", ""), 4), DefaultLimits, ErrMalformed},
		{"size 7", size(boxOf("free", ""), 7), DefaultLimits, ErrMalformed},
		{"a 64-bit size cut short", []byte("\x00\x00\x00\x01free\x00\x00"), DefaultLimits, ErrTruncated},
		{"a 64-bit size below 16", long("free", 15), DefaultLimits, ErrMalformed},
		{"a 64-bit size of 2^63", long("free", 1<<63), DefaultLimits, ErrMalformed},
		{"a 64-bit size of all ones", long("mdat", math.MaxUint64), DefaultLimits, ErrMalformed},
		{"a moov of 2^31 bytes", size(boxOf("moov", ""), 1<<31), DefaultLimits, ErrTooLarge},
		{"an unknown box over the limit", size(boxOf("junk", ""), 1<<31), DefaultLimits, ErrTooLarge},
		{"MPEG-TS", bytes.Repeat([]byte{0x47, 0, 0x11, 0x10}, 100), DefaultLimits, ErrMalformed},
		{"a moov that ends early", head[:len(head)-5], DefaultLimits, ErrTruncated},
		{"a moof without header", simple(0, "a"), DefaultLimits, ErrNoInit},
		{"a moof of another track", cat(head, fragmentOf("a", trafSpec{id: 2, runs: []runSpec{{0, []uint32{1}}}})), DefaultLimits, ErrNoInit},
		{"an mdat that ends early", cat(head, simple(0, "abcdef"))[:len(head)+len(simple(0, "abcdef"))-2], DefaultLimits, ErrTruncated},
		{"a moof whose mdat never comes", cat(head, simple(0, "a")[:len(simple(0, "a"))-9]), DefaultLimits, ErrTruncated},
		{"two moofs in a row", cat(head, simple(0, "a")[:len(simple(0, "a"))-9], simple(0, "a")), DefaultLimits, ErrMalformed},
		{"samples beyond the mdat", cat(head, fragmentOf("ab", trafSpec{id: 1, runs: []runSpec{{0, []uint32{3}}}})), DefaultLimits, ErrMalformed},
		{"2^32-1 samples in no bytes", cat(head, huge(math.MaxUint32)), DefaultLimits, ErrMalformed},
		{"more samples than the limit", cat(head, fragmentOf("abcd", trafSpec{id: 1, runs: []runSpec{{0, []uint32{1, 1, 1, 1}}}})), small, ErrTooLarge},
		{"scattered samples over the limit", cat(head, fragmentOf(strings.Repeat("x", 200), trafSpec{id: 1,
			runs: []runSpec{{199, []uint32{1}}, {0, []uint32{1}}}})), small, ErrTooLarge},
		{"a traf without tfhd", cat(head, boxOf("moof", string(boxOf("traf", "")))), DefaultLimits, ErrMalformed},
		{"a time beyond reason", cat(head, simple(math.MinInt64, "a")), DefaultLimits, ErrMalformed},
		{"an empty moov", boxOf("moov", ""), DefaultLimits, ErrMalformed},
		{"timescale 0", headerOf(t, trackSpec{id: 1}), DefaultLimits, ErrMalformed},
		{"two tracks of one id", headerOf(t, trackSpec{id: 1, timescale: 1}, trackSpec{id: 1, timescale: 1}), DefaultLimits, ErrMalformed},
		{"encryption", encrypted, DefaultLimits, ErrUnsupported},
		{"no track of use", headerOf(t, trackSpec{id: 1, timescale: 1, handler: "meta"}), DefaultLimits, ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := drain(c.body, nil, c.lim)
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestReaderDoesNotHide(t *testing.T) {
	head := oneAudio(t)
	t.Run("its refusal when asked again", func(t *testing.T) {
		r := NewMP4Reader(bytes.NewReader(simple(0, "a")), nil, DefaultLimits)
		_, first := r.Next()
		_, second := r.Next()
		require.Equal(t, first, second)
	})
	t.Run("an error of the network", func(t *testing.T) {
		slow := errors.New("i/o timeout")
		r := NewMP4Reader(io.MultiReader(bytes.NewReader(cat(head, simple(0, "abcd"))[:len(head)+len(simple(0, "abcd"))-2]),
			iotest.ErrReader(slow)), nil, DefaultLimits)
		_, err := r.Next()
		require.NoError(t, err)
		ev, err := r.Next()
		require.NoError(t, err)
		_, err = io.ReadAll(ev.Fragment.Body)
		require.ErrorIs(t, err, slow)
		_, err = r.Next()
		require.ErrorIs(t, err, slow)
	})
	t.Run("that a chunked body was aborted", func(t *testing.T) {
		r := NewMP4Reader(io.MultiReader(bytes.NewReader(cat(head, simple(0, "abcd"))), iotest.ErrReader(io.ErrUnexpectedEOF)), nil, DefaultLimits)
		for range 2 {
			_, err := r.Next()
			require.NoError(t, err)
		}
		_, err := r.Next()
		require.ErrorIs(t, err, ErrTruncated)
	})
	t.Run("that it has passed a fragment", func(t *testing.T) {
		r := NewMP4Reader(bytes.NewReader(cat(head, simple(0, "abcd"), simple(1, "efgh"))), nil, DefaultLimits)
		_, _ = r.Next()
		old, err := r.Next()
		require.NoError(t, err)
		_, err = r.Next()
		require.NoError(t, err)
		_, err = io.ReadAll(old.Fragment.Body)
		require.Error(t, err)
	})
}

func TestTimeIsPresentationTimeWithEditsApplied(t *testing.T) {
	const none = math.MaxUint32
	first := func(t *testing.T, elst []uint32, spec trafSpec) *Fragment {
		spec.id, spec.runs = 1, []runSpec{{0, []uint32{1, 1}}}
		frags, _, err := drain(cat(headerOf(t, trackSpec{id: 1, timescale: 48000, elst: elst, trex: defaults{duration: 1024}}),
			fragmentOf("ab", spec), fragmentOf("ab", trafSpec{id: 1, none: true, runs: spec.runs})), nil, DefaultLimits)
		require.ErrorIs(t, err, io.EOF)
		require.Len(t, frags, 2)
		require.Equal(t, frags[0].Time+2048, frags[1].Time, "a fragment without time follows the one before it")
		return frags[0]
	}
	tfxd := func(time uint64) func(*boxWriter) {
		return func(w *boxWriter) {
			w.box("uuid", func() {
				w.text("\x6d\x1d\x9b\x05\x42\xd5\x44\xe6\x80\xe2\x14\x1d\xaf\xf7\x57\xb2")
				w.u32(1<<24, uint32(time>>32), uint32(time), 0, 2048)
			})
		}
	}
	require.EqualValues(t, 5, first(t, nil, trafSpec{time: 5}).Time)
	require.EqualValues(t, -3, first(t, nil, trafSpec{time: -3}).Time, "tfdt is read as signed")
	require.EqualValues(t, 5-1024, first(t, []uint32{0, 1024}, trafSpec{time: 5}).Time, "media_time is taken off")
	require.EqualValues(t, 5+48*21, first(t, []uint32{21, none, 0, 0}, trafSpec{time: 5}).Time, "an empty edit delays")
	require.EqualValues(t, 48*(80+20)-1024, first(t, []uint32{80, none, 20, none, 0, 1024}, trafSpec{}).Time)
	require.EqualValues(t, -213333, first(t, nil, trafSpec{none: true, extra: tfxd(0xfffffffffffcbeab)}).Time, "tfxd is read as signed")
	require.EqualValues(t, -1024, first(t, []uint32{0, 1024}, trafSpec{none: true}).Time, "no time at all counts from 0")
}

func TestCompositionIsCountedFromTheFirstSyncSample(t *testing.T) {
	in := &Init{timing: map[uint32]timing{}, Tracks: []*Track{{Source: 1, Kind: media.Video, Timescale: 25}}}
	run := func(offsets []int32, sync []bool) []byte {
		var w boxWriter
		moof := func(at uint32) {
			w.b = nil
			w.box("moof", func() {
				w.box("traf", func() {
					w.full("tfhd", 0x20000, func() { w.u32(1) })
					w.full("tfdt", 0, func() { w.u32(100) })
					w.full("trun", 1<<24|0xf01, func() {
						w.u32(uint32(len(offsets)), at)
						for i := range offsets {
							flags := uint32(0x01010000)
							if sync[i] {
								flags = 0x02000000
							}
							w.u32(1, 1, flags, uint32(offsets[i]))
						}
					})
				})
			})
		}
		moof(0)
		moof(uint32(len(w.b) + 8))
		w.box("mdat", func() { w.text(strings.Repeat("x", len(offsets))) })
		return w.b
	}
	frags, _, err := drain(cat(run([]int32{1, 2, 4, 0}, []bool{false, true, false, false}), run([]int32{2, 3}, []bool{true, false})), in, DefaultLimits)
	require.ErrorIs(t, err, io.EOF)
	offsets := func(f *Fragment) (out []int32) {
		for _, s := range f.Samples {
			out = append(out, s.CompositionOffset)
		}
		return out
	}
	require.Equal(t, []int32{-1, 0, 2, -2}, offsets(frags[0]))
	require.EqualValues(t, 102, frags[0].Time)
	require.Equal(t, []int32{0, 1}, offsets(frags[1]), "the shift is the reader's, not the fragment's")
	require.EqualValues(t, 102, frags[1].Time)
}

func TestSampleValuesComeFromTheNearestPlaceThatGivesThem(t *testing.T) {
	in := &Init{Tracks: []*Track{{Source: 1, Kind: media.Video, Timescale: 25}}, timing: map[uint32]timing{}}
	tm := timing{}
	tm.trex.DefaultSampleDuration, tm.trex.DefaultSampleSize, tm.trex.DefaultSampleFlags = 7, 2, 0x01010000
	in.timing[1] = tm
	read := func(tfhd func(w *boxWriter), trunFlags uint32, trun ...uint32) []cmaf.Sample {
		var w boxWriter
		w.box("moof", func() {
			w.box("traf", func() {
				tfhd(&w)
				w.full("trun", trunFlags, func() { w.u32(trun...) })
			})
		})
		w.box("mdat", func() { w.text("0123456789") })
		frags, _, err := drain(w.b, in, DefaultLimits)
		require.ErrorIs(t, err, io.EOF)
		return frags[0].Samples
	}
	bare := func(w *boxWriter) { w.full("tfhd", 0x20000, func() { w.u32(1) }) }
	full := func(w *boxWriter) { w.full("tfhd", 0x20038, func() { w.u32(1, 8, 3, 0x02000000) }) }
	s := func(d, size uint32, sync bool) cmaf.Sample { return cmaf.Sample{Duration: d, Size: size, Sync: sync} }
	require.Equal(t, []cmaf.Sample{s(7, 2, false), s(7, 2, false)}, read(bare, 0, 2), "trex")
	require.Equal(t, []cmaf.Sample{s(8, 3, true), s(8, 3, true)}, read(full, 0, 2), "tfhd")
	require.Equal(t, []cmaf.Sample{s(7, 2, true), s(7, 2, false)}, read(bare, 4, 2, 0x02000000), "first-sample-flags")
	require.Equal(t, []cmaf.Sample{s(1, 4, false), s(2, 5, true)}, read(full, 0x700, 2, 1, 4, 0x01010000, 2, 5, 0), "the sample itself")
	require.Equal(t, []cmaf.Sample{s(8, 3, false)}, read(full, 0x400, 1, 0x01000000), "a sample that depends on others is not sync")
}

func TestInitTellsWhatItLeavesOut(t *testing.T) {
	in, err := ParseInit(headerOf(t, trackSpec{id: 4, timescale: 1000, handler: "text"}, trackSpec{id: 5, timescale: 48000,
		entry: func(e *entry) {
			e.bitrate = 1
			e.boxes = append(e.boxes, wrapBox("btrt", []byte("\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\xfa\x00"))...)
		}},
		trackSpec{id: 6, timescale: 1000, entry: func(e *entry) { e.name = "Opus" }}))
	require.NoError(t, err)
	require.Equal(t, []string{`track 4: handler "text"`, `track 6: sample entry "Opus" of a audio track`}, in.Ignored)
	require.Len(t, in.Tracks, 1)
	require.Equal(t, 64000, in.Tracks[0].Bitrate)
	require.NotContains(t, string(in.Tracks[0].Config.Header), "btrt")
	again, err := ParseInit(in.Tracks[0].Config.Header)
	require.NoError(t, err, "the header that is written can be read")
	require.Equal(t, in.Tracks[0].Config, again.Tracks[0].Config, "and is a fixed point")
}

package demux

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
	"github.com/stretchr/testify/require"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// flow is what came of a track of an endless stream.
type flow struct {
	track   *Track
	at      []int64 // times of the fragments
	ends    []int64
	samples []cmaf.Sample
	data    []byte
	lost    int
	longest int64
	ended   bool
}

// streamed reads all of a stream. The tracks are in the order in which they began.
func streamed(t testing.TB, body io.Reader, lim Limits) (flows []*flow, err error) {
	t.Helper()
	r := NewTSReader(body, lim)
	by := map[*Track]*flow{}
	for {
		ev, err := r.Next()
		if err != nil {
			_, again := r.Next()
			require.Equal(t, err, again)
			return flows, err
		}
		if ev.Ended != nil {
			require.Nil(t, ev.Fragment)
			require.False(t, by[ev.Ended].ended)
			by[ev.Ended].ended = true
			continue
		}
		f := ev.Fragment
		fl := by[f.Track]
		if fl == nil {
			fl = &flow{track: f.Track}
			by[f.Track] = fl
			flows = append(flows, fl)
		}
		require.False(t, fl.ended)
		require.NotEmpty(t, f.Samples)
		b, err := io.ReadAll(f.Body)
		require.NoError(t, err)
		require.Len(t, b, int(f.bytes()))
		fl.at, fl.ends = append(fl.at, f.Time), append(fl.ends, f.Time+f.Duration())
		fl.samples, fl.data, fl.lost = append(fl.samples, f.Samples...), append(fl.data, b...), fl.lost+f.Lost
		if n := f.Duration(); len(fl.at) > 1 {
			fl.longest = max(fl.longest, n)
		}
		for _, s := range f.Samples[1:] {
			require.True(t, f.Track.Kind == media.Audio || !s.Sync, "a sync sample begins a fragment")
		}
	}
}

func (f *flow) gapless(t *testing.T) {
	t.Helper()
	for i := 1; i < len(f.at); i++ {
		require.Equal(t, f.ends[i-1], f.at[i], "fragment %d", i)
	}
}

func TestAnEndlessTransportStreamHasTheSamplesOfASegment(t *testing.T) {
	for name, args := range map[string]string{
		"AAC, no reordering":         x264 + noB + aac,
		"AAC, reordered":             x264 + twoB + aac,
		"AC-3":                       x264 + twoB + "-c:a ac3",
		"E-AC-3":                     x264 + twoB + "-c:a eac3",
		"HEVC":                       "-map 0:v -map 1:a -c:v libx265 -preset ultrafast -x265-params keyint=25:log-level=none" + aac,
		"over the wrap of the clock": x264 + twoB + aac + "-output_ts_offset 95441.5",
		"audio alone":                onlyA + aac,
		"44.1 kHz":                   onlyA + "-ar 44100" + aac,
		"video alone":                onlyV + twoB,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := read(t, encode(t, args+" -f mpegts a.ts"), "a.ts")
			want, err := ReadTS(bytes.NewReader(body), DefaultLimits)
			require.NoError(t, err)
			for _, r := range []io.Reader{bytes.NewReader(body), iotest.HalfReader(bytes.NewReader(body)), iotest.OneByteReader(bytes.NewReader(body))} {
				flows, err := streamed(t, r, DefaultLimits)
				require.Equal(t, io.EOF, err)
				require.Len(t, flows, len(want))
				for i := range want {
					f := flows[0]
					for _, other := range flows {
						if other.track.Source == want[i].Track.Source {
							f = other
						}
					}
					data, ok := want[i].Body.(*bytes.Reader)
					require.True(t, ok)
					all := make([]byte, data.Size())
					_, err := data.ReadAt(all, 0)
					require.NoError(t, err)
					require.Equal(t, want[i].Track.Config, f.track.Config)
					require.Equal(t, want[i].Track.Timescale, f.track.Timescale)
					require.Equal(t, want[i].Time, f.at[0])
					require.Len(t, f.samples, len(want[i].Samples))
					require.Equal(t, want[i].Samples[:len(f.samples)-1], f.samples[:len(f.samples)-1])
					require.True(t, bytes.Equal(all, f.data))
					require.Zero(t, f.lost)
					f.gapless(t)
					require.LessOrEqual(t, media.At(f.longest, f.track.Timescale).Duration(), 540*time.Millisecond)
				}
			}
		})
	}
}

// gops writes pictures [from, to) of 25 a second with a sync sample every gop ones, and as much AAC.
func (m *muxer) gops(sps []byte, gop, from, to int) {
	for n := from; n < to; n++ {
		at := int64(n+25) * frameTime
		nals := [][]byte{{0x41, 4, byte(n), 1}}
		if n%gop == 0 {
			nals = [][]byte{sps, pps, {0x65, 1, byte(n), 1}}
		}
		m.picture(at, at, nals...)
		for a := (at + 1919) / 1920 * 1920; a < at+frameTime; a += 1920 {
			m.aac(a, "sound")
		}
	}
}

func TestAnEndlessTransportStreamIsTakenWhereItCanBe(t *testing.T) {
	begin := func() *muxer { return newMuxer(t, aacTrack()) }
	m := begin()
	m.gops(sps1(t), 25, 0, 100)
	whole := m.bytes()
	for name, body := range map[string][]byte{
		"whole":                   whole,
		"after garbage":           append(bytes.Repeat([]byte{0, 0x47, 3}, 1000), whole...),
		"after half a packet":     whole[100:],
		"without its first PMT":   append(bytes.Clone(whole[:188]), whole[2*188:]...),
		"with garbage in it":      bytes.Join([][]byte{whole[:188*40], []byte("garbage\x47"), whole[188*40:]}, nil),
		"from within a GOP":       whole[188*60:],
		"with its tables damaged": bytes.Replace(bytes.Clone(whole), whole[188+20:188+30], []byte("0123456789"), 1),
	} {
		t.Run(name, func(t *testing.T) {
			flows, err := streamed(t, bytes.NewReader(body), DefaultLimits)
			require.Equal(t, io.EOF, err)
			kinds := map[media.Kind]int{}
			for _, f := range flows {
				kinds[f.track.Kind]++
				require.GreaterOrEqual(t, len(f.samples), 25)
				require.Equal(t, "av"[b2i(f.track.Kind == media.Video)], f.track.Kind.String()[0])
			}
			require.Equal(t, map[media.Kind]int{media.Video: 1, media.Audio: 1}, kinds)
		})
	}
}

func TestPacketsThatAnEndlessTransportStreamLacksAreCounted(t *testing.T) {
	m := newMuxer(t, aacTrack())
	m.gops(sps1(t), 25, 0, 100)
	body := m.bytes()
	body = append(body[:188*80:188*80], body[188*83:]...)
	flows, err := streamed(t, bytes.NewReader(body), DefaultLimits)
	require.Equal(t, io.EOF, err)
	lost := 0
	for _, f := range flows {
		lost += f.lost
	}
	require.Positive(t, lost)
}

func TestAProgrammeThatChangesHasOtherTracks(t *testing.T) {
	one, two, three := newMuxer(t, aacTrack()), newMuxer(t, aacTrack()), newMuxer(t, &codecs.AC3{SampleRate: 48000, ChannelCount: 2})
	one.gops(sps1(t), 25, 0, 50)
	one.gops(sps2(t), 25, 50, 100) // the encoder changed the size of the picture
	two.video.PID, two.audio.PID = 700, 701
	two.w = &mpegts.Writer{W: &two.out, Tracks: []*mpegts.Track{two.video, two.audio}}
	two.out.Reset()
	require.NoError(t, two.w.Initialize())
	_, err := two.w.WriteTables()
	require.NoError(t, err)
	two.gops(sps2(t), 25, 100, 150)
	for n := 150; n < 200; n++ {
		three.picture(int64(n+25)*frameTime, int64(n+25)*frameTime, sps2(t), pps, idr)
	}
	flows, err := streamed(t, bytes.NewReader(bytes.Join([][]byte{one.bytes(), two.bytes(), three.bytes()}, nil)), DefaultLimits)
	require.Equal(t, io.EOF, err)
	var said []string
	for _, f := range flows {
		said = append(said, fmt.Sprintf("%s %d %d %v", f.track.Config.Codec, f.track.Index, f.track.Config.Width, f.ended))
		f.gapless(t)
	}
	require.ElementsMatch(t, []string{"avc1.42c00b 0 160 true", "mp4a.40.2 0 0 true", "avc1.42c00c 0 320 true", "avc1.42c00c 0 320 true",
		"mp4a.40.2 0 0 true", "avc1.42c00c 0 320 false"}, said)
}

func TestAClockThatJumpsWithinAnEndlessTransportStreamJumpsOnce(t *testing.T) {
	for _, by := range []int{-1000, 1000} {
		m := newMuxer(t, aacTrack())
		m.gops(sps1(t), 25, 2000, 2100)
		m.gops(sps1(t), 25, 2100+by, 2200+by)
		flows, err := streamed(t, bytes.NewReader(m.bytes()), DefaultLimits)
		require.Equal(t, io.EOF, err)
		require.Len(t, flows, 2, "the tracks are the same")
		for _, f := range flows {
			jumps := 0
			for i := 1; i < len(f.at); i++ {
				if gap := media.At(f.at[i]-f.ends[i-1], f.track.Timescale).Duration(); gap != 0 {
					jumps++
					require.InDelta(t, float64(by)/25, gap.Seconds(), 0.05)
				}
			}
			require.Equal(t, 1, jumps)
		}
	}
}

func TestAudioThatRunsAheadOfItsTimesKeepsToThem(t *testing.T) {
	m := newMuxer(t, aacTrack())
	for n := range int64(1000) {
		m.aac(90_000+n*1900, "sound") // 1 % too many samples
	}
	flows, err := streamed(t, bytes.NewReader(m.bytes()), DefaultLimits)
	require.Equal(t, io.EOF, err)
	f := flows[0]
	require.InDelta(t, media.At(90_000+1000*1900, clockRate).Seconds(), media.At(f.ends[len(f.ends)-1], 48000).Seconds(), 0.05)
	require.Positive(t, f.lost)
}

func TestAnEndlessTransportStreamIsBounded(t *testing.T) {
	lim := Limits{Header: 1 << 20, Fragment: 100_000, Samples: 1000}
	noKey, huge, latm := newMuxer(t, aacTrack()), newMuxer(t, aacTrack()), newMuxer(t, &codecs.MPEG1Audio{})
	for n := range int64(2000) {
		noKey.picture(n*frameTime, n*frameTime, slice)
		noKey.aac(n*frameTime, "x")
	}
	huge.picture(0, 0, sps1(t), pps, bytes.Repeat([]byte{0x65}, 120_000))
	latm.picture(0, 0, sps1(t), pps, idr)
	untold := newMuxer(t, aacTrack())
	untold.out.Reset()
	untold.gops(sps1(t), 5, 0, 1)
	for name, c := range map[string]struct {
		body []byte
		want error
		says string
	}{
		"no key frame":       {noKey.bytes(), ErrUnsupported, "no key frame with parameter sets in 1m0s"},
		"no tables":          {bytes.Repeat(untold.bytes()[:188], 1000), ErrTooLarge, "PAT, PMT and a key frame"},
		"a picture":          {huge.bytes(), ErrTooLarge, "in 100000 bytes"},
		"garbage":            {make([]byte, 2<<20), ErrMalformed, "no MPEG-TS packet in 1048576 bytes"},
		"sound that is lost": {latm.bytes(), ErrUnsupported, "MPEG-1 or MPEG-2 audio"},
		"half a packet":      {append(noKey.bytes()[:188*20], 0x47, 1, 2), ErrTruncated, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := streamed(t, bytes.NewReader(c.body), lim)
			require.ErrorIs(t, err, c.want)
			require.Contains(t, err.Error(), c.says)
		})
	}
}

// account is a budget that looks at what is held.
type account struct {
	held, most, limit int64
}

func (a *account) Take(n int64) error {
	if a.held+n > a.limit {
		return errors.New("too much")
	}
	a.held += n
	a.most = max(a.most, a.held)
	return nil
}

func (a *account) Give(n int64) { a.held -= n }

func TestAnEndlessTransportStreamHoldsLittle(t *testing.T) {
	m := newMuxer(t, aacTrack())
	m.gops(sps1(t), 250, 0, 5000)
	a := &account{limit: 1 << 20}
	r := NewTSReader(bytes.NewReader(m.bytes()), DefaultLimits)
	r.Charge(a)
	for {
		_, err := r.Next()
		if err != nil {
			require.Equal(t, io.EOF, err)
			break
		}
	}
	require.Zero(t, a.held)
	require.Positive(t, a.most)
	require.Less(t, a.most, int64(2000), "half a second")
	r = NewTSReader(bytes.NewReader(m.bytes()), DefaultLimits)
	r.Charge(&account{limit: 100})
	for err := error(nil); err == nil; {
		if _, err = r.Next(); err != nil {
			require.EqualError(t, err, "too much")
		}
	}
}

func TestWhatCameWholeOfATransportStreamThatBrokeOffIsThere(t *testing.T) {
	m := newMuxer(t, aacTrack())
	m.gops(sps1(t), 25, 0, 40)
	broken := errors.New("broken")
	flows, err := streamed(t, io.MultiReader(bytes.NewReader(m.bytes()), iotest.ErrReader(broken)), DefaultLimits)
	require.ErrorIs(t, err, broken)
	for _, f := range flows {
		if f.track.Kind == media.Video {
			require.Len(t, f.samples, 39, "the last may not be whole")
		}
	}
}

func TestHowMuchMediaATransportStreamHasIsTold(t *testing.T) {
	m := newMuxer(t, aacTrack())
	m.gops(sps1(t), 25, 0, 100)
	body := append([]byte("garbage"), m.bytes()...)
	for _, c := range []struct {
		seconds float64
		want    bool
	}{{3.9, true}, {4.1, false}} {
		got, err := Outlasts(bytes.NewReader(body), func(d time.Duration) bool { return d.Seconds() >= c.seconds })
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	_, err := Outlasts(iotest.ErrReader(io.ErrUnexpectedEOF), func(time.Duration) bool { return true })
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func FuzzTSReader(f *testing.F) {
	m := newMuxer(f, aacTrack())
	m.gops(sps1(f), 5, 0, 12)
	body := m.bytes()
	for _, b := range [][]byte{nil, {0x47}, body, body[:len(body)-3], body[50:], bytes.Repeat(body[:188], 5), append(bytes.Clone(body), body...)} {
		f.Add(b)
	}
	for _, at := range []int{5, 188 + 5, 188 + 12, 2*188 + 4, 2*188 + 20, 3*188 + 30} {
		for _, v := range []byte{0, 1, 0xff} {
			b := bytes.Clone(body)
			b[at] = v
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded(t, len(b), func() {
			_, err := streamed(t, bytes.NewReader(b), fuzzLimits)
			require.Error(t, err)
			if !errors.Is(err, io.EOF) {
				require.True(t, errors.Is(err, ErrMalformed) || errors.Is(err, ErrUnsupported) || errors.Is(err, ErrTooLarge) ||
					errors.Is(err, ErrTruncated) || errors.Is(err, ErrNoInit), err)
			}
			_, err = Outlasts(bytes.NewReader(b), func(time.Duration) bool { return false })
			require.NoError(t, err)
		})
	})
}

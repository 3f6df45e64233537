package demux

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
	"github.com/stretchr/testify/require"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// muxer writes a synthetic HLS segment.
type muxer struct {
	t     testing.TB
	w     *mpegts.Writer
	out   bytes.Buffer
	video *mpegts.Track
	audio *mpegts.Track
	spare *mpegts.Track
}

const frameTime = clockRate / 25

func newMuxer(t testing.TB, audio codecs.Codec) *muxer {
	m := &muxer{t: t, video: &mpegts.Track{Codec: &codecs.H264{}}, audio: &mpegts.Track{Codec: audio, Language: "fra"},
		spare: &mpegts.Track{Codec: &codecs.KLV{}}}
	m.w = &mpegts.Writer{W: &m.out, Tracks: []*mpegts.Track{m.video, m.audio, m.spare}}
	require.NoError(t, m.w.Initialize())
	_, err := m.w.WriteTables()
	require.NoError(t, err)
	return m
}

func aacTrack() codecs.Codec {
	return &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
		Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2, ChannelCount: 2}}
}

func fromHex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// NAL units of x264: parameter sets of 160x90 and 320x180 at 25 Hz, and made-up slices.
func sps1(t testing.TB) []byte { return fromHex(t, "6742c00bda0a37e4c044000003000400000300c83c50aa80") }
func sps2(t testing.TB) []byte { return fromHex(t, "6742c00cda05067e7c0440000003004000000c83c50aa8") }

var (
	pps      = []byte{0x68, 0xce, 0x0f, 0xc8}
	aud      = []byte{9, 0xf0}
	filler   = []byte{12, 0xff, 0x80}
	idr      = []byte{0x65, 1, 2, 3}
	slice    = []byte{0x41, 4, 5}
	recovery = []byte{6, 6, 1, 0xc4, 0x80}
)

func (m *muxer) picture(pts, dts int64, nals ...[]byte) {
	require.NoError(m.t, m.w.WriteH264(m.video, pts, dts, nals))
}

func (m *muxer) aac(pts int64, frames ...string) {
	var aus [][]byte
	for _, f := range frames {
		aus = append(aus, []byte(f))
	}
	require.NoError(m.t, m.w.WriteMPEG4Audio(m.audio, pts, aus))
}

func (m *muxer) bytes() []byte { return bytes.Clone(m.out.Bytes()) }

// tracks returns the fragments of a segment and their bytes.
func tracks(t *testing.T, body []byte) (map[media.Kind]*Fragment, map[media.Kind]string) {
	t.Helper()
	got, err := ReadTS(bytes.NewReader(body), DefaultLimits)
	require.NoError(t, err)
	frags, data := map[media.Kind]*Fragment{}, map[media.Kind]string{}
	for i := range got {
		b, err := io.ReadAll(got[i].Body)
		require.NoError(t, err)
		frags[got[i].Track.Kind], data[got[i].Track.Kind] = &got[i], string(b)
	}
	return frags, data
}

func TestTransportStreamBecomesSamples(t *testing.T) {
	m := newMuxer(t, aacTrack())
	m.picture(3*frameTime, frameTime, aud, sps1(t), pps, filler, idr)
	m.picture(5*frameTime, 2*frameTime, aud, slice)
	m.aac(1000, "first", "second")
	m.picture(4*frameTime, 3*frameTime, aud, slice, filler)
	m.aac(1000+2*1920, "third")
	frags, data := tracks(t, m.bytes())

	v, a := frags[media.Video], frags[media.Audio]
	require.Equal(t, "\x00\x00\x00\x04\x65\x01\x02\x03\x00\x00\x00\x03\x41\x04\x05\x00\x00\x00\x03\x41\x04\x05", data[media.Video])
	require.Equal(t, []cmaf.Sample{
		{Duration: frameTime, Size: 8, Sync: true}, {Duration: frameTime, Size: 7, CompositionOffset: frameTime},
		{Duration: frameTime, Size: 7, CompositionOffset: -frameTime},
	}, v.Samples)
	require.EqualValues(t, 3*frameTime, v.Time)
	require.EqualValues(t, 3*frameTime, v.PTS)
	require.Equal(t, "avc1.42c00b", v.Track.Config.Codec)
	require.Equal(t, []int{160, 90}, []int{v.Track.Config.Width, v.Track.Config.Height})

	require.Equal(t, "firstsecondthird", data[media.Audio])
	require.Equal(t, []cmaf.Sample{{Duration: 1024, Size: 5, Sync: true}, {Duration: 1024, Size: 6, Sync: true},
		{Duration: 1024, Size: 5, Sync: true}}, a.Samples)
	require.EqualValues(t, 533, a.Time, "1000 / 90000 s, to the nearest tick")
	require.EqualValues(t, 1000, a.PTS)
	require.Equal(t, "fr", a.Track.Language)
	require.Equal(t, 2, a.Track.Config.Channels)
	require.Zero(t, a.Lost+v.Lost)
}

func TestClockThatWrapsInsideTheSegment(t *testing.T) {
	m := newMuxer(t, aacTrack())
	const at = clockPeriod - frameTime - 10
	m.picture(at, at, sps1(t), pps, idr)
	m.picture(at+frameTime, at+frameTime, slice)
	m.picture(at+2*frameTime, at+2*frameTime, slice)
	m.aac(clockPeriod-1920, "one")
	m.aac(clockPeriod, "two")
	m.aac(clockPeriod+1920, "three")
	frags, _ := tracks(t, m.bytes())
	v, a := frags[media.Video], frags[media.Audio]
	require.EqualValues(t, at, v.Time)
	require.EqualValues(t, 3*frameTime, v.Duration())
	require.EqualValues(t, clockPeriod-1920, a.PTS)
	require.EqualValues(t, media.At(clockPeriod-1920, clockRate).Round(48000), a.Time)
	require.EqualValues(t, 3*1024, a.Duration())
}

func TestParameterSets(t *testing.T) {
	t.Run("that change in the segment stay in band from there on", func(t *testing.T) {
		m := newMuxer(t, aacTrack())
		m.picture(0, 0, sps1(t), pps, idr)
		m.picture(frameTime, frameTime, sps1(t), pps, idr)
		m.picture(2*frameTime, 2*frameTime, sps2(t), pps, idr)
		m.picture(3*frameTime, 3*frameTime, sps1(t), pps, idr)
		frags, _ := tracks(t, m.bytes())
		v := frags[media.Video]
		require.Equal(t, 160, v.Track.Config.Width)
		sizes := []int{8, 8, 8 + 4 + len(sps2(t)) + 8, 8 + 4 + len(sps1(t)) + 8}
		for i, s := range v.Samples {
			require.EqualValues(t, sizes[i], s.Size)
		}
	})
	t.Run("that are missing are told as a missing header", func(t *testing.T) {
		m := newMuxer(t, aacTrack())
		m.picture(0, 0, idr)
		_, err := ReadTS(bytes.NewReader(m.bytes()), DefaultLimits)
		require.ErrorIs(t, err, ErrNoInit)
	})
}

func TestPicturesBeforeTheFirstSyncSample(t *testing.T) {
	t.Run("are left out and counted", func(t *testing.T) {
		m := newMuxer(t, aacTrack())
		m.picture(0, 0, slice)
		m.picture(frameTime, frameTime, sps1(t), pps, idr)
		frags, data := tracks(t, m.bytes())
		require.Len(t, frags[media.Video].Samples, 1)
		require.Len(t, data[media.Video], 8)
		require.EqualValues(t, frameTime, frags[media.Video].Time)
		require.Equal(t, 1, frags[media.Video].Lost)
	})
	t.Run("alone are malformed", func(t *testing.T) {
		m := newMuxer(t, aacTrack())
		m.picture(0, 0, sps1(t), pps, slice)
		_, err := ReadTS(bytes.NewReader(m.bytes()), DefaultLimits)
		require.ErrorIs(t, err, ErrMalformed)
	})
	t.Run("may end at a recovery point of an open group of pictures", func(t *testing.T) {
		m := newMuxer(t, aacTrack())
		m.picture(0, 0, sps1(t), pps, recovery, slice)
		m.picture(frameTime, frameTime, slice)
		frags, _ := tracks(t, m.bytes())
		require.True(t, frags[media.Video].Samples[0].Sync)
		require.False(t, frags[media.Video].Samples[1].Sync)
	})
}

// threePictures is a segment whose second picture takes several packets, and ten audio frames.
func threePictures(t *testing.T) []byte {
	m := newMuxer(t, aacTrack())
	big := append(bytes.Clone(slice), bytes.Repeat([]byte{0x77}, 600)...)
	m.picture(0, 0, sps1(t), pps, idr)
	m.picture(frameTime, frameTime, big)
	m.picture(2*frameTime, 2*frameTime, slice)
	for i := range 10 {
		m.aac(int64(i)*1920, "frame")
	}
	return m.bytes()
}

// packetAt returns where the n-th packet of a PID lies in body.
func packetAt(t *testing.T, body []byte, pid uint16, n int) int {
	for i := 0; i < len(body); i += packetSize {
		if pidOf(body[i:]) == pid {
			if n == 0 {
				return i
			}
			n--
		}
	}
	require.Fail(t, "no such packet")
	return 0
}

func TestDamageIsSkippedAndCounted(t *testing.T) {
	body := threePictures(t)
	good, data := tracks(t, body)
	v, a := good[media.Video], good[media.Audio]
	vpid, apid := uint16(v.Track.Source), uint16(a.Track.Source)

	t.Run("garbage before and between packets", func(t *testing.T) {
		at := packetAt(t, body, vpid, 2)
		_, got := tracks(t, cat([]byte("GARBAGE\x47G"), body[:at], []byte("xx\x47xx"), body[at:], []byte("tail")))
		require.Equal(t, data, got)
	})
	t.Run("a flipped sync byte", func(t *testing.T) {
		b := bytes.Clone(body)
		b[packetAt(t, body, vpid, 2)] = 0
		_, got := tracks(t, b)
		require.Equal(t, data, got)
	})
	t.Run("a packet sent twice", func(t *testing.T) {
		at := packetAt(t, body, vpid, 2)
		f, got := tracks(t, cat(body[:at+packetSize], body[at:at+packetSize], body[at+packetSize:]))
		require.Equal(t, data, got)
		require.Zero(t, f[media.Video].Lost)
	})
	t.Run("a lost packet of a picture, whose time the picture before fills", func(t *testing.T) {
		at := packetAt(t, body, vpid, 2)
		f, _ := tracks(t, cat(body[:at], body[at+packetSize:]))
		require.Len(t, f[media.Video].Samples, 2)
		require.EqualValues(t, 2*frameTime, f[media.Video].Samples[0].Duration)
		require.Positive(t, f[media.Video].Lost)
		require.Zero(t, f[media.Audio].Lost)
	})
	t.Run("a lost audio packet, which leaves what follows in time", func(t *testing.T) {
		at := packetAt(t, body, apid, 4)
		f, _ := tracks(t, cat(body[:at], body[at+packetSize:]))
		require.Positive(t, f[media.Audio].Lost)
		require.Less(t, len(f[media.Audio].Samples), 10)
		require.Equal(t, a.Duration(), f[media.Audio].Duration())
	})
}

func TestTransportStreamsThatAreRefused(t *testing.T) {
	body := threePictures(t)
	good, _ := tracks(t, body)
	vpid := uint16(good[media.Video].Track.Source)
	t.Run("a packet cut short is truncation", func(t *testing.T) {
		_, err := ReadTS(bytes.NewReader(body[:len(body)-1]), DefaultLimits)
		require.ErrorIs(t, err, ErrTruncated)
		_, err = ReadTS(io.MultiReader(bytes.NewReader(body), iotest.ErrReader(io.ErrUnexpectedEOF)), DefaultLimits)
		require.ErrorIs(t, err, ErrTruncated)
	})
	t.Run("scrambling is not supported", func(t *testing.T) {
		b := bytes.Clone(body)
		b[packetAt(t, body, vpid, 0)+3] |= 0x80
		_, err := ReadTS(bytes.NewReader(b), DefaultLimits)
		require.ErrorIs(t, err, ErrUnsupported)
	})
	t.Run("limits hold", func(t *testing.T) {
		lim := DefaultLimits
		lim.Fragment = int64(len(body) - 1)
		_, err := ReadTS(bytes.NewReader(body), lim)
		require.ErrorIs(t, err, ErrTooLarge)
		lim = DefaultLimits
		lim.Samples = 2
		_, err = ReadTS(bytes.NewReader(body), lim)
		require.ErrorIs(t, err, ErrTooLarge)
	})
	t.Run("what is no transport stream is malformed", func(t *testing.T) {
		for _, b := range [][]byte{nil, []byte("hello"), bytes.Repeat([]byte{0x47}, 188*5), make([]byte, 188*5)} {
			_, err := ReadTS(bytes.NewReader(b), DefaultLimits)
			require.ErrorIs(t, err, ErrMalformed)
		}
		_, err := ReadTS(iotest.ErrReader(errors.New("reset")), DefaultLimits)
		require.ErrorContains(t, err, "reset")
	})
}

func TestTimesThatJumpInsideASegmentAreMalformed(t *testing.T) {
	for name, next := range map[string]int64{"forward by an hour": 3600 * clockRate, "back": -5 * frameTime} {
		t.Run(name, func(t *testing.T) {
			m := newMuxer(t, aacTrack())
			m.picture(10*frameTime, 10*frameTime, sps1(t), pps, idr)
			m.picture(10*frameTime+next, 10*frameTime+next, slice)
			_, err := ReadTS(bytes.NewReader(m.bytes()), DefaultLimits)
			require.ErrorIs(t, err, ErrMalformed)
		})
	}
	t.Run("of audio, too", func(t *testing.T) {
		m := newMuxer(t, aacTrack())
		m.aac(0, "a")
		m.aac(60*clockRate, "b")
		_, err := ReadTS(bytes.NewReader(m.bytes()), DefaultLimits)
		require.ErrorIs(t, err, ErrMalformed)
	})
}

func TestEAC3SubstreamsOfOneInstantAreOneSample(t *testing.T) {
	frame := func(kind, id, size, acmod, chanmap int) []byte {
		var v uint64
		n := 0
		put := func(bits, x int) { v, n = v<<bits|uint64(x), n+bits }
		put(16, 0x0b77)
		put(2, kind)
		put(3, id)
		put(11, size/2-1)
		put(2, 0) // 48 kHz
		put(2, 3) // six blocks
		put(3, acmod)
		put(1, 1)
		put(5, 16)
		put(5, 0)
		put(1, 0) // no compr
		b := make([]byte, size)
		tail := uint64(0)
		if kind == 1 {
			tail = uint64(1<<16 | chanmap)
		}
		v, n = v<<13|tail>>4, n+13
		for i := range 8 {
			b[i] = byte(v >> (n - 8 - 8*i))
		}
		b[8] = byte(tail << 4)
		return b
	}
	main51 := frame(0, 0, 64, 7, 0)
	back := frame(1, 0, 32, 6, 1<<9) // Lrs/Rrs
	s := &stream{codec: eac3}
	for i := range 3 {
		s.units = append(s.units, unit{pts: int64(i) * 2880, data: cat(main51, back)})
	}
	f, err := s.audio(DefaultLimits)
	require.NoError(t, err)
	require.Len(t, f.Samples, 3)
	require.Equal(t, cmaf.Sample{Duration: 1536, Size: 96, Sync: true}, f.Samples[1])
	require.Equal(t, "ec-3", f.Track.Config.Codec)
	require.Equal(t, 8, f.Track.Config.Channels, "5.1 and a pair")
	require.Equal(t, 24000, f.Track.Bitrate)
}

func TestAudioSpecificConfig(t *testing.T) {
	for _, c := range []struct {
		name, asc, codec string
		rate, channels   int
	}{
		{"LC", "1190", "mp4a.40.2", 48000, 2},
		{"LC that says it has no SBR, as Smooth encoders write it", "118856e500", "mp4a.40.2", 48000, 1},
		{"HE-AAC, backward compatible", "131056e598", "mp4a.40.5", 48000, 2},
		{"HE-AAC v2, backward compatible", "130856e59d4880", "mp4a.40.29", 48000, 2},
		{"HE-AAC, hierarchical", "2b118800", "mp4a.40.5", 48000, 2},
		{"HE-AAC v2, hierarchical", "eb098800", "mp4a.40.29", 48000, 2},
		{"5.1", "11b0", "mp4a.40.2", 48000, 6},
		{"an odd rate", "17801f4010", "mp4a.40.2", 16000, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := aacEntry(fromHex(t, c.asc))
			require.NoError(t, err)
			require.Equal(t, c.codec, e.codec)
			require.Equal(t, []int{c.rate, c.channels}, []int{e.sampleRate, e.channels})
		})
	}
	for _, bad := range []string{"", "11", "1790", "0000"} {
		_, err := aacEntry(fromHex(t, bad))
		require.ErrorIs(t, err, ErrMalformed, bad)
	}
}

func TestLanguages(t *testing.T) {
	for code, tag := range map[string]string{"eng": "en", "deu": "de", "ger": "de", "zul": "zu", "aar": "aa", "bam": "bm", "baq": "eu",
		"gsw": "gsw", "und": "", "": "", "e g": "", "\x00\x00\x00": ""} {
		require.Equal(t, tag, languageTag(code), code)
	}
	require.EqualValues(t, undetermined, packLanguage("und"))
	require.EqualValues(t, undetermined, packLanguage("EN"))
}

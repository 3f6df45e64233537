package demux

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// liveBox is a LiveServerManifest box with a document as ffmpeg writes it around what body says.
func liveBox(text string) []byte {
	return wrapBox(uuidBox, cat(uuidManifest[:], []byte{0, 0, 0, 0}, []byte(text)))
}

func smil(body string) string {
	return `<?xml version="1.0" encoding="utf-8"?><smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head>` +
		`<meta name="creator" content="e" /></head><body><switch>` + body + `</switch></body></smil>`
}

func param(name, value string) string {
	return fmt.Sprintf(`<param name="%s" value="%s" valuetype="data"/>`, name, value)
}

// beforeMoov puts a box between the ftyp and the moov of a header.
func beforeMoov(head, b []byte) []byte {
	at := bytes.Index(head, []byte("moov")) - 4
	return cat(head[:at], b, head[at:])
}

func TestLiveServerManifestSaysWhatTheHeaderDoesNot(t *testing.T) {
	private := append(cat([]byte{0, 0, 0, 1}, sps1(t), []byte{0, 0, 0, 1}), pps...)
	text := smil(`<video systemBitrate="300000">`+param("trackID", "7")+param("CodecPrivateData", hex.EncodeToString(private))+`</video>`+
		`<audio systemBitrate="1" systemLanguage="fra">`+param("TRACKID", "8")+param("SystemBitrate", "64000")+
		param("CodecPrivateData", "1190")+`</audio>`) +
		"trailing"
	bare := func(box string) func(e *entry) {
		return func(e *entry) {
			if box != "" {
				v, err := avcEntry([][]byte{sps1(t)}, [][]byte{pps}, cat(fromHex(t, "0142c00bffe10018"), sps1(t), []byte{1, 0, 4}, pps))
				require.NoError(t, err)
				*e = v
			}
			e.boxes = nil
		}
	}
	head := headerOf(t, trackSpec{id: 7, timescale: 10_000_000, entry: bare("avcC")}, trackSpec{id: 8, timescale: 10_000_000, entry: bare("")})
	head = bytes.ReplaceAll(head, []byte{0x10, 0xb5, 0, 0}, []byte{0x55, 0xc4, 0, 0}) // deu, und
	_, err := ParseInit(head)
	require.ErrorIs(t, err, ErrMalformed, "nothing says what is in the samples")

	units := utf16.Encode([]rune(text))
	little, big := []byte{0xff, 0xfe}, []byte{0xfe, 0xff}
	for _, u := range units {
		little, big = binary.LittleEndian.AppendUint16(little, u), binary.BigEndian.AppendUint16(big, u)
	}
	for name, b := range map[string]string{"UTF-8": text, "with a mark": "\xef\xbb\xbf" + text, "UTF-16": string(little), "of the other order": string(big)} {
		t.Run(name, func(t *testing.T) {
			raw := beforeMoov(head, liveBox(b))
			in, err := ParseInit(raw)
			require.NoError(t, err)
			require.True(t, in.Smooth)
			require.Equal(t, raw, in.Raw, "what a server keeps says the same")
			v, a := in.Tracks[0], in.Tracks[1]
			require.Equal(t, "avc1.42c00b", v.Config.Codec)
			require.Equal(t, []int{160, 90}, []int{v.Config.Width, v.Config.Height})
			require.Equal(t, 300000, v.Bitrate)
			require.Empty(t, v.Language)
			require.Equal(t, "mp4a.40.2", a.Config.Codec)
			require.Equal(t, 64000, a.Bitrate)
			require.Equal(t, "fr", a.Language)

			r := NewMP4Reader(bytes.NewReader(raw), nil, DefaultLimits)
			ev, err := r.Next()
			require.NoError(t, err)
			require.Equal(t, in, ev.Init, "an endless upload that begins so is understood so")
		})
	}
}

func TestLiveServerManifestIsAdvisory(t *testing.T) {
	const better = `<audio systemBitrate="5" systemLanguage="en-GB">`
	head := oneAudio(t)
	for name, b := range map[string]string{
		"no text":                 "",
		"no document":             "hello",
		"a document cut short":    smil(better + param("trackID", "1"))[:150],
		"another track":           smil(better + param("trackID", "2") + "</audio>"),
		"no track":                smil(better + "</audio>"),
		"a bad number and no hex": smil(`<audio>` + param("trackID", "1") + param("systemBitrate", "x") + param("CodecPrivateData", "zz") + "</audio>"),
		"far too long":            smil(better + param("trackID", "1") + "</audio>" + strings.Repeat(" ", maxLiveManifest)),
	} {
		in, err := ParseInit(beforeMoov(head, liveBox(b)))
		require.NoError(t, err, name)
		require.Zero(t, in.Tracks[0].Bitrate, name)
		require.Equal(t, "de", in.Tracks[0].Language, "%s: what the header says goes before", name)
	}
	und := bytes.ReplaceAll(head, []byte{0x10, 0xb5, 0, 0}, []byte{0x55, 0xc4, 0, 0})
	in, err := ParseInit(beforeMoov(und, liveBox(smil(better+param("trackID", "1")+"</audio>"))))
	require.NoError(t, err)
	require.Equal(t, "en-GB", in.Tracks[0].Language)
	require.Contains(t, string(in.Tracks[0].Config.Header), "elng", "what three letters do not say")
	require.Equal(t, 5, in.Tracks[0].Bitrate)

	other := userType{1}
	frags, _, err := drain(cat(head, wrapBox(uuidBox, other[:]), wrapBox(uuidBox, nil), simple(0, "ab"), boxOf("mfra", "")), nil, DefaultLimits)
	require.ErrorContains(t, err, "EOF")
	require.Len(t, frags, 1, "other uuid boxes, and the empty mfra of the end, mean nothing")
}

func TestTimesOfSmooth(t *testing.T) {
	tfxd := func(version byte, body ...uint32) func(w *boxWriter) {
		return func(w *boxWriter) {
			w.box(uuidBox, func() {
				w.b = append(w.b, uuidTfxd[:]...)
				w.b = append(w.b, version, 0, 0, 0)
				w.u32(body...)
			})
		}
	}
	at := func(extra func(*boxWriter)) (int64, error) {
		frags, _, err := drain(cat(oneAudio(t), fragmentOf("ab", trafSpec{id: 1, none: true, extra: extra, runs: []runSpec{{0, []uint32{2}}}})), nil,
			DefaultLimits)
		if len(frags) == 0 {
			return 0, err
		}
		return frags[0].Time, nil
	}
	for _, c := range []struct {
		extra func(*boxWriter)
		want  int64
	}{
		{tfxd(0, 90000, 1), 90000},
		{tfxd(0, 1<<31, 1), 1 << 31}, // 32 bits are not signed
		{tfxd(1, 1, 2, 0, 5), 1<<32 + 2},
		{tfxd(1, 0xffffffff, 0xfffcbeab, 0, 5), -213333}, // the priming of ffmpeg's AAC
		{tfxd(2, 0, 7, 0, 5, 0, 1), 7},                   // an index of the fragment follows
	} {
		got, err := at(c.extra)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	for _, bad := range []func(*boxWriter){tfxd(0), tfxd(0, 1), tfxd(1, 0, 1), tfxd(1, 1<<30, 0, 0, 0)} {
		_, err := at(bad)
		require.ErrorIs(t, err, ErrMalformed)
	}
	_, err := at(func(w *boxWriter) { w.box(uuidBox, func() { w.b = append(w.b, uuidSenc[:]...) }) })
	require.ErrorIs(t, err, ErrUnsupported, "encrypted")
}

func TestSmoothPushOfFFmpegDeclaresItsTracks(t *testing.T) {
	t.Parallel()
	body := read(t, encode(t, x264+twoB+"-b:v 300k -metadata:s:a:0 language=fra "+aac+"-f ismv -movflags frag_keyframe+isml o.ismv"), "o.ismv")
	got := readAll(t, body, nil)
	require.Equal(t, 300_000, got[media.Video].track.Bitrate)
	require.Equal(t, "fr", got[media.Audio].track.Language)
	require.EqualValues(t, 10_000_000, got[media.Video].track.Timescale)
	require.Zero(t, got[media.Video].first, "composition offsets are negative: the first picture is at the time that tfxd says")
	require.EqualValues(t, -213_333, got[media.Audio].first)
}

func FuzzLiveManifest(f *testing.F) {
	f.Add([]byte(smil(`<video systemBitrate="300000">` + param("trackID", "1") + param("CodecPrivateData", "000000016742c00b") + `</video>`)))
	f.Add([]byte("\xff\xfe<\x00a\x00"))
	f.Add([]byte("\xfe\xff\x00"))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte("<video>"), 1000))
	f.Fuzz(func(t *testing.T, text []byte) {
		b := liveBox(string(text))
		for _, tr := range parseLiveManifest(box{name: uuidBox, raw: b, body: b[8:]}) {
			require.GreaterOrEqual(t, tr.bitrate, 0)
			for _, c := range []codec{h264, h265} {
				if _, ok, err := tr.visualEntry(c); err != nil {
					require.True(t, ok)
				}
			}
		}
	})
}

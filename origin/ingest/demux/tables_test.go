package demux

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

func TestAudioOfTransportStreamsOfFFmpeg(t *testing.T) {
	const ts = " -f mpegts o.ts"
	t.Run("that cannot be packaged is refused by name, if there is no other", func(t *testing.T) {
		for args, want := range map[string]string{
			x264 + aac + "-mpegts_flags latm" + ts: "AAC in LATM on PID 257",
			x264 + "-c:a mp2" + ts:                 "MPEG-1 or MPEG-2 audio on PID 257",
			onlyA + "-c:a mp2" + ts:                "MPEG-1 or MPEG-2 audio on PID 256",
		} {
			_, err := ReadTS(bytes.NewReader(read(t, encode(t, args), "o.ts")), DefaultLimits)
			require.ErrorIs(t, err, ErrUnsupported)
			require.ErrorContains(t, err, want)
		}
		got, err := ReadTS(bytes.NewReader(read(t, encode(t, x264+"-map 1:a -c:a:0 mp2 -c:a:1 aac"+ts), "o.ts")), DefaultLimits)
		require.NoError(t, err)
		require.Len(t, got, 2)
	})
	t.Run("in several languages is told apart", func(t *testing.T) {
		got, err := ReadTS(bytes.NewReader(read(t, encode(t, x264+"-map 1:a -map 1:a -c:a:0 aac -c:a:1 ac3 -c:a:2 aac -ac:a:2 1 "+
			"-metadata:s:a:0 language=fra -metadata:s:a:2 language=deu"+ts), "o.ts")), DefaultLimits)
		require.NoError(t, err)
		require.Len(t, got, 4)
		for i, want := range []struct {
			codec, language string
			channels        int
		}{{"mp4a.40.2", "fr", 1}, {"ac-3", "", 1}, {"mp4a.40.2", "de", 1}} {
			tr := got[i+1].Track
			require.Equal(t, i, tr.Index)
			require.Equal(t, want.codec, tr.Config.Codec)
			require.Equal(t, want.language, tr.Language)
			require.Equal(t, want.channels, tr.Config.Channels)
		}
	})
}

func TestTablesMayComeLate(t *testing.T) {
	body := threePictures(t)
	_, want := tracks(t, body)
	pmt := pidOf(body[packetSize:])
	apart := func(pids ...uint16) (tables, rest []byte) {
		for i := 0; i < len(body); i += packetSize {
			if p := body[i : i+packetSize]; slices.Contains(pids, pidOf(p)) {
				tables = append(tables, p...)
			} else {
				rest = append(rest, p...)
			}
		}
		return tables, rest
	}
	tables, media := apart(0, pmt)
	_, got := tracks(t, cat(media, tables))
	require.Equal(t, want, got)
	for pid, name := range map[uint16]string{0: "PAT", pmt: "PMT"} {
		_, b := apart(pid)
		_, err := ReadTS(bytes.NewReader(b), DefaultLimits)
		require.ErrorIs(t, err, ErrMalformed)
		require.ErrorContains(t, err, "without "+name)
	}
}

// TestHEAACInADTS: its header tells of the core alone, at half the rate of what comes out.
func TestHEAACInADTS(t *testing.T) {
	frame := fromHex(t, "fff15880017ffc61626364") // LC, 24 kHz, stereo, 11 bytes
	s := &stream{codec: aacADTS, units: []unit{{pts: 0, dts: 0, data: cat(frame, frame)}}}
	f, err := s.audio(DefaultLimits)
	require.NoError(t, err)
	require.EqualValues(t, 24000, f.Track.Timescale)
	require.EqualValues(t, 2048, f.Duration(), "of the core, which lasts as long")
}

// longBox writes a box's size in 64 bits.
func longBox(b []byte) []byte {
	out := cat([]byte{0, 0, 0, 1}, b[4:8], binary.BigEndian.AppendUint64(nil, uint64(len(b)+8)))
	return append(out, b[8:]...)
}

func TestLayoutsOfFragments(t *testing.T) {
	head := oneAudio(t)
	whole := simple(7, "abcd")
	moof, mdat := whole[:len(whole)-12], whole[len(whole)-12:]
	twice := fragmentOf("abcdef", trafSpec{id: 1, time: 7, runs: []runSpec{{0, []uint32{4}}}},
		trafSpec{id: 1, time: 7 + 1024, runs: []runSpec{{4, []uint32{2}}}})
	for _, c := range []struct {
		name  string
		body  []byte
		data  []string
		times []int64
	}{
		{"a moof and an mdat with 64-bit sizes", cat(longBox(head[:20]), longBox(head[20:]), longBox(moof), longBox(mdat)), []string{"abcd"}, []int64{7}},
		{"a moov with a 64-bit size behind boxes of which nothing is known", cat(boxOf("\xa9xyz", "1"), longBox(head[20:]), whole),
			[]string{"abcd"}, []int64{7}},
		{"other boxes between moof and mdat", cat(head, moof, boxOf("free", "123"), boxOf("emsg", "45"), mdat), []string{"abcd"}, []int64{7}},
		{"boxes of no bytes", cat(head, boxOf("free", ""), moof, boxOf("skip", ""), mdat, boxOf("mdat", "")), []string{"abcd"}, []int64{7}},
		{"two track fragments of one track", cat(head, twice), []string{"abcd", "ef"}, []int64{7, 7 + 1024}},
		{"a moof of nothing, and its mdat", cat(head, boxOf("moof", ""), boxOf("mdat", ""), whole), []string{"abcd"}, []int64{7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			frags, data, err := drain(c.body, nil, DefaultLimits)
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, c.data, data)
			for i, f := range frags {
				require.Equal(t, c.times[i], f.Time)
				require.Equal(t, media.Audio, f.Track.Kind)
			}
		})
	}
}

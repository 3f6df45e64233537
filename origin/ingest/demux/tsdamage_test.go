package demux

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// numbered returns size bytes that are not like those of another picture or at another place.
func numbered(n, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = 0x80 | byte(i*31+i>>8+n)
	}
	b[0] = byte(100 + n)
	return b
}

// counted writes 50 pictures, one second a group of pictures, of which each can be told from the others, and as much sound.
func counted(t *testing.T, size int) []byte {
	m := newMuxer(t, aacTrack())
	for n := range 50 {
		at := int64(n) * frameTime
		nal := append([]byte{0x41}, numbered(n, size)...)
		nals := [][]byte{aud, nal}
		if n%25 == 0 {
			nal[0] = 0x65
			nals = [][]byte{aud, sps1(t), pps, nal}
		}
		m.picture(at, at, nals...)
		m.aac(at/1920*1920, "sound")
	}
	return m.bytes()
}

// whole requires that every picture of a track in data is one of counted, with all of its bytes, and returns their numbers.
func whole(t *testing.T, data string, size int) (numbers []int) {
	t.Helper()
	for b := []byte(data); len(b) > 0; b = b[5+size:] {
		require.GreaterOrEqual(t, len(b), 5+size)
		require.EqualValues(t, 1+size, int(b[2])<<8|int(b[3]))
		n := int(b[5]) - 100
		require.Equal(t, numbered(n, size), b[5:5+size])
		numbers = append(numbers, n)
	}
	return numbers
}

func TestAPictureThatLacksPacketsIsDroppedWhole(t *testing.T) {
	const size = 5000 // 28 packets
	body := counted(t, size)
	const vpid = 256
	first := packetAt(t, body, vpid, 3*28+4) // in the fourth picture, where no other stream stands between
	for first/packetSize%30 == 0 {
		first += packetSize
	}
	without := func(n int) []byte { return cat(body[:first], body[first+n*packetSize:]) }
	for name, damaged := range map[string][]byte{
		"a packet":        without(1),
		"fifteen packets": without(15), // the counter is where it was
		"a transport error": func() []byte {
			b := bytes.Clone(body)
			b[first+1] |= transportError
			return b
		}(),
		"half a packet": cat(body[:first+100], body[first+packetSize:]),
		"the last bytes of a packet, before another stream": func() []byte {
			at := first
			for pidOf(body[at+packetSize:]) == vpid {
				at += packetSize
			}
			return cat(body[:at+150], body[at+packetSize:])
		}(),
		"bytes of two packets": cat(body[:first+100], body[first+packetSize+60:]),
	} {
		t.Run(name, func(t *testing.T) {
			frags, data := tracks(t, damaged)
			numbers := whole(t, data[media.Video], size)
			require.Len(t, numbers, 49)
			require.Positive(t, frags[media.Video].Lost)
			require.EqualValues(t, 50*frameTime, frags[media.Video].Duration(), "the picture before lasts on")

			flows, err := streamed(t, bytes.NewReader(damaged), DefaultLimits)
			require.ErrorIs(t, err, io.EOF)
			for _, f := range flows {
				if f.track.Kind == media.Video {
					require.Equal(t, numbers, whole(t, string(f.data), size))
					require.Positive(t, f.lost)
					f.gapless(t)
				}
			}
		})
	}
}

func TestASoundThatIsWholeStaysWhenTheNextIsLost(t *testing.T) {
	body := threePictures(t)
	good, _ := tracks(t, body)
	apid := uint16(good[media.Audio].Track.Source)
	at := packetAt(t, body, apid, 4)
	f, _ := tracks(t, cat(body[:at], body[at+packetSize:]))
	require.Len(t, f[media.Audio].Samples, 9, "only the one that is missing")
	require.Equal(t, good[media.Audio].Duration(), f[media.Audio].Duration(), "what follows keeps its time")
}

func TestTablesThatComeLate(t *testing.T) {
	body := counted(t, 100)
	tables := body[:2*packetSize]
	only := func(b []byte, keep func(pid uint16) bool) (out []byte) {
		for ; len(b) > 0; b = b[packetSize:] {
			if keep(pidOf(b)) {
				out = append(out, b[:packetSize]...)
			}
		}
		return out
	}
	rest := only(body, func(pid uint16) bool { return pid == 256 || pid == 257 })
	at := packetAt(t, rest, 256, 10)
	late := cat(rest[:at], tables, rest[at:])
	t.Run("tell of all of a segment", func(t *testing.T) {
		_, want := tracks(t, body)
		_, got := tracks(t, late)
		require.Equal(t, want, got)
	})
	t.Run("tell of what follows in an endless stream", func(t *testing.T) {
		flows, err := streamed(t, bytes.NewReader(late), DefaultLimits)
		require.ErrorIs(t, err, io.EOF)
		require.Len(t, flows, 2)
		for _, f := range flows {
			if f.track.Kind == media.Video {
				require.Equal(t, 25, whole(t, string(f.data), 100)[0]%25+25, "from the next key frame on")
			}
		}
	})
	t.Run("or never, are told to be missing", func(t *testing.T) {
		_, err := ReadTS(bytes.NewReader(rest), DefaultLimits)
		require.ErrorIs(t, err, ErrMalformed)
		require.ErrorContains(t, err, "without PAT")
		_, err = ReadTS(bytes.NewReader(cat(tables[:packetSize], rest)), DefaultLimits)
		require.ErrorIs(t, err, ErrMalformed)
		require.ErrorContains(t, err, "without PMT")
	})
}

func TestTwoLanguagesOfATransportStreamAreTwoTracks(t *testing.T) {
	for _, c := range []string{"aac", "ac3", "eac3"} {
		t.Run(c, func(t *testing.T) {
			t.Parallel()
			body := read(t, encode(t, " -map 0:v -map 1:a -map 1:a -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a "+c+
				" -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu -f mpegts a.ts"), "a.ts")
			frags, err := ReadTS(bytes.NewReader(body), DefaultLimits)
			require.NoError(t, err)
			var said []string
			for _, f := range frags {
				said = append(said, fmt.Sprintf("%s %d %s", f.Track.Kind, f.Track.Index, f.Track.Language))
			}
			require.Equal(t, []string{"video 0 ", "audio 0 en", "audio 1 de"}, said)
			flows, err := streamed(t, bytes.NewReader(body), DefaultLimits)
			require.ErrorIs(t, err, io.EOF)
			var live []string
			for _, f := range flows {
				live = append(live, fmt.Sprintf("%s %d %s", f.track.Kind, f.track.Index, f.track.Language))
			}
			require.ElementsMatch(t, said, live)
		})
	}
}

package ingest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
	"github.com/stretchr/testify/require"
)

// stillScene returns segment n of 2 s of a transport stream with three pictures at its beginning, and seconds of audio.
func stillScene(t *testing.T, n int, seconds float64) []byte {
	const rate, picture, frame = 90_000, 3600, 1920
	var out bytes.Buffer
	v := &mpegts.Track{Codec: &codecs.H264{}}
	a := &mpegts.Track{Codec: &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
		Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2, ChannelCount: 2}}}
	w := &mpegts.Writer{W: &out, Tracks: []*mpegts.Track{v, a}}
	require.NoError(t, w.Initialize())
	_, err := w.WriteTables()
	require.NoError(t, err)
	sps, err := hex.DecodeString(spss[0])
	require.NoError(t, err)
	start := int64(2*n+10) * rate
	for i := range int64(3) {
		nals := [][]byte{{0x41, 4, byte(n)}}
		if i == 0 {
			nals = [][]byte{sps, {0x68, 0xce, 0x0f, 0xc8}, {0x65, 1, byte(n)}}
		}
		require.NoError(t, w.WriteH264(v, start+i*picture, start+i*picture, nals))
	}
	for at := int64(0); at < int64(seconds*rate); at += frame {
		require.NoError(t, w.WriteMPEG4Audio(a, start+at, [][]byte{[]byte("audio")}))
	}
	return out.Bytes()
}

func TestStillScenesOfTransportStreamsLastAsLongAsTheirSegments(t *testing.T) {
	for _, tt := range []struct {
		name    string
		seconds float64 // of audio in a segment
		listed  bool
		want    time.Duration
	}{
		{"as the audio says", 2, false, 2 * time.Second},
		{"as the playlist says where there is no audio", 0, true, 2 * time.Second},
		{"as the playlist says where there is little audio", 0.02, true, 2 * time.Second},
		{"which nothing says", 0, false, 120 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				var names []string
				for n := range 5 {
					time.Sleep(2 * time.Second)
					name := fmt.Sprintf("index%d.ts", n)
					names = append(names, name)
					done := make(chan int)
					go func() { done <- g.put(name, stillScene(t, n, tt.seconds)) }()
					time.Sleep(10 * time.Millisecond) // the playlist follows the segment, and waits for no answer
					if tt.listed {
						g.accept("index.m3u8", listing(time.Time{}, "", names...))
					}
					require.Equal(t, 200, <-done)
				}
				segs := g.segments("index-v")
				require.Len(t, segs, 5)
				for i, s := range segs {
					require.Equal(t, int64(tt.want/time.Microsecond)*9/100, s.Duration)
					require.Equal(t, segs[0].Start+int64(i)*180_000, s.Start)
				}
				if tt.want == 2*time.Second {
					regular(t, segs, 90_000, tt.want)
				}
				require.Equal(t, uint32(0), segs[4].Part)
				g.clean()
			})
		})
	}
}

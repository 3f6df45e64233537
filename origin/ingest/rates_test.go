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

	"headwater/packager/media"
)

// frameRates are those of television and of films.
var frameRates = []media.Ratio{{Num: 24000, Den: 1001}, {Num: 24, Den: 1}, {Num: 25, Den: 1}, {Num: 30000, Den: 1001}, {Num: 30, Den: 1},
	{Num: 50, Den: 1}, {Num: 60000, Den: 1001}, {Num: 60, Den: 1}}

// clockwork writes segments of MPEG-TS whose times are the exact ones, rounded to 90 kHz.
type clockwork struct {
	t          *testing.T
	rate       media.Ratio
	sampleRate int
	pictures   int64 // of a segment: six seconds
	next       int64 // audio frame
}

// ticks returns when picture n is shown, at 90 kHz.
func (c *clockwork) ticks(n int64) int64 {
	return media.At(n*int64(c.rate.Den), c.rate.Num).Round(scaleMTS)
}

func (c *clockwork) segment(k int64) []byte {
	v := &mpegts.Track{Codec: &codecs.H264{}}
	a := &mpegts.Track{Codec: &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC,
		SampleRate: c.sampleRate, ChannelConfig: 2, ChannelCount: 2}}}
	var out bytes.Buffer
	w := &mpegts.Writer{W: &out, Tracks: []*mpegts.Track{v, a}}
	require.NoError(c.t, w.Initialize())
	for n := k * c.pictures; n < (k+1)*c.pictures; n++ {
		nals := [][]byte{{0x41, 1, 2}}
		if n%c.pictures == 0 {
			sps, err := hex.DecodeString(spss[0])
			require.NoError(c.t, err)
			nals = [][]byte{sps, {0x68, 0xce, 0x0f, 0xc8}, {0x65, 1, 2}}
		}
		at := c.ticks(n)
		require.NoError(c.t, w.WriteH264(v, at, at, nals))
		for ; c.pts() < c.ticks(n+1); c.next++ {
			require.NoError(c.t, w.WriteMPEG4Audio(a, c.pts(), [][]byte{[]byte("sound")}))
		}
	}
	return out.Bytes()
}

func (c *clockwork) pts() int64 { return media.At(c.next*1024, uint32(c.sampleRate)).Round(scaleMTS) }

func TestTransportStreamsKeepTheirTimeForAnHour(t *testing.T) {
	for _, rate := range frameRates {
		for _, sampleRate := range []int{44_100, 48_000} {
			t.Run(fmt.Sprintf("%d/%d with %d", rate.Num, rate.Den, sampleRate), func(t *testing.T) {
				t.Parallel()
				c := &clockwork{t: t, rate: rate, sampleRate: sampleRate, pictures: int64((6*rate.Num + rate.Den - 1) / rate.Den)}
				bubble(t, func(t *testing.T, g *rig) {
					segments := 40 // four minutes, and an hour of what rounding is hardest on
					if rate.Den != 1 && sampleRate == 44_100 {
						segments = 600
					}
					began := time.Now()
					for k := range int64(segments) {
						time.Sleep(time.Until(began.Add(media.At(c.ticks((k+1)*c.pictures), scaleMTS).Duration())))
						g.accept(fmt.Sprintf("ts/index%d.ts", k), c.segment(k))
					}
					vs, as := g.segments("ts-v"), g.segments("ts-a")
					require.Len(t, vs, segments)
					require.Len(t, as, segments)
					for i := 1; i < segments; i++ {
						require.Equal(t, vs[i-1].End(), vs[i].Start, "video %d", i)
						require.Equal(t, as[i-1].End(), as[i].Start, "audio %d", i)
						require.Equal(t, vs[i-1].Number+1, vs[i].Number)
						require.Equal(t, vs[i].Number, as[i].Number)
					}
					require.InDelta(t, c.ticks(int64(segments)*c.pictures), vs[segments-1].End()-vs[0].Start, 1)
					require.Equal(t, c.next*1024, as[segments-1].End()-as[0].Start)
					apart := func(i int) time.Duration {
						return media.At(as[i].Start, uint32(sampleRate)).UTC().Sub(media.At(vs[i].Start, scaleMTS).UTC())
					}
					require.InDelta(t, apart(0).Seconds(), apart(segments-1).Seconds(), 0.025, "a frame of audio at most")
				})
			})
		}
	}
}

func TestFilesAndStreamsHaveExactDurationsAtEveryRate(t *testing.T) {
	for _, rate := range frameRates {
		for _, name := range []string{"files", "a stream"} {
			t.Run(fmt.Sprintf("%s at %d/%d", name, rate.Num, rate.Den), func(t *testing.T) {
				bubble(t, func(t *testing.T, g *rig) {
					gop := int((2*rate.Num + rate.Den - 1) / rate.Den)
					v := &source{kind: media.Video, scale: rate.Num, frame: rate.Den, gop: gop, size: 100, id: 1}
					if rate.Den == 1 {
						v.scale, v.frame = 512*rate.Num, 512
					}
					const segments = 50
					length := media.At(int64(gop)*int64(v.frame), v.scale).Duration()
					if name == "files" {
						g.accept("Streams(v.cmfv)", v.init(t))
						for k := range segments {
							time.Sleep(length)
							g.accept("Streams(v.cmfv)", v.pictures(k*gop, (k+1)*gop))
						}
					} else {
						send, end := g.stream(1, "Streams(v.cmfv)")
						send(v.init(t))
						for k := range segments {
							time.Sleep(length)
							send(v.pictures(k*gop, (k+1)*gop))
						}
						require.Equal(t, 200, end(errEOF))
					}
					segs := g.segments("v")
					require.Len(t, segs, segments)
					regular(t, segs, v.scale, length)
				})
			})
		}
	}
}

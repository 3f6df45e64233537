package ingest

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// pieces sends [from, to) seconds of sources in pieces of length seconds, each when it ends.
func pieces(send func(...[]byte), length, from, to float64, sources ...*source) {
	for at := from; at < to-length/2; at += length {
		time.Sleep(time.Duration(length * float64(time.Second)))
		for _, s := range sources {
			send(s.seconds(at, at+length))
		}
	}
}

func TestAnEndlessVideoStreamIsCutOnAGrid(t *testing.T) {
	tests := []struct {
		name   string
		gop    int
		piece  float64
		length time.Duration // of the segments
	}{
		{"a fragment per GOP of the target", 50, 2, 2 * time.Second},
		{"a fragment per GOP of half the target", 25, 1, 2 * time.Second},
		{"a fragment per picture", 50, 0.04, 2 * time.Second},
		{"half seconds in a GOP of two", 50, 0.52, 2 * time.Second},
		{"fragments that are longer than GOPs", 25, 2, 2 * time.Second},
		{"GOPs that begin inside fragments", 50, 0.8, 2 * time.Second},
		{"GOPs longer than the target", 100, 1, 4 * time.Second},
		{"every picture a sync sample", 1, 0.4, 2 * time.Second},
		{"1.92 s GOPs", 48, 0.48, 1920 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v := video(tt.gop)
				send, end := g.stream(1, "Streams(v.cmfv)")
				send(v.init(t))
				all := tt.piece * math.Round(30/tt.piece)
				pieces(send, tt.piece, 0, all, v)
				before := g.segments("v")
				require.NotEmpty(t, before)
				regular(t, before, v.scale, tt.length)
				require.Less(t, time.Since(media.At(before[len(before)-1].End(), v.scale).UTC()), tt.length+2*time.Second, "in time")
				require.Equal(t, http.StatusOK, end(errEOF))
				segs := g.segments("v")
				pictures := 0
				for _, s := range segs {
					n := 0
					for i, f := range g.stored("v", s) {
						require.True(t, i > 0 || f.Samples[0].Sync, "a segment begins with a sync sample")
						n += len(f.Samples)
					}
					require.Equal(t, int64(n)*int64(v.frame), s.Duration)
					pictures += n
				}
				require.Equal(t, v.frames(all), pictures, "nothing is lost")
				g.clean()
			})
		})
	}
}

func TestRegularGOPsCloseTheirSegmentBeforeTheNextBegins(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		send, _ := g.stream(1, "Streams(v.cmfv)")
		send(v.init(t))
		pieces(send, 1, 0, 16, v)
		require.Len(t, g.segments("v"), 8)
		_, end := g.stream(1, "Streams(other.cmfv)")
		end(errEOF)
	})
}

func TestAudioIsCutWhereItsVideoIs(t *testing.T) {
	for _, muxed := range []bool{false, true} {
		t.Run(map[bool]string{false: "in a stream of its own", true: "in one stream"}[muxed], func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v, a := video(50), audio()
				var ends []func(error) int
				names := []string{"v", "a"}
				if muxed {
					names = []string{"m-v", "m-a"}
					send, end := g.stream(1, "Streams(m.cmfv)")
					send(initOf(t, spss[0], v, a))
					pieces(send, 0.5, 0, 21, v, a)
					ends = append(ends, end)
				} else {
					sendV, endV := g.stream(1, "Streams(v.cmfv)")
					sendA, endA := g.stream(1, "Streams(a.cmfa)")
					sendV(v.init(t))
					sendA(a.init(t))
					for at := 0.0; at < 21; at += 0.5 {
						time.Sleep(500 * time.Millisecond)
						sendA(a.seconds(at, at+0.5))
						sendV(v.seconds(at, at+0.5))
					}
					ends = append(ends, endV, endA)
				}
				for _, end := range ends {
					require.Equal(t, http.StatusOK, end(errEOF))
				}
				vs, as := g.segments(names[0]), g.segments(names[1])
				require.Len(t, vs, 11)
				require.Len(t, as, 11)
				frame := time.Second * time.Duration(a.frame) / time.Duration(a.scale)
				total := 0
				for i := range vs {
					apart := startOf(vs[i], v.scale).Sub(startOf(as[i], a.scale)).Abs()
					require.LessOrEqual(t, apart, frame/2+time.Millisecond, "segment %d", i)
					require.Equal(t, vs[i].Number, as[i].Number)
					for _, f := range g.stored(names[1], as[i]) {
						total += len(f.Samples)
					}
				}
				require.Equal(t, a.frames(21), total)
				g.clean()
			})
		})
	}
}

func TestAudioAloneIsCutAtTheTarget(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		a := audio()
		send, end := g.stream(1, "Streams(a.cmfa)")
		send(a.init(t))
		pieces(send, 0.5, 0, 21, a)
		require.GreaterOrEqual(t, len(g.segments("a")), 9)
		require.Equal(t, http.StatusOK, end(errEOF))
		for _, s := range g.segments("a")[:9] {
			require.InDelta(t, 2, media.At(s.Duration, a.scale).Seconds(), 0.03)
		}
	})
}

func TestAGapInAudioStaysAGap(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		a := audio()
		send, end := g.stream(1, "Streams(a.cmfa)")
		send(a.init(t), a.seconds(0, 0.5), a.seconds(1, 1.6))
		require.Equal(t, http.StatusOK, end(errEOF))
		g.accept("Streams(b.cmfa)", a.init(t), a.seconds(0, 2), a.seconds(2, 4), a.seconds(4, 6))
		frags := g.stored("a", g.firstOf("a"))
		require.Len(t, frags, 2)
		require.Equal(t, int64(a.frames(1))*int64(a.frame), frags[1].DecodeTime-frags[0].DecodeTime)
	})
}

// firstOf returns the oldest segment of a track, numbered or not.
func (g *rig) firstOf(track string) media.Segment {
	g.tb.Helper()
	if segs := g.segments(track); len(segs) > 0 {
		return segs[0]
	}
	s, ok := g.tl.Last(track)
	require.True(g.tb, ok)
	return s
}

func TestOfAnEndlessStreamThatIsCutOffWhatCameWholeIsKept(t *testing.T) {
	for name, cutAt := range map[string]int{"inside sample data": 2000, "inside a moof": 60, "between fragments": 0} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v, a := video(50), audio()
				send, end := g.stream(1, "Streams(m.cmfv)")
				send(initOf(t, spss[0], v, a))
				pieces(send, 0.5, 0, 9, v, a)
				if cutAt > 0 {
					send(v.seconds(9, 10)[:cutAt])
				}
				require.Equal(t, http.StatusBadRequest, end(errCut))
				require.Equal(t, 1, g.counted("rejected truncated"))
				vs := g.segments("m-v")
				require.Len(t, vs, 5)
				require.InDelta(t, 1, media.At(vs[4].Duration, v.scale).Seconds(), 0.02)
				require.Len(t, g.segments("m-a"), 5)
				g.clean()

				time.Sleep(time.Second)
				send, end = g.stream(1, "Streams(m.cmfv)") // reconnects, and its clock goes on
				send(initOf(t, spss[0], v, a))
				pieces(send, 0.5, 10, 16, v, a)
				require.Equal(t, http.StatusOK, end(errEOF))
				vs = g.segments("m-v")
				require.Equal(t, vs[0].Part, vs[len(vs)-1].Part)
				require.Equal(t, vs[4].End()+int64(v.scale), vs[5].Start, "the second that was lost is missing, nothing else")
				g.clean()
			})
		})
	}
}

func TestIrregularGOPsLoseNothing(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		send, end := g.stream(1, "Streams(v.cmfv)")
		v := video(1)
		send(v.init(t))
		at := 0
		for _, gop := range []int{50, 50, 50, 50, 70, 13, 50, 91, 50, 50, 7, 7, 50} {
			for n := 0; n < gop; n += 10 {
				v.gop = 1 << 20 // no further sync sample
				if n == 0 {
					v.gop = max(at, 1)
				}
				size := min(10, gop-n)
				time.Sleep(time.Duration(size) * 40 * time.Millisecond)
				send(v.fragment(0, at, at+size))
				at += size
			}
		}
		require.Equal(t, http.StatusOK, end(errEOF))
		total := int64(0)
		for _, s := range g.segments("v") {
			total += s.Duration
		}
		require.Equal(t, int64(at*512), total)
		g.clean()
	})
}

func TestOtherWaysToPushCMAF(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("Streams(v.cmfv)")
		g.accept("Streams(v.cmfv)", v.init(t))
		for n := range 3 { // a segment per request
			time.Sleep(2 * time.Second)
			g.accept("Streams(v.cmfv)", v.seconds(float64(2*n), float64(2*n+1)), v.seconds(float64(2*n+1), float64(2*n+2)))
		}
		regular(t, g.segments("v"), v.scale, 2*time.Second)
		require.Len(t, g.segments("v"), 3)
		send, end := g.stream(1, "Streams(v.cmfv)") // an endless request, its header sent before
		pieces(send, 1, 6, 46, v)
		require.Equal(t, http.StatusOK, end(errEOF))
		segs := g.segments("v")
		require.Greater(t, len(segs), 3+10)
		require.Equal(t, segs[0].Start+46*int64(v.scale), segs[len(segs)-1].End())
		g.clean()
	})
}

func TestStreamsWithDotsInTheirNamesAreTracksOfTheirOwn(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		for _, name := range []string{"Streams(v-1.5M)", "Streams(v-1.8M)", "Streams(видео.cmfv)", "Streams(видео2.cmfv)"} {
			v := video(50)
			g.accept(name, v.init(t))
			g.accept(name, v.seconds(0, 2))
		}
		require.Len(t, g.tl.State().Tracks, 4)
	})
}

func TestVideoWithoutSyncSamplesIsRefusedInTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(1 << 20)
		r := g.put("Streams(v.cmfv)", v.init(t), v.seconds(0, 30), v.seconds(30, 62), v.seconds(62, 70))
		require.Equal(t, http.StatusUnsupportedMediaType, r)
		g.clean()
	})
}

func TestAHeaderThatChangesInsideAStreamBeginsAPart(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		send, end := g.stream(1, "Streams(v.cmfv)")
		send(v.init(t))
		pieces(send, 1, 0, 8, v)
		send(initOf(t, spss[1], v))
		pieces(send, 1, 8, 16, v)
		require.Equal(t, http.StatusOK, end(errEOF))
		segs := g.segments("v")
		require.Len(t, segs, 8)
		require.Equal(t, segs[3].Part+1, segs[4].Part)
		require.NotEqual(t, segs[3].Config, segs[4].Config)
		g.clean()
	})
}

func TestAStreamWhoseClockJumpsBeginsASession(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		send, end := g.stream(1, "Streams(v.cmfv)")
		send(v.init(t))
		pieces(send, 1, 0, 8, v)
		pieces(send, 1, 4001, 4009, v) // not at a sync sample: the first second is of no use
		require.Equal(t, http.StatusOK, end(errEOF))
		segs := g.segments("v")
		require.Less(t, time.Since(media.At(segs[len(segs)-1].End(), v.scale).UTC()).Abs(), 3*time.Second)
		require.Equal(t, segs[0].Part+1, segs[len(segs)-1].Part)
		g.clean()
	})
}

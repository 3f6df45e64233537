package ingest

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// both puts a segment of two seconds of each of two tracks.
func (g *rig) both(v, a *source, from, to int) {
	g.tb.Helper()
	for n := from; n < to; n++ {
		time.Sleep(2 * time.Second)
		g.accept(fmt.Sprintf("v/%d.cmfv", n), v.seconds(float64(2*n), float64(2*n+2)))
		g.accept(fmt.Sprintf("a/%d.cmfa", n), a.seconds(float64(2*n), float64(2*n+2)))
	}
}

func (g *rig) inits(v, a *source) {
	g.tb.Helper()
	g.accept("v/init.cmfv", v.init(g.tb))
	g.accept("a/init.cmfa", a.init(g.tb))
}

func startOf(s media.Segment, scale uint32) time.Time { return media.At(s.Start, scale).UTC() }

func TestAnEncoderThatBeginsAgainAtZeroContinuesTheTimeline(t *testing.T) {
	for _, pause := range []time.Duration{0, 300 * time.Millisecond, 7 * time.Second, time.Hour} {
		t.Run(fmt.Sprintf("after %s", pause), func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v, a := video(50), audio()
				g.inits(v, a)
				g.both(v, a, 0, 6)
				time.Sleep(pause)
				g.inits(v, a)
				g.both(v, a, 0, 6)
				vs, as := g.segments("v"), g.segments("a")
				require.Len(t, vs, 12)
				require.Len(t, as, 12)
				require.Equal(t, vs[0].Part+1, vs[6].Part)
				require.Equal(t, vs[6].Part, as[6].Part, "both tracks are in the new part")
				require.Equal(t, vs[6].Part, vs[11].Part)
				require.GreaterOrEqual(t, vs[6].Start, vs[5].End())
				require.Greater(t, vs[6].Number, vs[5].Number)
				apart := startOf(vs[6], v.scale).Sub(startOf(as[6], a.scale))
				require.Less(t, apart.Abs(), time.Millisecond, "one anchor")
				require.Less(t, time.Since(media.At(vs[11].End(), v.scale).UTC()).Abs(), 2*time.Second+joinMargin)
			})
		})
	}
}

func TestAudioThatBeginsBeforeItsVideoJoinsTheNewSession(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, a := video(50), audio()
		g.inits(v, a)
		g.both(v, a, 0, 6)
		for n := range 4 {
			time.Sleep(2 * time.Second)
			g.accept(fmt.Sprintf("v/%d.cmfv", n), v.fragment(512, 50*n, 50*n+50)) // 40 ms later than the audio
			g.accept(fmt.Sprintf("a/%d.cmfa", n), a.seconds(float64(2*n), float64(2*n+2)))
		}
		vs, as := g.segments("v"), g.segments("a")
		require.Len(t, vs, 10)
		require.Len(t, as, 10)
		require.Equal(t, vs[9].Part, as[9].Part)
		require.Equal(t, uint32(1), vs[9].Part)
		apart := startOf(vs[6], v.scale).Sub(startOf(as[6], a.scale))
		require.InDelta(t, 0.04, apart.Seconds(), 0.001)
	})
}

func TestAnInitSegmentThatChangesBeginsAPart(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, a := video(50), audio()
		g.inits(v, a)
		g.both(v, a, 0, 4)
		g.accept("v/init.cmfv", initOf(t, spss[1], v))
		g.both(v, a, 4, 8)
		vs, as := g.segments("v"), g.segments("a")
		require.Len(t, vs, 8)
		require.NotEqual(t, vs[3].Config, vs[4].Config)
		require.Equal(t, vs[3].Part+1, vs[4].Part)
		require.Equal(t, vs[3].End(), vs[4].Start)
		require.Equal(t, vs[4].Part, as[4].Part)
		require.Equal(t, vs[4].Part, vs[7].Part)
	})
}

func TestAnEncoderThatBeginsAgainAtAnotherFrameRateHasAnotherTrack(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		g.live(v, "v", 0, 4)
		fast := &source{kind: media.Video, scale: 15360, frame: 512, gop: 60, size: 100, id: 1}
		g.accept("v/init.cmfv", fast.init(t))
		g.live(fast, "v", 0, 4)
		require.Len(t, g.segments("v"), 4)
		require.Len(t, g.segments("v-v15360"), 4)
	})
}

func TestAMediaSegmentWaitsForTheInitSegmentThatIsBeingUploaded(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		g.live(v, "v", 0, 2)
		other := initOf(t, spss[1], v)
		send, end := g.stream(1, "v/init.cmfv")
		send(other[:20])
		status := make(chan int, 1)
		go func() { status <- g.put("v/0.cmfv", v.seconds(0, 2)) }()
		time.Sleep(2 * time.Second)
		send(other[20:])
		require.Equal(t, http.StatusOK, end(errEOF))
		require.Equal(t, http.StatusOK, <-status)
		segs := g.segments("v")
		require.Len(t, segs, 3)
		require.NotEqual(t, segs[1].Config, segs[2].Config)
	})
}

func TestAServerThatRestartsGoesOnInTheSameSession(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, a := video(50), audio()
		g.accept("init-stream0.m4s", v.init(t))
		g.accept("init-stream1.m4s", a.init(t))
		put := func(from, to int) {
			for n := from; n < to; n++ {
				time.Sleep(2 * time.Second)
				g.accept(fmt.Sprintf("chunk-stream0-%05d.m4s", n), v.seconds(float64(2*n), float64(2*n+2)))
				g.accept(fmt.Sprintf("chunk-stream1-%05d.m4s", n), a.seconds(float64(2*n), float64(2*n+2)))
			}
		}
		put(0, 4)
		g.restart()
		put(4, 6)
		time.Sleep(4 * time.Second) // down
		g.restart()
		put(8, 10)
		vs, as := g.segments("stream0"), g.segments("stream1")
		require.Len(t, vs, 8)
		require.Len(t, as, 8)
		require.Equal(t, vs[0].Part, vs[7].Part)
		regular(t, vs[:6], v.scale, 2*time.Second)
		require.Equal(t, vs[5].Number+3, vs[6].Number, "what was lost is a gap")
		st, _ := g.h.Status(chID)
		require.Equal(t, 1, st.Active)
	})
}

func TestTheSecondInputIsAStandby(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		put := func(input, n int) int {
			return g.request(http.MethodPut, input, fmt.Sprintf("v/%d.cmfv", n), bytes.NewReader(v.seconds(float64(2*n), float64(2*n+2)))).Code
		}
		for input := 1; input <= 2; input++ {
			require.Equal(t, http.StatusOK, g.request(http.MethodPut, input, "v/init.cmfv", bytes.NewReader(v.init(t))).Code)
		}
		for n := range 4 {
			time.Sleep(2 * time.Second)
			require.Equal(t, http.StatusOK, put(1, n))
			require.Equal(t, http.StatusOK, put(2, 70+n), "its clock began at another time")
		}
		require.Equal(t, 4, g.counted("standby"))
		require.Len(t, g.segments("v"), 4)
		for n := 4; n < 12; n++ {
			time.Sleep(2 * time.Second)
			require.Equal(t, http.StatusOK, put(2, 70+n))
		}
		vs := g.segments("v")
		require.Len(t, vs, 4+6)
		require.Equal(t, vs[3].Part+1, vs[4].Part)
		require.Equal(t, vs[4].Part, vs[9].Part)
		st, _ := g.h.Status(chID)
		require.Equal(t, 2, st.Active)

		require.Equal(t, http.StatusOK, put(1, 12))
		require.Len(t, g.segments("v"), 10, "the one that came back is the standby now")
		g.restart()
		require.Equal(t, http.StatusOK, put(1, 12))
		require.Len(t, g.segments("v"), 10, "after a restart of the server too")
		time.Sleep(10 * time.Second)
		require.Equal(t, http.StatusOK, put(1, 18))
		vs = g.segments("v")
		require.Len(t, vs, 11)
		require.Equal(t, vs[9].Part+1, vs[10].Part, "two encoders share no clock")
		g.clean()
	})
}

func TestInputsWithUTCClocksTakeOverWithoutADiscontinuity(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		zero := time.Now().Unix() * int64(v.scale)
		put := func(input, n int) {
			t.Helper()
			time.Sleep(2 * time.Second)
			body := bytes.NewReader(v.fragment(zero, 50*n, 50*n+50))
			require.Equal(t, http.StatusOK, g.request(http.MethodPut, input, fmt.Sprintf("v/%d.cmfv", n), body).Code)
		}
		for input := 1; input <= 2; input++ {
			require.Equal(t, http.StatusOK, g.request(http.MethodPut, input, "v/init.cmfv", bytes.NewReader(v.init(t))).Code)
		}
		for n := range 4 {
			put(1, n)
		}
		time.Sleep(6 * time.Second)
		for n := 7; n < 10; n++ {
			put(2, n)
		}
		vs := g.segments("v")
		require.Len(t, vs, 7)
		require.Equal(t, vs[0].Part, vs[6].Part)
		require.Equal(t, vs[3].Number+4, vs[4].Number)
	})
}

func TestAFileOfTheStandbyThatLosesItsTurnInTheMiddleShowsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		for input := 1; input <= 2; input++ {
			require.Equal(t, http.StatusOK, g.request(http.MethodPut, input, "v/init.cmfv", bytes.NewReader(v.init(t))).Code)
		}
		g.live(v, "v", 0, 2)
		send, end := g.stream(1, "v/2.cmfv")
		send(v.seconds(4, 5))
		time.Sleep(8 * time.Second)
		require.Equal(t, http.StatusOK, g.request(http.MethodPut, 2, "v/2.cmfv", bytes.NewReader(v.seconds(4, 6))).Code)
		require.Len(t, g.segments("v"), 3)
		send(v.seconds(5, 6))
		require.Equal(t, http.StatusOK, end(errEOF))
		require.Len(t, g.segments("v"), 3)
		g.clean()
	})
}

func TestRenditionsOfManyEncodersKeepTheirSessions(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		for n := range 20 {
			time.Sleep(2 * time.Second)
			for i := range 7 { // processes that were started five seconds after one another
				if name := fmt.Sprintf("r%d", i); n >= i {
					if n == i {
						g.accept(name+"/init.cmfv", v.init(t))
					}
					from := 2*n + 5*i
					g.accept(fmt.Sprintf("%s/%d.cmfv", name, n), v.seconds(float64(from), float64(from+2)))
				}
			}
		}
		parts := g.tl.State().Parts
		require.LessOrEqual(t, parts, 8, "r1 had to begin after r0, two seconds ahead, and is anchored anew when that lasts")
		require.Len(t, g.segments("r6"), 14)
		require.Len(t, g.segments("r0"), 20)
	})
}

func TestAfterARestartThePlaylistOfTheRunBeforeTellsNoTime(t *testing.T) {
	for _, late := range []time.Duration{5 * time.Millisecond, time.Second} { // after its segment began
		t.Run(fmt.Sprintf("playlists %s late", late), func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v := video(50)
				run := func(n int) {
					began := time.Now()
					g.accept("hi/init.mp4", v.init(t))
					var names []string
					for i := range n {
						time.Sleep(2*time.Second - late)
						name := fmt.Sprintf("seg_%d.m4s", i)
						names = append(names, name)
						done := make(chan int)
						go func() { done <- g.put("hi/"+name, v.seconds(float64(2*i), float64(2*i+2))) }()
						time.Sleep(late)
						g.accept("hi/index.m3u8", listing(began, "init.mp4", names...))
						require.Equal(t, http.StatusOK, <-done)
					}
				}
				run(6)
				time.Sleep(30 * time.Second)
				began := time.Now()
				run(6)
				segs := g.segments("hi")
				require.Len(t, segs, 12)
				require.Less(t, startOf(segs[6], v.scale).Sub(began).Abs(), time.Second+anchorGrain)
				require.Equal(t, segs[0].Part+1, segs[11].Part)
			})
		})
	}
}

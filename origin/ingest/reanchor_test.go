package ingest

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// stalling puts segments of two seconds from zero. After segment 20 nothing is made for as long.
func (g *rig) stalling(v, a *source, stall time.Duration, segs int, each func(n int)) {
	g.tb.Helper()
	for n := range segs {
		if n == 20 {
			time.Sleep(stall)
		}
		time.Sleep(2 * time.Second)
		g.accept(fmt.Sprintf("v/%d.cmfv", n), v.seconds(float64(2*n), float64(2*n+2)))
		g.accept(fmt.Sprintf("a/%d.cmfa", n), a.seconds(float64(2*n), float64(2*n+2)))
		each(n)
	}
}

func TestAnEncoderThatStoodStillIsBroughtBackToTheLiveEdge(t *testing.T) {
	var log bytes.Buffer
	bubble(t, func(t *testing.T, g *rig) {
		v, a := video(50), audio()
		g.inits(v, a)
		g.stalling(v, a, 5*time.Second, 60, func(n int) {
			if n == 30 {
				require.InDelta(t, -5, g.edge("v").Seconds(), 0.1, "it may yet catch up")
			}
		})
		require.Less(t, g.edge("v").Abs(), 100*time.Millisecond)
		vs, as := g.segments("v"), g.segments("a")
		require.Len(t, vs, 60)
		require.Len(t, as, 60)
		require.EqualValues(t, 2, g.tl.State().Parts)
		for i := range vs {
			require.Equal(t, vs[i].Part, as[i].Part)
			require.Less(t, startOf(vs[i], v.scale).Sub(startOf(as[i], a.scale)).Abs(), 25*time.Millisecond)
		}
		require.Contains(t, log.String(), "clock drifted by -5.0 s")
		require.Zero(t, g.counted("left drift"))
		require.Empty(t, g.report().Restarts)
		g.clean()
	}, func(g *rig) { g.log = slog.New(slog.NewTextHandler(&log, nil)) })
}

func TestAStallThatIsMadeUpForIsNoDrift(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		put := func(n int) { g.accept(fmt.Sprintf("v/%d.cmfv", n), v.seconds(float64(2*n), float64(2*n+2))) }
		for n := range 20 {
			time.Sleep(2 * time.Second)
			put(n)
		}
		time.Sleep(60 * time.Second) // the network is away, and what was kept goes over it at 1.1 times its speed
		n, late := 20, 60*time.Second
		for ; late > 0; n++ {
			took := 2 * time.Second * 10 / 11
			time.Sleep(took)
			late -= 2*time.Second - took
			put(n)
		}
		for range 60 {
			time.Sleep(2 * time.Second)
			put(n)
			n++
		}
		require.EqualValues(t, 1, g.tl.State().Parts)
		require.Len(t, g.segments("v"), n)
		require.Less(t, g.edge("v").Abs(), 200*time.Millisecond)
	})
}

func TestABacklogThatComesAtOnceIsNoDrift(t *testing.T) {
	for _, clock := range []string{"arrival", "epoch"} {
		t.Run(clock, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v := video(50)
				zero := int64(0)
				if clock == "epoch" {
					zero = time.Now().Unix() * int64(v.scale)
				}
				put := func(n int) { g.accept(fmt.Sprintf("v/%d.cmfv", n), v.fragment(zero, 50*n, 50*n+50)) }
				g.accept("v/init.cmfv", v.init(t))
				n := 0
				for range 5 {
					for range 60 {
						time.Sleep(2 * time.Second)
						put(n)
						n++
					}
					time.Sleep(20 * time.Second)
					for range 10 {
						put(n)
						n++
					}
				}
				require.EqualValues(t, 1, g.tl.State().Parts)
				require.Zero(t, g.counted("left drift"))
				require.Equal(t, clock, g.report().Clock)
				require.Less(t, g.report().Drift.Gained.Abs(), 20*time.Millisecond)
			})
		})
	}
}

func TestARestartOfTheServerIsNoDriftAndKeepsWhatASessionGoesOnFrom(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, a := slideshow()
		g.inits(v, a)
		n := 0
		put := func() {
			time.Sleep(2*time.Second + 3200*time.Microsecond) // 1600 ppm slow
			g.accept(fmt.Sprintf("v/%d.cmfv", n), v.fragment(0, 2*n, 2*n+2))
			g.accept(fmt.Sprintf("a/%d.cmfa", n), a.fragment(0, 2*n, 2*n+2))
			n++
		}
		for range 500 {
			put()
		}
		before := g.tl.State().Parts
		g.restart()
		time.Sleep(10 * time.Minute)
		n += 300 // the encoder went on
		put()
		require.Equal(t, before, g.tl.State().Parts)
		for range 20 {
			put()
		}
		require.LessOrEqual(t, g.edge("v").Abs(), maxDrift+1500*time.Millisecond)
		require.False(t, g.report().Drift.Known)
		for range 500 {
			put()
		}
		require.LessOrEqual(t, g.edge("v").Abs(), maxDrift+100*time.Millisecond)
		require.EqualValues(t, before+1, g.tl.State().Parts)
	})
}

func TestAServerThatRestartsBetweenTheDecisionAndTheBoundaryGoesOnThere(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, a := slideshow()
		g.inits(v, a)
		took := 1980 * time.Millisecond // 10,000 ppm fast
		anchors := func() int { return len(g.h.channels[chID].inputs[1].memo.Anchors) }
		restarted := false
		for n := range 400 {
			time.Sleep(took)
			g.accept(fmt.Sprintf("v/%d.cmfv", n), v.fragment(0, 2*n, 2*n+2))
			if anchors() == 2 && !restarted {
				restarted = true
				require.EqualValues(t, 1, g.tl.State().Parts)
				g.restart()
			}
			g.accept(fmt.Sprintf("a/%d.cmfa", n), a.fragment(0, 2*n, 2*n+2))
		}
		require.True(t, restarted)
		require.Greater(t, g.tl.State().Parts, 2)
		require.LessOrEqual(t, g.edge("v").Abs(), maxDrift+time.Second)
		g.requireTogether(v, a, maxDrift+time.Second)
	})
}

func TestWhatIsSentAgainAroundABoundaryIsACopy(t *testing.T) {
	for _, rate := range []float64{0.98, 1.02} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v, a := slideshow()
				g.inits(v, a)
				for n := range 200 {
					time.Sleep(time.Duration(2e9 / rate))
					for again := max(0, n-1); again <= n; again++ { // the last one again, then the next
						g.accept(fmt.Sprintf("v/%d.cmfv", again), v.fragment(0, 2*again, 2*again+2))
						g.accept(fmt.Sprintf("a/%d.cmfa", again), a.fragment(0, 2*again, 2*again+2))
					}
				}
				require.Greater(t, g.tl.State().Parts, 2)
				require.LessOrEqual(t, g.edge("v").Abs(), maxDrift+time.Second)
				require.Equal(t, 400-g.counted("left drift")/4*2, len(g.all("v"))+len(g.all("a")), "nothing is lost but what was left out, and that twice")
				g.requireTogether(v, a, maxDrift+time.Second)
			})
		})
	}
}

// dated puts segments of an encoder of HLS that took so long for each, and whose playlist says when each began.
func (g *rig) dated(v *source, segs int, took time.Duration, said func(n int) time.Time) {
	g.tb.Helper()
	list := "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI=\"init.mp4\"\n"
	var entries []string
	for n := range segs {
		time.Sleep(took)
		at := said(n).UTC().Format("2006-01-02T15:04:05.000-0700")
		entries = append(entries, fmt.Sprintf("#EXTINF:2.0,\n#EXT-X-PROGRAM-DATE-TIME:%s\nseg%d.m4s\n", at, n))
		done := make(chan int, 1)
		go func() { done <- g.put(fmt.Sprintf("v/seg%d.m4s", n), v.fragment(0, 2*n, 2*n+2)) }()
		time.Sleep(10 * time.Millisecond)
		g.accept("v/index.m3u8", []byte(list+strings.Join(entries[max(0, len(entries)-5):], "")))
		require.Equal(g.tb, http.StatusOK, <-done)
	}
}

func TestTheTimeThatAnEncoderSaysCountsMoreThanWhenItsMediaComes(t *testing.T) {
	const segs = 600
	for name, c := range map[string]struct {
		took  time.Duration // for each segment of two seconds
		said  func(began time.Time, n int) time.Time
		parts int
		late  float64 // at the end, by arrival
		clock string
	}{
		"it is right though media comes later and later": {2004 * time.Millisecond,
			func(began time.Time, n int) time.Time { return began.Add(time.Duration(n) * 2 * time.Second) }, 1, 2.4, "pdt"},
		"it says that media is slower than its clock": {2004 * time.Millisecond,
			func(began time.Time, n int) time.Time { return began.Add(time.Duration(n) * 2004 * time.Millisecond) }, 2, 0, "pdt"},
		"it says that media is faster than its clock": {1994 * time.Millisecond,
			func(began time.Time, n int) time.Time { return began.Add(time.Duration(n) * 1994 * time.Millisecond) }, 2, -1.5, "pdt"},
		"it counts media that is far too slow": {2014 * time.Millisecond,
			func(began time.Time, n int) time.Time { return began.Add(time.Duration(n) * 2 * time.Second) }, 3, 1.4, "arrival"},
		"it counts media that is far too fast": {1986 * time.Millisecond,
			func(began time.Time, n int) time.Time { return began.Add(time.Duration(n) * 2 * time.Second) }, 4, -0.7, "arrival"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v, _ := slideshow()
				g.accept("v/init.mp4", v.init(t))
				began := time.Now()
				g.dated(v, segs, c.took-10*time.Millisecond, func(n int) time.Time { return c.said(began, n) })
				require.EqualValues(t, c.parts, g.tl.State().Parts)
				require.InDelta(t, c.late, -g.edge("v").Seconds(), 0.8)
				require.Equal(t, c.clock, g.report().Clock)
			})
		})
	}
}

func TestAUTCClockIsNeverMoved(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		zero := time.Now().Unix() * int64(v.scale)
		for n := range 600 {
			time.Sleep(2010 * time.Millisecond)
			g.accept(fmt.Sprintf("v/%d.cmfv", n), v.fragment(zero, 50*n, 50*n+50))
		}
		require.EqualValues(t, 1, g.tl.State().Parts)
		r := g.report()
		require.InDelta(t, -6, r.Drift.Gained.Seconds(), 0.3)
		require.InDelta(t, -4975, r.Drift.PPM, 50)
	})
}

func TestStreamsWithoutAnEndGoOnTogether(t *testing.T) {
	for _, rate := range []float64{0.985, 1.015} {
		for _, piece := range []float64{0.5, 2} {
			t.Run(fmt.Sprintf("at %v times their speed, in pieces of %v s", rate, piece), func(t *testing.T) {
				bubble(t, func(t *testing.T, g *rig) {
					v, a := video(50), audio()
					sendV, endV := g.stream(1, "Streams(video.cmfv)")
					sendA, endA := g.stream(1, "Streams(audio.cmfa)")
					sendV(v.init(t))
					sendA(a.init(t))
					for at := 0.0; at < 300; at += piece {
						time.Sleep(time.Duration(piece * 1e9 / rate))
						sendA(a.seconds(at, at+piece))
						sendV(v.seconds(at, at+piece))
					}
					require.Equal(t, http.StatusOK, endV(errEOF))
					require.Equal(t, http.StatusOK, endA(errEOF))
					vs, as := g.segments("video"), g.segments("audio")
					require.Greater(t, g.tl.State().Parts, 1)
					require.LessOrEqual(t, g.edge("video").Abs(), maxDrift+time.Second)
					require.GreaterOrEqual(t, len(as), len(vs), "there may be a frame more of it at the end")
					for i := range vs {
						require.Equal(t, vs[i].Part, as[i].Part, i)
						require.Less(t, startOf(vs[i], v.scale).Sub(startOf(as[i], a.scale)).Abs(), 25*time.Millisecond, i)
						require.Equal(t, 2*time.Second, media.At(vs[i].Duration, v.scale).Duration(), i)
					}
					frame := g.stored("video", vs[len(vs)-1])[0]
					require.NotEmpty(t, frame.Samples)
					g.clean()
				})
			})
		}
	}
}

func TestATransportStreamWhoseClockDriftsAndWrapsStaysAtTheLiveEdge(t *testing.T) {
	for _, rate := range []float64{0.985, 1.015} {
		for _, gop := range []int{25, 50} {
			t.Run(fmt.Sprintf("at %v times its speed, with GOPs of %d pictures", rate, gop), func(t *testing.T) {
				bubble(t, func(t *testing.T, g *rig) {
					p := newProgramme(t, gop)
					p.zero = wrap33 - 200*90_000 - 7
					send, end := g.stream(1, "live.ts")
					const piece = 0.2
					for at := 0.0; at < 600; at += piece {
						time.Sleep(time.Duration(piece * 1e9 / rate))
						send(p.seconds(at, at+piece))
					}
					last := g.segments("live-v")
					late := time.Since(media.At(last[len(last)-1].End(), 90_000).UTC())
					require.LessOrEqual(t, late, maxDrift+3*time.Second)
					require.GreaterOrEqual(t, late, -maxDrift-time.Second)
					require.Equal(t, http.StatusOK, end(errEOF))
					require.GreaterOrEqual(t, g.tl.State().Parts, 3)
					g.together("live-v", "live-a")
					short := 0
					for _, s := range g.segments("live-v") {
						if s.Duration != 2*90_000 {
							short++
						}
					}
					require.LessOrEqual(t, short, g.tl.State().Parts, "where parts begin, and at the end")
					g.clean()
				})
			})
		}
	}
}

func TestMetadataLiesBesideItsPicturesWhereTheClockIsAnchoredAnew(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, a := video(50), audio()
		g.inits(v, a)
		checked := 0
		g.stalling(v, a, 5*time.Second, 60, func(n int) {
			in := g.h.known(chID).inputs[1]
			segs := g.segments("v")
			at, ok := in.placeBeside(stamp{Ticks: int64(2*n) * 1000, Duration: 1000, Scale: 1000}, time.Now())
			require.True(t, ok)
			require.InDelta(t, 0, media.At(at.Start, 1000).Sub(media.At(segs[len(segs)-1].Start, v.scale)).Duration(), 1e6, "segment %d", n)
			checked++
		})
		require.Len(t, g.h.known(chID).inputs[1].memo.Anchors, 2)
		require.Positive(t, checked)
	})
}

package ingest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// slices puts segment n of a track as an encoder does that sends each of its chunks when it is made.
func (g *rig) slices(name string, s *source, n int, chunk float64) {
	g.tb.Helper()
	r, w := io.Pipe()
	go func() {
		from := float64(2 * n)
		for at := 0.0; at < 2; at += chunk {
			time.Sleep(time.Duration(chunk * float64(time.Second)))
			_, _ = w.Write(s.seconds(from+at, from+at+chunk))
		}
		_ = w.Close()
	}()
	assert.Equal(g.tb, http.StatusOK, g.request(http.MethodPut, 1, name, r).Code, name)
}

func TestAnEncoderOfFilesThatIsRestartedWithinItsFirstSegmentsLosesNothing(t *testing.T) {
	for _, chunk := range []float64{2, 0.5} {
		for segs := 1; segs <= 4; segs++ {
			t.Run(fmt.Sprintf("%d segments in chunks of %v s", segs, chunk), func(t *testing.T) {
				bubble(t, func(t *testing.T, g *rig) {
					run := func(size, segs int) {
						v, a := video(50), audio()
						v.size, a.size = size, size/5
						g.inits(v, a)
						for n := range segs {
							done := make(chan struct{})
							go func() { g.slices(fmt.Sprintf("a/%d.cmfa", n), a, n, chunk); close(done) }()
							g.slices(fmt.Sprintf("v/%d.cmfv", n), v, n, chunk)
							<-done
						}
					}
					run(100, segs)
					time.Sleep(700 * time.Millisecond)
					run(150, 6)
					vs, as := g.segments("v"), g.segments("a")
					require.Zero(t, g.counted("duplicate"))
					require.Len(t, vs, segs+6)
					require.Len(t, as, segs+6)
					for n, s := range vs {
						require.Equal(t, vs[0].Part+uint32(min(1, n/segs)), s.Part, "segment %d", n)
						require.Equal(t, s.Part, as[n].Part, "segment %d", n)
						want := uint32(100)
						if n >= segs {
							want = 150
						}
						require.Equal(t, want, g.stored("v", s)[0].Samples[0].Size, "segment %d", n)
					}
					apart := startOf(vs[segs], 12800).Sub(startOf(as[segs], 48000)).Abs()
					require.Less(t, apart, time.Millisecond, "audio and video share their session")
					late := time.Since(media.At(vs[len(vs)-1].End(), 12800).UTC())
					require.Less(t, late.Abs(), 2*time.Second+joinMargin)
					g.clean()
				})
			})
		}
	}
}

func TestTheSameBytesAgainAreACopyHoweverLate(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		g.live(v, "v", 0, 2)
		before, version := g.segments("v"), g.tl.Version()
		for n := range 2 {
			time.Sleep(3 * time.Second)
			g.accept(fmt.Sprintf("v/%d.cmfv", n), v.seconds(float64(2*n), float64(2*n+2)))
			require.Equal(t, n+1, g.counted("duplicate"))
		}
		require.Equal(t, before, g.segments("v"))
		require.Equal(t, version, g.tl.Version())
		g.clean()
	})
}

func TestOfSegmentsOfAUTCClockTheFirstCompleteCopyStays(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, w := video(50), video(50)
		w.size = 150
		zero := time.Now().Unix() * int64(v.scale)
		g.accept("v/init.cmfv", v.init(t))
		for n := range 3 {
			time.Sleep(500 * time.Millisecond)
			g.accept(fmt.Sprintf("v/%d.cmfv", n), v.fragment(zero, 50*n, 50*n+50))
			time.Sleep(1500 * time.Millisecond)
			g.accept(fmt.Sprintf("v/%d.cmfv", n), w.fragment(zero, 50*n, 50*n+50))
		}
		segs := g.segments("v")
		require.Len(t, segs, 3)
		require.Equal(t, 3, g.counted("duplicate"))
		require.Equal(t, segs[0].Part, segs[2].Part)
		require.Equal(t, uint32(100), g.stored("v", segs[2])[0].Samples[0].Size)
	})
}

func TestAFileThatMayBeNoCopyAndIsCutOffShowsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, w := video(50), video(50)
		w.size = 150
		g.accept("v/init.cmfv", v.init(t))
		g.live(v, "v", 0, 2)
		time.Sleep(3 * time.Second)
		body := bytes.Join([][]byte{w.seconds(0, 1), w.seconds(1, 2)}, nil)
		require.Equal(t, http.StatusBadRequest, g.request(http.MethodPut, 1, "v/0.cmfv", cut(body[:len(body)-9])).Code)
		require.Len(t, g.segments("v"), 2)
		require.Empty(t, g.h.held.by, "no memory is held")
		g.clean()
		g.accept("v/0.cmfv", body)
		require.Len(t, g.segments("v"), 3)
	})
}

func TestAFileThatMayBeNoCopyIsBoundedInMemory(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, w := video(50), video(50)
		w.size = 150
		g.accept("v/init.cmfv", v.init(t))
		g.live(v, "v", 0, 1)
		time.Sleep(3 * time.Second)
		require.Equal(t, http.StatusServiceUnavailable, g.put("v/0.cmfv", w.seconds(0, 1), w.seconds(1, 2)))
		require.Empty(t, g.h.held.by)
		g.clean()
		g.live(v, "v", 1, 2)
		require.Len(t, g.segments("v"), 2)
	}, func(g *rig) { g.options.HeldBytes = 8000 })
}

// encoder puts segments of a second encoder of the track v, the first phase after the start, and returns the statuses.
func (g *rig) encoder(s *source, segs int, phase time.Duration) (statuses func() []int) {
	got := make([]int, segs)
	done := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(done)
		answers := make(chan struct{}, segs)
		for n := range segs {
			time.Sleep(time.Until(began.Add(phase + time.Duration(2*n)*time.Second)))
			go func() { // encoders do not wait for answers
				got[n] = g.put(fmt.Sprintf("v/%d.cmfv", n), s.seconds(float64(2*n), float64(2*n+2)))
				answers <- struct{}{}
			}()
		}
		for range segs {
			<-answers
		}
	}()
	return func() []int { <-done; return got }
}

func TestASecondEncoderOnOneInputIsRefusedWhileTheFirstGoesOn(t *testing.T) {
	for _, phase := range []float64{0, 0.1, 1, 1.9} {
		t.Run(fmt.Sprintf("%v s after the first", phase), func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v, w := video(50), video(50)
				w.size = 140
				g.accept("v/init.cmfv", v.init(t))
				first := g.encoder(v, 30, 2*time.Second)
				time.Sleep(20*time.Second + 10*time.Millisecond)
				second := g.encoder(w, 30, time.Duration(phase*float64(time.Second)))
				for n, status := range first() {
					require.Equal(t, http.StatusOK, status, "segment %d of the first", n)
				}
				taken := 0
				for n, status := range second() {
					if status == http.StatusOK {
						taken++
						require.GreaterOrEqual(t, n, 20, "until the first was silent")
					}
				}
				require.Greater(t, taken, 5, "then the second is taken")
				require.Equal(t, 30-taken, g.counted("rejected conflict"))
				segs := g.segments("v")
				require.Len(t, segs, 30+taken)
				require.Equal(t, segs[0].Part, segs[29].Part)
				require.Equal(t, segs[0].Part+1, segs[len(segs)-1].Part)
				require.Zero(t, g.counted("duplicate"))
				g.clean()
			})
		})
	}
}

func TestAnEncoderThatFellSilentAndComesBackIsTheSecond(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, w := video(50), video(50)
		w.size = 140
		g.accept("v/init.cmfv", v.init(t))
		first := g.encoder(v, 5, 2*time.Second)
		time.Sleep(time.Minute)
		second := g.encoder(w, 30, 0)
		time.Sleep(5 * time.Second)
		for n := 32; n < 37; n++ {
			time.Sleep(2 * time.Second)
			require.Equal(t, http.StatusConflict, g.put(fmt.Sprintf("v/%d.cmfv", n), v.seconds(float64(2*n), float64(2*n+2))), n)
		}
		require.NotContains(t, append(first(), second()...), http.StatusConflict)
		segs := g.segments("v")
		require.Len(t, segs, 35)
		require.Equal(t, segs[0].Part+1, segs[34].Part)
	})
}

func TestOneTrackThatIsTheSameAfterARestartGoesWithTheOther(t *testing.T) {
	for _, muxed := range []bool{true, false} {
		t.Run(map[bool]string{true: "in one file", false: "in a file of its own"}[muxed], func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				names := []string{"v", "a"}
				if muxed {
					names = []string{"m-v", "m-a"}
				}
				run := func(size, segs int) {
					v, a := video(50), audio() // which is silence
					v.size = size
					if muxed {
						g.accept("m/init.mp4", initOf(t, spss[0], v, a))
					} else {
						g.inits(v, a)
					}
					for n := range segs {
						time.Sleep(2 * time.Second)
						from, to := float64(2*n), float64(2*n+2)
						if muxed {
							g.accept(fmt.Sprintf("m/%d.m4s", n), a.seconds(from, to), v.seconds(from, to))
							continue
						}
						g.accept(fmt.Sprintf("a/%d.cmfa", n), a.seconds(from, to))
						g.accept(fmt.Sprintf("v/%d.cmfv", n), v.seconds(from, to))
					}
				}
				run(100, 1)
				time.Sleep(1500 * time.Millisecond)
				run(150, 6)
				vs, as := g.segments(names[0]), g.segments(names[1])
				require.Len(t, vs, 7)
				if muxed {
					require.Len(t, as, 7)
				} else {
					require.Len(t, as, 6, "what came before any sign of a restart is a copy")
				}
				last := len(as) - 1
				require.Equal(t, vs[6].Part, as[last].Part)
				require.Less(t, startOf(vs[6], 12800).Sub(startOf(as[last], 48000)).Abs(), 50*time.Millisecond)
				g.clean()
			})
		})
	}
}

package ingest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// edge returns how far past now the newest segment of a video track ends.
func (g *rig) edge(track string) time.Duration {
	g.tb.Helper()
	last, ok := g.tl.Last(track)
	require.True(g.tb, ok)
	return time.Until(media.At(last.End(), 12800).UTC())
}

func TestAFilePushedFasterThanItPlaysIsRefusedWhereItRunsAhead(t *testing.T) {
	for _, endless := range []bool{false, true} {
		t.Run(map[bool]string{false: "in files", true: "in one stream"}[endless], func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v := video(50)
				if endless {
					var all []byte
					for n := range 300 {
						all = append(all, v.seconds(float64(2*n), float64(2*n+2))...)
					}
					require.Equal(t, http.StatusConflict, g.put("Streams(v.cmfv)", v.init(t), all))
				} else {
					g.accept("v/init.cmfv", v.init(t))
					for n := range 300 {
						time.Sleep(40 * time.Millisecond)
						status := g.put(fmt.Sprintf("v/%d.cmfv", n), v.seconds(float64(2*n), float64(2*n+2)))
						require.Contains(t, []int{http.StatusOK, http.StatusConflict}, status)
						require.LessOrEqual(t, g.edge("v"), maxAhead)
					}
				}
				require.LessOrEqual(t, g.edge("v"), maxAhead)
				require.Greater(t, g.edge("v"), maxAhead/3)
				require.NotZero(t, g.counted("rejected too_far_ahead"))
				g.clean()

				time.Sleep(maxAhead)
				taken := len(g.segments("v"))
				g.accept("v/init.cmfv", v.init(t))
				g.live(v, "v", 0, 4) // once the clock has come there an encoder is welcome that lives by it
				require.Len(t, g.segments("v"), taken+4)
				require.Less(t, g.edge("v").Abs(), 3*time.Second)
			})
		})
	}
}

func TestAClockOfOursThatIsPutBackMakesASessionThatFollowsIt(t *testing.T) {
	ahead := 45 * time.Second
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		g.live(v, "v", 0, 5)
		ahead = 0
		refused := 0
		for n := 5; n < 50; n++ {
			time.Sleep(2 * time.Second)
			if g.put(fmt.Sprintf("v/%d.cmfv", n), v.seconds(float64(2*n), float64(2*n+2))) != http.StatusOK {
				refused++
			}
		}
		require.Equal(t, refused, g.counted("rejected too_far_ahead"))
		require.Less(t, refused, 20)
		segs := g.segments("v")
		require.Len(t, segs, 50-refused)
		require.Equal(t, segs[0].Part+1, segs[len(segs)-1].Part)
		require.Less(t, g.edge("v"), beginAhead+2*time.Second+joinMargin)
		g.clean()
	}, func(g *rig) { g.options.Now = func() time.Time { return time.Now().Add(ahead) } })
}

func TestAUTCClockMayBeBehindAndALittleAhead(t *testing.T) {
	for _, tt := range []struct {
		ahead  time.Duration // of the end of the segments
		status int
	}{
		{-50 * time.Minute, http.StatusOK},
		{10 * time.Second, http.StatusOK},
		{maxAhead, http.StatusOK},
		{maxAhead + time.Second, http.StatusConflict},
		{50 * time.Minute, http.StatusConflict},
	} {
		t.Run(tt.ahead.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v := video(50)
				g.accept("v/init.cmfv", v.init(t))
				zero := (time.Now().Unix() + int64(tt.ahead/time.Second)) * int64(v.scale)
				for n := range 3 {
					time.Sleep(2 * time.Second)
					require.Equal(t, tt.status, g.put(fmt.Sprintf("v/%d.cmfv", n), v.fragment(zero, 50*n, 50*n+50)))
				}
				require.Equal(t, tt.status == http.StatusOK, len(g.segments("v")) == 3)
				if tt.status != http.StatusOK {
					require.Zero(t, g.tl.State().Parts, "nothing is left of what was refused")
				}
				g.clean()
			})
		})
	}
}

func TestAProgrammeDateTimeInTheFutureIsNotBelieved(t *testing.T) {
	for ahead, want := range map[time.Duration]clockKind{0: clockPDT, 4 * time.Second: clockPDT, 8 * time.Second: clockArrival,
		50 * time.Minute: clockArrival} {
		a, start := newAnchor(videoAt(0), noon.Add(ahead-2*time.Second), noon, media.Time{})
		require.Equal(t, want, a.Kind, ahead)
		if want == clockArrival {
			require.Equal(t, noon.Add(-2*time.Second), utc(start, 90_000))
		}
	}
}

// sixes puts segment n, of six seconds, of an encoder of HLS that began when its playlist says.
func (g *rig) sixes(s *source, dir string, began time.Time, n int) {
	g.tb.Helper()
	var names []string
	for i := range n + 1 {
		names = append(names, fmt.Sprintf("seg_%d.m4s", i))
	}
	l := strings.ReplaceAll(string(listing(time.Time{}, "init.mp4", names...)), "#EXTINF:2.0", "#EXTINF:6.0")
	for i, name := range names {
		at := began.Add(time.Duration(6*i) * time.Second).Format("2006-01-02T15:04:05.000-0700")
		l = strings.Replace(l, name, "#EXT-X-PROGRAM-DATE-TIME:"+at+"\n"+name, 1)
	}
	g.accept(dir+"/index.m3u8", []byte(l))
	g.accept(fmt.Sprintf("%s/seg_%d.m4s", dir, n), s.seconds(float64(6*n), float64(6*n+6)))
}

func TestEncoderProcessesThatTellTheTimeKeepTheirs(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(150)
		first := time.Now().UTC()
		g.accept("hi/init.mp4", v.init(t))
		g.accept("mid/init.mp4", v.init(t))
		time.Sleep(4 * time.Second)
		second := time.Now().UTC()
		g.accept("lo/init.mp4", v.init(t))
		for n := range 3 {
			time.Sleep(2 * time.Second)
			g.sixes(v, "hi", first, n)
			time.Sleep(4 * time.Second)
			g.sixes(v, "lo", second, n)
			g.sixes(v, "mid", first.Add(80*time.Millisecond), n) // of the first process
		}
		require.Equal(t, first, startOf(g.segments("hi")[0], v.scale))
		require.Equal(t, second, startOf(g.segments("lo")[0], v.scale))
		require.Equal(t, first, startOf(g.segments("mid")[0], v.scale), "tracks of one process have one clock")
		for _, id := range []string{"hi", "mid", "lo"} {
			regular(t, g.segments(id), v.scale, 6*time.Second)
			require.Len(t, g.segments(id), 3)
		}
		require.EqualValues(t, 1, g.tl.State().Parts)
	})
}

func TestVideoThatComesLateByItsEncodersDelayJoinsItsAudio(t *testing.T) {
	for _, delay := range []float64{1, 2.5, 8} {
		for _, piece := range []float64{0.04, 2} {
			t.Run(fmt.Sprintf("%v s, in fragments of %v s", delay, piece), func(t *testing.T) {
				bubble(t, func(t *testing.T, g *rig) {
					v, a := video(50), audio()
					for range 2 { // and of an encoder that is restarted too
						sendV, endV := g.stream(1, "Streams(video.cmfv)")
						sendA, endA := g.stream(1, "Streams(audio.cmfa)")
						began := time.Now()
						sendA(a.init(t))
						sendV(v.init(t))
						na, nv := 0.0, 0.0
						for time.Since(began) < 20*time.Second {
							time.Sleep(20 * time.Millisecond)
							now := time.Since(began).Seconds()
							for na+0.128 <= now {
								sendA(a.seconds(na, na+0.128))
								na += 0.128
							}
							for nv+piece <= now-delay {
								sendV(v.seconds(nv, nv+piece))
								nv += piece
							}
						}
						endA(errCut)
						endV(errCut)
					}
					parts := g.tl.State().Parts
					require.EqualValues(t, 2, parts)
					vs, as := g.segments("video"), g.segments("audio")
					for _, ss := range [][]media.Segment{vs, as} {
						require.Equal(t, ss[0].Part+1, ss[len(ss)-1].Part)
					}
					require.Less(t, startOf(vs[0], v.scale).Sub(startOf(as[0], a.scale)).Abs(), time.Millisecond)
					firstOf := func(ss []media.Segment) media.Segment {
						for _, s := range ss {
							if s.Part != ss[0].Part {
								return s
							}
						}
						return media.Segment{}
					}
					require.Less(t, startOf(firstOf(vs), v.scale).Sub(startOf(firstOf(as), a.scale)).Abs(), time.Millisecond)
				})
			})
		}
	}
}

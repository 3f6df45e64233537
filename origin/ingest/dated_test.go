package ingest

import (
	"fmt"
	"net/http"
	"path"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// TestDatedDirectoriesAreOneVariant is of ffmpeg -strftime 1 -hls_segment_filename IN/%Y%m%d/%H%M%S/f-%s.m4s, whose playlist
// lists the last element alone.
func TestDatedDirectoriesAreOneVariant(t *testing.T) {
	for layout, late := range map[string]bool{"20060102/150405/f-%d": false, "15/04/05/f-%d": false, "20060102/150405/late-%d": true,
		"15/04/05/late-%d": true, "seg_2006-01-02_15-04-05": true} {
		t.Run(layout, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				time.Sleep(57 * time.Second) // so that minutes change
				v := video(50)
				g.accept("init.mp4", v.init(t))
				var listed []string
				for n := range 5 {
					time.Sleep(2 * time.Second)
					name := time.Now().UTC().Format(layout) + ".m4s"
					if path.Dir(name) != "." {
						name = fmt.Sprintf(name, time.Now().Unix())
					}
					listed = append(listed, path.Base(name))
					done := make(chan int, 1)
					go func() { done <- g.put(name, v.seconds(float64(2*n), float64(2*n+2))) }()
					time.Sleep(10 * time.Millisecond)
					if late && n == 3 {
						time.Sleep(700 * time.Millisecond)
					}
					g.accept("index.m3u8", listing(time.Time{}, "init.mp4", listed...))
					require.Equal(t, http.StatusOK, <-done)
				}
				require.Equal(t, []string{"index"}, g.tracks())
				require.Len(t, g.segments("index"), 5)
			})
		})
	}
}

func TestAPlaylistThatIsLateDoesNotMixVariants(t *testing.T) {
	for what, name := range map[string]func(variant string, n int) string{
		"in directories":    func(v string, n int) string { return fmt.Sprintf("%s/seg%d.m4s", v, n) },
		"with prefixes":     func(v string, n int) string { return fmt.Sprintf("out_%s%d.m4s", v, n) },
		"with dates":        func(v string, n int) string { return fmt.Sprintf("%s_20261125_%05d.m4s", v, n) },
		"in dated ones":     func(v string, n int) string { return fmt.Sprintf("%s/20261125/%05d.m4s", v, n) },
		"by their bitrates": func(v string, n int) string { return fmt.Sprintf("%s500000/%05d.m4s", v, n) },
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v, w := video(50), video(50)
				w.size = 200
				for n := range 3 {
					time.Sleep(2 * time.Second)
					for i, s := range []*source{v, w} {
						variant := fmt.Sprint(i + 1)
						at := name(variant, n)
						if n == 0 {
							g.accept(path.Join(path.Dir(at), "init_"+variant+".mp4"), s.init(t))
						}
						done := make(chan int, 1)
						go func() { done <- g.put(at, s.seconds(float64(2*n), float64(2*n+2))) }()
						if i == 1 {
							time.Sleep(2 * time.Second) // always late
						}
						g.accept(path.Join(path.Dir(at), "list_"+variant+".m3u8"), listing(time.Time{}, "init_"+variant+".mp4", path.Base(at)))
						require.Equal(t, http.StatusOK, <-done)
					}
				}
				for _, tr := range g.tl.State().Tracks {
					sizes := map[int64]bool{}
					for _, s := range g.segments(tr.ID) {
						sizes[s.Size] = true
					}
					require.Len(t, sizes, 1, tr.ID)
				}
				require.Zero(t, g.counted("duplicate"))
			})
		})
	}
}

func TestStreamsOfOneNameInTwoDirectoriesAreTwoTracks(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, w := video(50), video(50)
		w.size = 200
		put := func(from int) {
			for n := from; n < from+2; n++ {
				time.Sleep(2 * time.Second)
				g.accept("hi.isml/Streams(video.cmfv)", v.init(t), v.seconds(float64(2*n), float64(2*n+2)))
				g.accept("lo.isml/Streams(video.cmfv)", w.init(t), w.seconds(float64(2*n), float64(2*n+2)))
			}
		}
		put(0)
		g.restart()
		put(2)
		require.ElementsMatch(t, []string{"video", "lo-isml-video"}, g.tracks())
		for _, id := range g.tracks() {
			require.Len(t, g.segments(id), 4, id)
		}
		require.Zero(t, g.counted("duplicate"))
	})
}

func TestAStreamThatGoesOnKeepsItsTrackToItself(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, w := video(50), video(50)
		w.size = 200
		send, end := g.stream(1, "hi.isml/Streams(video.cmfv)")
		send(v.init(t))
		for n := range 30 { // an endless upload, longer than streamRest
			time.Sleep(2 * time.Second)
			send(v.seconds(float64(2*n), float64(2*n+2)))
		}
		g.accept("lo.isml/Streams(video.cmfv)", w.init(t), w.seconds(60, 62))
		require.ElementsMatch(t, []string{"video", "lo-isml-video"}, g.tracks())
		require.Equal(t, http.StatusOK, end(errEOF))
		require.Len(t, g.segments("video"), 30)
	})
}

func TestAStreamThatMovesToAnotherDirectoryGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("point.isml/Streams(video.cmfv)", v.init(t), v.seconds(0, 2))
		time.Sleep(streamRest)
		g.accept("Streams(video.cmfv)", v.init(t), v.seconds(0, 2))
		require.Equal(t, []string{"video"}, g.tracks())
		g.accept("20261125.isml/Streams(audio.cmfa)", audio().init(t), audio().seconds(0, 2))
		time.Sleep(2 * time.Second)
		g.accept("20261126.isml/Streams(audio.cmfa)", audio().init(t), audio().seconds(2, 4))
		require.Equal(t, []string{"video", "audio"}, g.tracks())
		require.Equal(t, media.Audio, g.tl.State().Tracks[1].Kind)
	})
}

func TestAnInitSegmentThatIsCutOffDoesNotStopItsMedia(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		g.live(v, "v", 0, 4)
		_, _ = g.stream(1, "v/init.cmfv") // the network dies here
		time.Sleep(time.Second)
		g.accept("v/init.cmfv", v.init(t)) // restarted
		began := time.Now()
		g.live(v, "v", 4, 6)
		require.Equal(t, 4*time.Second, time.Since(began))
		require.Len(t, g.segments("v"), 6)
	})
}

// ffmpeg sends both at one instant, and the names are those of the run before.
func TestAPlaylistThatOvertakesItsSegmentTellsItsTimeAfterARestart(t *testing.T) {
	for _, early := range []time.Duration{0, 20 * time.Millisecond} {
		t.Run(early.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v := video(50)
				g.accept("init.mp4", v.init(t))
				run := func(segs int) {
					began := time.Now()
					var names []string
					for n := range segs {
						time.Sleep(2 * time.Second)
						names = append(names, fmt.Sprintf("index%d.m4s", n))
						first := max(0, len(names)-5)
						g.accept("index.m3u8", listing(began.Add(time.Duration(2*first)*time.Second), "init.mp4", names[first:]...))
						time.Sleep(early)
						g.accept(names[n], v.seconds(float64(2*n), float64(2*n+2)))
					}
				}
				for _, segs := range []int{7, 3, 4, 7, 2} {
					run(segs)
					time.Sleep(3 * time.Second)
					st, _ := g.h.Status(chID)
					require.Equal(t, "pdt", st.Clock)
				}
				require.Equal(t, 5, g.tl.State().Parts)
				require.Len(t, g.segments(g.tracks()[0]), 23)
			})
		})
	}
}

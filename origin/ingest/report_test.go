package ingest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
	"headwater/packager/media"
)

// reasons returns the rules that fire for input 1.
func (g *rig) reasons() (all []string) {
	for _, a := range g.report().Advise(time.Now()) {
		all = append(all, a.Reason)
	}
	return all
}

func (g *rig) report() InputReport { return g.h.Report(chID).Inputs[0] }

// pushed uploads n files of length seconds, each when it ends, of a track whose header is known.
func (g *rig) pushed(s *source, name string, n int, length float64) {
	g.tb.Helper()
	for i := range n {
		time.Sleep(time.Duration(length * float64(time.Second)))
		g.accept(fmt.Sprintf(name, i), s.seconds(float64(i)*length, float64(i+1)*length))
	}
}

func TestAReportMeasuresWhatAnInputReceives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		v, a := video(25), audio()
		g.accept("Streams(v.cmfv)", v.init(t))
		g.accept("Streams(a.cmfa)", a.init(t))
		for i := range 10 {
			time.Sleep(2 * time.Second)
			g.accept("Streams(v.cmfv)", v.seconds(float64(2*i), float64(2*i+2)))
			g.accept("Streams(a.cmfa)", a.seconds(float64(2*i), float64(2*i+2)))
		}
		r := g.report()
		require.True(t, r.Active)
		require.Equal(t, "cmaf", r.Protocol)
		require.Equal(t, "arrival", r.Clock)
		require.Equal(t, 22, r.Accepted)
		require.Equal(t, 20, r.Segments)
		require.Equal(t, time.Now().UnixMilli(), r.LastPush.UnixMilli())
		require.Len(t, r.Tracks, 2)
		for _, tr := range r.Tracks {
			require.Equal(t, 10, tr.Measured)
			require.InDelta(t, 2, tr.Durations.Usual.Seconds(), 0.03)
			require.Less(t, tr.Late.Max-tr.Late.Min, 50*time.Millisecond)
			if tr.Kind == media.Video {
				require.Equal(t, Spread{time.Second, time.Second, time.Second, time.Second}, tr.Keys)
				require.InDelta(t, 25*100*8, tr.Bitrate, 5000)
			} else {
				require.Zero(t, tr.Keys)
				require.Zero(t, tr.Keyless)
			}
		}
		require.True(t, r.Synced)
		require.Less(t, abs(r.Sync), 25*time.Millisecond)
		require.Empty(t, r.Advise(time.Now()))
		require.Equal(t, InputReport{Number: 2}, g.h.Report(chID).Inputs[1])
	})
}

func TestAReportTellsOfSegmentsWithoutKeyFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		v := video(250)
		g.accept("Streams(v.cmfv)", v.init(t))
		for i := range 12 {
			time.Sleep(2 * time.Second)
			g.accept("Streams(v.cmfv)", v.seconds(float64(2*i), float64(2*i+2)))
		}
		require.Equal(t, []string{"no_key_frame", "key_frames_rare"}, g.reasons())
		require.Equal(t, 9, g.report().Tracks[0].Keyless, "those at 0, 10 and 20 s begin with one")
		require.Equal(t, 10*time.Second, g.report().Tracks[0].Keys.Usual)
	})
}

func TestAReportTellsOfAStreamThatIsCutAtSceneCuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		v := video(1)
		g.accept("Streams(v.cmfv)", v.init(t))
		at := 0.0
		for _, length := range []float64{2, 1.2, 2, 4.8, 2, 3, 2, 1.2} {
			time.Sleep(time.Duration(length * float64(time.Second)))
			g.accept("Streams(v.cmfv)", v.seconds(at, at+length))
			at += length
		}
		require.Contains(t, g.reasons(), "irregular_segments")
		require.Equal(t, 4800*time.Millisecond, g.report().Tracks[0].Durations.Max)
	})
}

func TestAReportForgetsWhatAnEncoderDidBeforeItWasRestarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		bad, good := video(250), video(50)
		g.accept("v/init.mp4", bad.init(t))
		g.pushed(bad, "v/seg%d.m4s", 12, 2)
		require.Contains(t, g.reasons(), "no_key_frame")
		time.Sleep(time.Minute)
		require.Contains(t, g.reasons(), "silent")
		g.pushed(good, "v/seg%d.m4s", 5, 2)
		require.NotContains(t, g.reasons(), "no_key_frame")
		require.NotContains(t, g.reasons(), "silent")
		require.Len(t, g.report().Restarts, 1)
	})
}

func TestAReportCountsRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		v := video(50)
		g.accept("v/init.mp4", v.init(t))
		for range 6 {
			g.pushed(v, "v/seg%d.m4s", 4, 2)
			time.Sleep(time.Minute)
		}
		require.Len(t, g.report().Restarts, 5, "the first is none")
		require.Contains(t, g.reasons(), "encoder_restarts")
	})
}

func TestAReportTellsWhetherPlaylistsListTheSegments(t *testing.T) {
	for want, playlist := range map[string]string{
		"":            "v/seg%d.m4s",
		"no_playlist": "v/other%d.m4s",
	} {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t)
			v := video(50)
			g.accept("v/init.mp4", v.init(t))
			list := "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI=\"init.mp4\"\n"
			for i := range 12 {
				time.Sleep(2 * time.Second)
				g.accept(fmt.Sprintf("v/seg%d.m4s", i), v.seconds(float64(2*i), float64(2*i+2)))
				list += "#EXTINF:2,\n" + strings.TrimPrefix(fmt.Sprintf(playlist, i), "v/") + "\n"
				g.accept("v/list.m3u8", []byte(list))
			}
			if want == "" {
				require.NotContains(t, g.reasons(), "no_playlist")
			} else {
				require.Contains(t, g.reasons(), want)
			}
		})
	}
}

func TestAReportKeepsTheLastRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		for i := range keptRefusals + 5 {
			require.Equal(t, http.StatusBadRequest, g.put(fmt.Sprintf("bad%d.ts", i), []byte("no packets")))
		}
		r := g.report()
		require.Equal(t, keptRefusals+5, r.Rejected)
		require.Len(t, r.Errors, keptRefusals)
		require.Equal(t, "bad24.ts", r.Errors[keptRefusals-1].Name)
		require.Equal(t, "bad5.ts", r.Errors[0].Name)
		require.Equal(t, "malformed", r.Errors[0].Reason)
		require.Contains(t, r.Errors[0].Text, "no MPEG-TS packets")
		require.Zero(t, g.h.Report(chID).Inputs[1].Rejected)
	})
}

func TestAReportTellsOfWrongCredentialsThoughNothingEverCame(t *testing.T) {
	g := newRig(t)
	g.gone = channel.ErrNotFound
	ask := func(authorization, name string) {
		r := httptest.NewRequest(http.MethodPut, "/"+name, strings.NewReader("x"))
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		g.handler(1).ServeHTTP(httptest.NewRecorder(), r)
	}
	ask("", "first.ts")
	require.Empty(t, g.report().Errors, "how ffmpeg asks for the challenge")
	for range 3 * keptStrays {
		ask("Bearer wrong", strings.Repeat("\xff", 10_000))
	}
	r := g.report()
	require.Len(t, r.Errors, keptRefusals)
	require.Equal(t, "no_channel", r.Errors[0].Reason)
	require.LessOrEqual(t, len(r.Errors[0].Name), maxName)
	require.Len(t, g.h.strays.kept, keptStrays)
	require.Equal(t, []string{"uploads_refused"}, g.reasons())
	require.Empty(t, g.h.Report(channel.ID{Group: "g", Name: "another"}).Inputs[0].Errors)
}

func TestAReportTellsOfUploadsWithoutCredentials(t *testing.T) {
	g := newRig(t, func(g *rig) { g.channel = guarded("p") })
	require.Equal(t, http.StatusUnauthorized, g.put("first.ts", []byte("x")))
	require.Equal(t, []string{"no_credentials"}, g.reasons())
	require.Empty(t, g.report().Errors)
	for n := range 3 * keptStrays {
		g.h.Serve(httptest.NewRecorder(), httptest.NewRequest(http.MethodPut, "/", nil), channel.ID{Group: "g", Name: fmt.Sprint(n)}, 1, "x")
	}
	require.Len(t, g.h.challenged.m, keptStrays)
}

func TestAMeterHoldsNoMoreThanItsRings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		v := video(1)
		g.accept("Streams(v.cmfv)", v.init(t))
		for i := range 2 * keptSegments {
			time.Sleep(4 * time.Second)
			g.accept("Streams(v.cmfv)", v.seconds(float64(4*i), float64(4*i+4)))
		}
		m := g.h.channels[chID].meters[0].tracks["v"]
		require.Len(t, m.recent.kept, keptSegments)
		require.Len(t, m.keys.kept, keptKeys)
		require.Equal(t, keptSegments, g.report().Tracks[0].Measured)
	})
}

func TestARingKeepsTheLast(t *testing.T) {
	var r ring[int]
	require.Empty(t, r.all())
	for i := range 7 {
		r.add(i, 3)
		require.Equal(t, i, r.all()[len(r.all())-1])
	}
	require.Equal(t, []int{4, 5, 6}, r.all())
}

func TestAudioIsComparedWithTheVideoItBelongsTo(t *testing.T) {
	run := func(n int, from, length time.Duration) (all []measured) {
		for i := range n {
			all = append(all, measured{start: from + time.Duration(i)*length, length: length})
		}
		return all
	}
	tracks := sound().Tracks
	for name, c := range map[string]struct {
		audio, video []measured
		offset       time.Duration
		ok           bool
	}{
		"late":           {run(5, 80*time.Millisecond, 2*time.Second), run(5, 0, 2*time.Second), 80 * time.Millisecond, true},
		"early":          {run(5, -80*time.Millisecond, 2*time.Second), run(6, 0, 2*time.Second), -80 * time.Millisecond, true},
		"shorter audio":  {run(12, 30*time.Millisecond, time.Second), run(6, 0, 2*time.Second), 30 * time.Millisecond, true},
		"longer audio":   {run(3, 30*time.Millisecond, 4*time.Second), run(6, 0, 2*time.Second), 30 * time.Millisecond, true},
		"of another day": {run(5, time.Hour, 2*time.Second), run(5, 0, 2*time.Second), 0, false},
		"no audio":       {nil, run(5, 0, 2*time.Second), 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			offset, ok := syncOf(tracks, map[string][]measured{"video": c.video, "audio": c.audio})
			require.Equal(t, c.ok, ok)
			require.Equal(t, c.offset, offset)
		})
	}
}

func TestWhatAnEncoderHadWhenItBeganIsNoIrregularity(t *testing.T) {
	for name, clock := range map[string]bool{"with a UTC clock": true, "from zero": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t)
				v := video(50)
				zero := int64(0)
				if clock {
					zero = (time.Now().Unix() - 20) * int64(v.scale)
				}
				put := func(n int) { g.accept("Streams(v.cmfv)", v.fragment(zero, 50*n, 50*n+50)) }
				g.accept("Streams(v.cmfv)", v.init(t))
				for n := range 10 {
					put(n)
					require.NotContains(t, g.reasons(), "bursts")
				}
				for n := 10; n < 20; n++ {
					time.Sleep(2 * time.Second)
					put(n)
					require.NotContains(t, g.reasons(), "bursts")
					require.NotContains(t, g.reasons(), "late_media")
				}
				time.Sleep(8 * time.Second) // an uplink that stalls later is irregular
				for n := 20; n < 24; n++ {
					put(n)
				}
				require.Contains(t, g.reasons(), "bursts")
			})
		})
	}
}

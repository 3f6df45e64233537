package ingest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// slideshow makes one frame a second of video and of audio, so that a day of it is made quickly.
func slideshow() (v, a *source) {
	return &source{kind: media.Video, scale: 12800, frame: 12800, gop: 2, size: 12, id: 1},
		&source{kind: media.Audio, scale: 48000, frame: 48000, gop: 1, size: 12, id: 1}
}

// drifting puts segments of so many seconds of both tracks, by a clock that is fast by so many millionths, for as long, and
// calls each after every one.
func (g *rig) drifting(v, a *source, seconds, ppm int, length time.Duration, each func(n int)) {
	g.tb.Helper()
	took := time.Duration(float64(seconds) * 1e9 / (1 + float64(ppm)*1e-6))
	began := time.Now()
	for n := 0; time.Since(began) < length; n++ {
		time.Sleep(time.Until(began.Add(time.Duration(n+1) * took)))
		g.accept(fmt.Sprintf("v/%d.cmfv", n), v.fragment(0, seconds*n, seconds*(n+1)))
		g.accept(fmt.Sprintf("a/%d.cmfa", n), a.fragment(0, seconds*n, seconds*(n+1)))
		each(n)
	}
}

func TestAClockThatDriftsStaysAtTheLiveEdge(t *testing.T) {
	for _, c := range []struct {
		ppm, seconds, hours, moves, lost int
	}{
		{200, 6, 24, 2, 2}, {-200, 6, 24, 8, 0}, // a crystal, for a day
		{1600, 2, 3, 8, 8}, {-1600, 2, 3, 8, 0}, {1600, 1, 1, 2, 4},
		{0, 2, 1, 0, 0}, {30, 2, 1, 0, 0},
	} {
		t.Run(fmt.Sprintf("%+d ppm for %d h in segments of %d s", c.ppm, c.hours, c.seconds), func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v, a := slideshow()
				g.inits(v, a)
				bound := max(maxDrift, time.Duration(c.seconds)*time.Second+2*joinMargin) + 150*time.Millisecond
				g.drifting(v, a, c.seconds, c.ppm, time.Duration(c.hours)*time.Hour, func(n int) {
					if g.edge("v").Abs() > bound {
						require.LessOrEqual(t, g.edge("v").Abs(), bound, "after segment %d", n)
					}
				})
				g.requireTogether(v, a, maxDrift+150*time.Millisecond)
				require.EqualValues(t, c.moves+1, g.tl.State().Parts)
				require.Equal(t, 2*c.lost, g.counted("left drift"), "segments of each track")
				r := g.report()
				require.Empty(t, r.Restarts)
				require.True(t, r.Drift.Rated)
				require.InDelta(t, c.ppm, r.Drift.PPM, 1)
				require.InDelta(t, float64(c.ppm*c.hours)*3600e-6, r.Drift.Gained.Seconds(), 0.1)
				g.clean()
			})
		})
	}
}

// requireTogether requires that audio begins with its video all the time, in the same parts, and that a part never overlaps
// the one before it, nor leaves a gap that is larger.
func (g *rig) requireTogether(v, a *source, largest time.Duration) {
	g.tb.Helper()
	t := g.tb
	vs, as := g.all("v"), g.all("a")
	require.Equal(t, len(vs), len(as))
	for i := range vs {
		gap := time.Duration(0)
		if i > 0 {
			gap = startOf(vs[i], v.scale).Sub(media.At(vs[i-1].End(), v.scale).UTC())
		}
		switch {
		case !startOf(vs[i], v.scale).Equal(startOf(as[i], a.scale)) || vs[i].Part != as[i].Part:
			require.Fail(t, "audio and video came apart", "segment %d", i)
		case i == 0:
		case vs[i].Part == vs[i-1].Part && gap != 0, vs[i].Part != vs[i-1].Part && (gap <= 0 || gap > largest):
			require.Fail(t, "a gap", "of %s before segment %d, part %d", gap, i, vs[i].Part)
		}
	}
}

// all returns all that is visible of a track.
func (g *rig) all(track string) (all []media.Segment) {
	return g.tl.Following(track, 0, 0, 1_000_000)
}

package timeline

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
	"headwater/storage/mem"
)

// primed returns where audio begins whose encoder primes it: a frame of 1,024 samples before s seconds after noon.
func primed(s int) int64 { return (noon+int64(s))*48000 - 1024 }

func (w *world) starts() (out []time.Duration) {
	for _, p := range w.tl.snap.Load().parts {
		out = append(out, media.At(p.Start.Ticks-noon*int64(p.Start.Scale), p.Start.Scale).Duration().Truncate(time.Millisecond))
	}
	return out
}

const priming = 1024 * time.Second / 48000 / time.Millisecond * time.Millisecond // to the millisecond

func TestAPartBeginsWithTheTrackThatBeginsFirst(t *testing.T) {
	w := newWorld(t, Options{})
	w.track("v", media.Video, 90000)
	w.track("a", media.Audio, 48000)
	w.part(media.At(at(0), 90000))
	w.must("v", at(0), at(2))
	old := w.tl.snap.Load().parts
	w.must("a", primed(0), primed(2))
	require.Equal(t, []time.Duration{-priming}, w.starts())
	require.Equal(t, media.At(at(0), 90000), old[0].Start, "what readers have does not change")
	win := w.window(t, Query{Now: clock(2), Length: time.Minute})
	for _, tw := range win.Tracks {
		require.False(t, media.At(tw.Segments[0].Start, tw.Timescale).Before(win.Parts[0].Start))
	}
	w.video(2, 40)
	for s := 2; s < 40; s += 2 {
		w.must("a", primed(s), primed(s+2))
	}
	w.tl.Expire(clock(20), 100)
	require.NoError(t, w.tl.Forget(w.ctx))
	before := w.view()
	w.restart()
	require.Equal(t, before, w.view(), "a replay gives the same, also when what it rests on has expired")
}

func TestAPartThatWasShownKeepsItsStart(t *testing.T) {
	w := simple(t, 0, 2)
	w.window(t, Query{Now: clock(2), Length: time.Minute})
	w.track("a", media.Audio, 48000)
	w.must("a", primed(0), primed(2))
	require.Equal(t, []time.Duration{0}, w.starts())
}

func TestAPartDoesNotReachIntoTheMediaBeforeIt(t *testing.T) {
	w := newWorld(t, Options{})
	w.track("v", media.Video, 90000)
	w.track("a", media.Audio, 48000)
	w.part(media.At(at(0), 90000))
	w.video(0, 10)
	w.must("a", frame(0), primed(10))
	w.part(media.At(at(10), 90000))
	w.video(10, 12)
	w.must("a", primed(10), primed(12))
	require.Equal(t, []time.Duration{0, 10 * time.Second}, w.starts())
	w.part(media.At(at(20), 90000))
	w.video(20, 22)
	w.must("a", primed(20)-48000*3/2, primed(22))
	require.Equal(t, 18*time.Second+500*time.Millisecond-priming-time.Millisecond, w.starts()[2], "by less than half a segment")
	w.part(media.At(at(30), 90000))
	w.video(30, 32)
	w.must("a", primed(27), primed(32))
	require.Equal(t, 30*time.Second, w.starts()[3], "a segment of which more lies before a part does not begin it")
}

func TestAnEarlierStartIsJournaledByTheFirstSegmentThatCan(t *testing.T) {
	j := &faulty{Journal: mem.New(time.Now)}
	w := newWorldOn(t, Options{}, j)
	w.track("v", media.Video, 90000)
	w.track("a", media.Audio, 48000)
	w.part(media.At(at(0), 90000))
	w.must("v", at(0), at(2))
	j.fail = func(stream string) bool { return strings.HasSuffix(stream, metaSuffix) }
	_, err := w.add("a", primed(0), primed(2))
	require.ErrorIs(t, err, errDisk)
	j.fail = nil
	w.part(media.At(at(10), 90000))
	w.video(10, 12)
	require.Empty(t, w.tl.state.moved)
	require.Equal(t, -priming, w.starts()[0])
	before := w.view()
	w.restart()
	require.Equal(t, before, w.view())
	meta := 0
	for range w.journal.Read(w.ctx, w.tl.stream+metaSuffix, 0) {
		meta++
	}
	w.video(12, 14)
	for range w.journal.Read(w.ctx, w.tl.stream+metaSuffix, 0) {
		meta--
	}
	require.Zero(t, meta, "and by no other")
}

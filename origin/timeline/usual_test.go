package timeline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

func TestOneOverlongSegmentStaysInTheTargetDurationAlone(t *testing.T) {
	w := newWorld(t, Options{})
	w.track("v", media.Video, 90000)
	w.track("a", media.Audio, 48000)
	w.part(media.At(at(0), 90000))
	w.video(0, 20)
	w.audio(0, 20)
	past := shift(200, 2, 12)
	before := w.window(t, past)
	require.Equal(t, 2*time.Second, before.SegmentDuration)
	w.must("v", at(20), at(40))
	w.must("a", frame(20), frame(40))
	w.video(40, 42)
	w.audio(40, 42)
	require.True(t, w.tl.State().Counted)
	require.Equal(t, 20*time.Second, w.tl.Longest(), "the next one may be as long")
	w.video(42, 100)
	w.audio(42, 100)
	for range 2 {
		win := w.window(t, Query{Now: clock(100), Length: time.Minute})
		require.Equal(t, 20*time.Second, win.TargetDuration, "what HLS said must not change")
		require.Equal(t, 2*time.Second, win.SegmentDuration)
		require.Equal(t, 2*time.Second, w.window(t, past).SegmentDuration)
		require.Equal(t, 2*time.Second, w.tl.Step())
		require.Equal(t, 2*time.Second, w.tl.Longest())
		w.restart()
	}
	require.False(t, w.window(t, shift(110, 35, 101)).Live, "what could come before the end has had time to")
	w.video(100, 108)
	win := w.window(t, Query{Now: clock(108), Length: 6 * time.Second})
	require.Equal(t, []int{102, 104, 106, 108}, spans(t, win, "v"), "audio that stalled is not waited for a minute")
}

func TestTheUsualDurationIsTheMedianOfTheNewestSegments(t *testing.T) {
	segments := func(durations ...int64) (out []media.Segment) {
		for _, d := range durations {
			out = append(out, media.Segment{Duration: d})
		}
		return out
	}
	require.Zero(t, usual(nil))
	require.EqualValues(t, 3, usual(segments(3)))
	require.EqualValues(t, 2, usual(segments(1, 2)), "a first segment that was cut short does not count")
	require.EqualValues(t, 2, usual(segments(2, 20, 2, 1, 2)))
	many := segments(9, 9, 9, 9, 9, 9, 9, 9)
	for range usualSample {
		many = append(many, media.Segment{Duration: 4})
	}
	require.EqualValues(t, 4, usual(many))
	require.EqualValues(t, 9, many[0].Duration, "what is measured stays as it is")
}

func TestTheUsualDurationOfJoinedSegmentsIsTheirs(t *testing.T) {
	w := simple(t, 2, 32)
	win := w.window(t, Query{Now: clock(32), Length: time.Minute, Segment: six})
	require.Equal(t, six, win.SegmentDuration)
	require.Equal(t, 2*time.Second, w.tl.Step())
}

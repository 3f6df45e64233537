package timeline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager"
	"headwater/packager/media"
)

// spans returns the seconds after noon at which the segments of a track of a window begin, and where the last ends.
func spans(t *testing.T, win *packager.Window, track string) (out []int) {
	t.Helper()
	for _, tw := range win.Tracks {
		if tw.ID == track {
			for _, s := range tw.Segments {
				out = append(out, int(media.At(s.Start-noon*int64(tw.Timescale), tw.Timescale).Round(1)))
			}
			return append(out, int(media.At(tw.Last().End()-noon*int64(tw.Timescale), tw.Timescale).Round(1)))
		}
	}
	return nil
}

func (w *world) window(t *testing.T, q Query) *packager.Window {
	t.Helper()
	win, err := w.tl.Window(q)
	require.NoError(t, err)
	return win
}

// shift is a time-shifted query of an endpoint with an hour of start-over; from and to in seconds after noon, 0 for none.
func shift(now, from, to float64) Query {
	q := Query{Now: clock(now), Length: 10 * time.Second, Startover: time.Hour}
	if from != 0 {
		q.Start = clock(from)
	}
	if to != 0 {
		q.End = clock(to)
	}
	return q
}

func TestALiveWindowEndsWhereAllRunningTracksReach(t *testing.T) {
	w := newWorld(t, Options{})
	w.track("v", media.Video, 90000)
	w.track("v2", media.Video, 90000)
	w.track("a", media.Audio, 48000)
	live := Query{Now: clock(20), Length: 6 * time.Second}
	_, err := w.tl.Window(live)
	require.ErrorIs(t, err, ErrNotYet)
	w.part(media.At(at(0), 90000))
	for s := 0; s < 16; s += 2 {
		w.must("v2", at(float64(s)), at(float64(s+2)))
		w.audio(s, s+2)
		w.video(s, s+2)
	}
	w.video(16, 20)
	w.audio(16, 18)
	win := w.window(t, live)
	require.True(t, win.Live)
	require.False(t, win.Fixed)
	require.Equal(t, 6*time.Second, win.Depth)
	require.Equal(t, 2*time.Second, win.TargetDuration)
	require.Equal(t, []int{10, 12, 14, 16}, spans(t, win, "v"))
	require.Equal(t, []int{10, 12, 14, 16}, spans(t, win, "a"))
	require.Equal(t, []int{10, 12, 14, 16}, spans(t, win, "v2"))
	require.Equal(t, []media.Part{{Start: media.At(at(0), 90000)}}, win.Parts)
	require.Equal(t, time.UnixMilli(at(16)/90).UTC(), win.Updated)

	w.video(20, 22)
	w.audio(18, 22)
	require.Equal(t, []int{10, 12, 14, 16}, spans(t, w.window(t, live), "v"), "a track that lags three segments is waited for")
	w.video(22, 24)
	w.audio(22, 24)
	win = w.window(t, live)
	require.Equal(t, []int{18, 20, 22, 24}, spans(t, win, "v"), "then no more")
	require.Equal(t, []int(nil), spans(t, win, "v2"))
	w.must("v2", at(16), at(18))
	w.must("v2", at(18), at(20))
	require.Equal(t, []int{18, 20, 22, 24}, spans(t, w.window(t, live), "v"), "the live edge does not go back")
	w.must("v2", at(20), at(22))
	w.must("v2", at(22), at(24))
	require.Equal(t, []int{18, 20, 22, 24}, spans(t, w.window(t, live), "v2"))
}

func TestAudioGoesOnWhereVideoStalls(t *testing.T) {
	w := simple(t, 0, 10)
	w.track("a", media.Audio, 48000)
	w.audio(0, 40)
	win := w.window(t, Query{Now: clock(40), Length: 8 * time.Second})
	require.Equal(t, []int{32, 34, 36, 38, 40}, spans(t, win, "a"))
	require.Nil(t, spans(t, win, "v"))
	win = w.window(t, shift(50, 2, 8))
	require.Equal(t, []int{2, 4, 6, 8}, spans(t, win, "v"), "the past stays")
	require.Equal(t, []int{2, 4, 6, 8}, spans(t, win, "a"))
}

func TestStartAndEndFollowTheRules(t *testing.T) {
	w := simple(t, 0, 40)
	w.track("a", media.Audio, 48000)
	w.audio(0, 40)
	for _, c := range []struct {
		name        string
		q           Query
		want        []int
		live, fixed bool
		err         error
	}{
		{"whole segments that overlap start and end are shown", shift(41, 5, 9), []int{4, 6, 8, 10}, false, true, nil},
		{"a segment that ends at start or begins at end is not", shift(41, 4, 8), []int{4, 6, 8}, false, true, nil},
		{"start alone grows", shift(41, 33, 0), []int{32, 34, 36, 38, 40}, true, true, nil},
		{"an end in the future is live", shift(41, 35, 60), []int{34, 36, 38, 40}, true, true, nil},
		{"an end that passed while its media is on the way is live", shift(42, 35, 41), []int{34, 36, 38, 40}, true, true, nil},
		{"and complete when nothing came", shift(47.5, 35, 41), []int{34, 36, 38, 40}, false, true, nil},
		{"an end at the edge is complete", shift(41, 35, 40), []int{34, 36, 38, 40}, false, true, nil},
		{"start before the first segment is clamped", shift(41, -60, 3), []int{0, 2, 4}, false, true, nil},
		{"end alone is the live manifest frozen there", shift(41, 0, 20), []int{10, 12, 14, 16, 18, 20}, false, false, nil},
		{"and the live manifest until then", shift(41, 0, 60), []int{30, 32, 34, 36, 38, 40}, true, false, nil},
		{"start outside the start-over window is refused", shift(3700, 50, 3600), nil, false, false, ErrOutside},
		{"end before the start-over window is refused", shift(3700, 0, 50), nil, false, false, ErrOutside},
		{"start in the future is too early", shift(41, 42, 0), nil, false, false, ErrNotYet},
		{"so it is with an end", shift(41, 42, 60), nil, false, false, ErrNotYet},
		{"and as far ahead as caches keep an answer", shift(41, 341, 0), nil, false, false, ErrNotYet},
		{"start in the far future is refused", shift(41, 341.1, 0), nil, false, false, ErrOutside},
		{"start behind the edge is too early", shift(41, 40.5, 0), nil, false, false, ErrNotYet},
		{"nothing between start and end is refused", shift(41, -60, -50), nil, false, false, ErrOutside},
		{"nothing after the stream ended is refused", shift(400, 100, 150), nil, false, false, ErrOutside},
		{"start at end is bad", shift(41, 8, 8), nil, false, false, ErrBadWindow},
		{"start after end is bad", shift(41, 8, 7), nil, false, false, ErrBadWindow},
		{"more than a day is bad", shift(41, 1, 86402), nil, false, false, ErrBadWindow},
		{"a day is not", shift(41, 1, 86401), []int{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40}, true, true, nil},
		{"start more than a day ago is bad", Query{Now: clock(86500), Start: clock(1), Startover: 14 * 24 * time.Hour}, nil, false, false, ErrBadWindow},
		{"without a start-over window start is refused", Query{Now: clock(41), Start: clock(1)}, nil, false, false, ErrOutside},
		{"without a start-over window end is refused", Query{Now: clock(41), End: clock(20)}, nil, false, false, ErrOutside},
	} {
		t.Run(c.name, func(t *testing.T) {
			win, err := w.tl.Window(c.q)
			require.ErrorIs(t, err, c.err)
			if c.err != nil {
				return
			}
			require.Equal(t, c.want, spans(t, win, "v"))
			require.Equal(t, c.want, spans(t, win, "a"))
			require.Equal(t, c.live, win.Live)
			require.Equal(t, c.fixed, win.Fixed)
			if !c.live || c.fixed {
				require.Zero(t, win.Depth)
			}
		})
	}
}

func TestAWindowInAnOutageIsEmptyAndOneAroundItComplete(t *testing.T) {
	w := simple(t, 0, 10)
	w.video(60, 70)
	_, err := w.tl.Window(shift(71, 20, 40))
	require.ErrorIs(t, err, ErrOutside)
	win := w.window(t, shift(71, 5, 40))
	require.False(t, win.Live)
	require.Equal(t, []int{4, 6, 8, 10}, spans(t, win, "v"))
	require.Equal(t, []int{60, 62, 64, 66}, spans(t, w.window(t, shift(71, 40, 65)), "v"))
}

func TestATimeDelayMovesTheEdgeAndNotStart(t *testing.T) {
	w := simple(t, 0, 40)
	q := Query{Now: clock(41), Length: 6 * time.Second, Delay: 10 * time.Second, Startover: time.Hour}
	win := w.window(t, q)
	require.Equal(t, []int{24, 26, 28, 30}, spans(t, win, "v"), "whole segments that ended by then")
	require.Equal(t, 10*time.Second, win.Delay)
	q.Now = clock(41.9)
	require.Equal(t, []int{24, 26, 28, 30}, spans(t, w.window(t, q), "v"))
	q.Now = clock(42)
	require.Equal(t, []int{26, 28, 30, 32}, spans(t, w.window(t, q), "v"))
	q.Start, q.End = clock(20), clock(34)
	win = w.window(t, q)
	require.Equal(t, []int{20, 22, 24, 26, 28, 30, 32}, spans(t, win, "v"))
	require.True(t, win.Live, "the delayed viewer has not come to the end")
	q.Now = clock(44)
	require.False(t, w.window(t, q).Live)
	q.Delay, q.Start, q.End = time.Minute, time.Time{}, time.Time{}
	_, err := w.tl.Window(q)
	require.ErrorIs(t, err, ErrNotYet)
}

func TestTheTargetDurationIsConstantAndRoundsAsFormatsDo(t *testing.T) {
	for _, c := range []struct {
		name   string
		step   int64 // ticks of 90 kHz
		wanted time.Duration
		target time.Duration
	}{
		{"2 s", 180000, 0, 2 * time.Second},
		{"60 frames at 29.97 fps", 180180, 0, 2 * time.Second},
		{"and three of them", 180180, 6 * time.Second, 6 * time.Second},
		{"1.92 s", 172800, 0, 1920 * time.Millisecond},
		{"2.5 s", 225000, 0, 2500 * time.Millisecond},
		{"2.48 s, whose audio may be longer", 223200, 0, 2480 * time.Millisecond},
		{"half a second", 45000, 0, 500 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			w.track("v", media.Video, 90000)
			w.part(media.At(at(0), 90000))
			require.EqualValues(t, -1, w.locked("v", at(0)-c.step/3, at(0), 0))
			var seen []time.Duration
			for i := range int64(20) {
				w.locked("v", at(0)+i*c.step, at(0)+(i+1)*c.step, 0)
				if win, err := w.tl.Window(Query{Now: clock(20), Length: time.Minute, Segment: c.wanted}); err == nil {
					seen = append(seen, win.TargetDuration)
				}
			}
			require.NotEmpty(t, seen)
			for _, d := range seen {
				require.Equal(t, c.target, d)
			}
		})
	}
}

func TestAWindowStaysAsItIs(t *testing.T) {
	w := simple(t, 0, 10)
	w.video(12, 20)
	win := w.window(t, Query{Now: clock(20), Length: time.Minute})
	before := append([]media.Segment(nil), win.Tracks[0].Segments...)
	w.video(10, 12)
	w.video(20, 60)
	w.tl.Expire(clock(8), 100)
	require.Equal(t, before, win.Tracks[0].Segments)
}

func TestTheStateTellsWhatThereIs(t *testing.T) {
	w := simple(t, 0, 10)
	w.track("a", media.Audio, 48000)
	st := w.tl.State()
	require.Equal(t, 2*time.Second, st.Step)
	require.Equal(t, 1, st.Parts)
	require.False(t, st.Counted)
	require.Equal(t, 5, st.Tracks[0].Segments)
	require.Equal(t, 72000, st.Tracks[0].Peak)
	require.Equal(t, 72000, st.Tracks[0].Average)
	require.Zero(t, st.Tracks[1].Segments)
	version := w.tl.Version()
	w.video(10, 12)
	require.Greater(t, w.tl.Version(), version)
	c, err := w.tl.Config("v", "c0ffee00")
	require.NoError(t, err)
	require.Same(t, w.configs["v"], c)
	_, err = w.tl.Config("v", "other")
	require.ErrorIs(t, err, ErrNoTrack)
	tr, ok := w.tl.TrackByBitrate(media.Video, 1_000_000)
	require.True(t, ok)
	require.Equal(t, "v", tr.ID)
	_, ok = w.tl.TrackByBitrate(media.Video, 7)
	require.False(t, ok)
	require.True(t, w.tl.Grid().Valid())
	_, ok = w.tl.Last("x")
	require.False(t, ok)
}

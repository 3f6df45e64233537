package timeline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"headwater/packager/media"
)

const six = 6 * time.Second

func TestOutputSegmentsAreWholeNumbersOfIngestedOnes(t *testing.T) {
	w := simple(t, 0, 20) // noon is a multiple of 6
	for _, c := range []struct {
		wanted time.Duration
		length int
	}{{0, 2}, {time.Second, 2}, {2 * time.Second, 2}, {2999 * time.Millisecond, 2}, {3 * time.Second, 4}, {4 * time.Second, 4}, {six, 6}} {
		win := w.window(t, Query{Now: clock(20), Length: 12 * time.Second, Segment: c.wanted})
		at := spans(t, win, "v")
		for i := 1; i < len(at); i++ {
			require.Equal(t, c.length, at[i]-at[i-1], "%s", c.wanted)
		}
		require.EqualValues(t, (noon+at[0])/c.length, win.Tracks[0].Segments[0].Number)
		require.Equal(t, time.Duration(c.length)*time.Second, win.TargetDuration)
	}
}

func TestJoinedSegmentsAreTheSameHoweverTheyAreAskedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, Options{Numbering: rapid.SampledFrom([]Numbering{Auto, Counter}).Draw(t, "numbering")})
		w.track("v", media.Video, 90000)
		w.track("a", media.Audio, 48000)
		s := rapid.IntRange(0, 5).Draw(t, "start") * 2
		start := s
		w.part(media.At(at(float64(s)), 90000))
		for range 30 {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				s += 2
			case 1:
				w.part(media.At(at(float64(s)), 90000))
			}
			if rapid.IntRange(0, 9).Draw(t, "audio lost") > 0 {
				w.audio(s, s+2)
			}
			w.video(s, s+2)
			s += 2
		}
		if rapid.Bool().Draw(t, "expire") {
			w.tl.Expire(clock(float64(start+10)), 100)
		}
		seen := map[string]map[int64]media.Segment{"v": {}, "a": {}}
		check := func(q Query) {
			q.Segment = six
			win, err := w.tl.Window(q)
			if err != nil {
				return
			}
			for _, tw := range win.Tracks {
				for i, seg := range tw.Segments {
					if i > 0 {
						require.Less(t, tw.Segments[i-1].Number, seg.Number)
						require.LessOrEqual(t, tw.Segments[i-1].End(), seg.Start)
					}
					if have, ok := seen[tw.ID][seg.Number]; ok {
						require.Equal(t, have, seg)
					}
					seen[tw.ID][seg.Number] = seg
					out, err := w.tl.Segment(Key{Track: tw.ID, Number: seg.Number}, six)
					require.NoError(t, err)
					require.Equal(t, seg, out.Segment)
					size := int64(0)
					for _, stored := range out.Stored {
						require.Equal(t, seg.Part, stored.Part)
						require.Equal(t, seg.Number, stored.Number/3)
						size += stored.Size
					}
					require.Equal(t, size, seg.Size)
					byTime, err := w.tl.Segment(Key{Track: tw.ID, Time: seg.Start, ByTime: true}, six)
					require.NoError(t, err)
					require.Equal(t, out, byTime)
					for _, stored := range out.Stored[1:] {
						_, err := w.tl.Segment(Key{Track: tw.ID, Time: stored.Start, ByTime: true}, six)
						require.ErrorIs(t, err, ErrGone)
					}
					if i > 0 {
						require.Equal(t, seg, w.tl.Following(tw.ID, tw.Segments[i-1].Number, six, 1)[0])
					}
				}
			}
		}
		for range 20 {
			from := rapid.IntRange(start-5, s).Draw(t, "from")
			check(Query{Now: clock(float64(s)), Start: clock(float64(from)), End: clock(float64(from + rapid.IntRange(1, 60).Draw(t, "length"))), Startover: time.Hour})
		}
		check(Query{Now: clock(float64(s)), Length: 20 * time.Second})
		for n, seg := range seen["a"] {
			if v, ok := seen["v"][n]; ok && w.opt.Numbering == Auto && v.Duration == 540000 && seg.Duration > 6*47000 {
				require.InDelta(t, float64(v.Start)/90000, float64(seg.Start)/48000, 0.03, "audio goes with its video")
			}
		}
	})
}

func TestTheLiveEdgeOfJoinedSegmentsIsAWholeOne(t *testing.T) {
	w := newWorld(t, Options{})
	w.track("v", media.Video, 90000)
	w.track("a", media.Audio, 48000)
	w.part(media.At(at(0), 90000))
	q := Query{Now: clock(20), Length: time.Minute, Segment: six}
	for s := 2; s < 40; s += 2 {
		w.video(s, s+2)
		w.audio(s, s+2)
		win, err := w.tl.Window(q)
		if s < 4 {
			require.ErrorIs(t, err, ErrNotYet)
			_, err = w.tl.Segment(Key{Track: "v", Number: noon / 6}, six)
			require.ErrorIs(t, err, ErrNotYet)
			continue
		}
		require.NoError(t, err)
		end := (s + 2) / 6 * 6
		for _, id := range []string{"v", "a"} {
			at := spans(t, win, id)
			require.Equal(t, 2, at[0], "the first group is short where the channel began")
			require.Equal(t, end, at[len(at)-1])
		}
	}
	_, err := w.tl.Segment(Key{Track: "v", Number: noon/6 + 7}, six)
	require.ErrorIs(t, err, ErrNotYet)
	_, err = w.tl.Segment(Key{Track: "x"}, six)
	require.ErrorIs(t, err, ErrNoTrack)
	require.Nil(t, w.tl.Following("x", 0, six, 1))
	require.Len(t, w.tl.Following("v", noon/6, six, 10), 5)
}

func TestAGroupOfWhichAPartExpiredIsGone(t *testing.T) {
	w := simple(t, 0, 24)
	w.tl.Expire(clock(8), 100)
	_, err := w.tl.Segment(Key{Track: "v", Number: noon/6 + 1}, six)
	require.ErrorIs(t, err, ErrGone)
	win := w.window(t, Query{Now: clock(24), Length: time.Minute, Segment: six})
	require.Equal(t, []int{12, 18, 24}, spans(t, win, "v"))
	_, err = w.tl.Segment(Key{Track: "v", Number: noon/2 + 4}, 0)
	require.NoError(t, err)
	w.tl.Expire(clock(100), 100)
	_, err = w.tl.Segment(Key{Track: "v", Number: noon / 6}, six)
	require.ErrorIs(t, err, ErrGone)
}

func TestALostSegmentLeavesAHoleInItsGroupAndComingLateDoesNotFillIt(t *testing.T) {
	w := simple(t, 0, 2)
	w.video(4, 8)
	out, err := w.tl.Segment(Key{Track: "v", Number: noon / 6}, six)
	require.NoError(t, err)
	require.Len(t, out.Stored, 2)
	require.EqualValues(t, 6*90000, out.Segment.Duration)
	w.video(2, 4)
	again, err := w.tl.Segment(Key{Track: "v", Number: noon / 6}, six)
	require.NoError(t, err)
	require.Equal(t, out, again, "the bytes behind a name do not change")
	w.restart()
	again, err = w.tl.Segment(Key{Track: "v", Number: noon / 6}, six)
	require.NoError(t, err)
	require.Equal(t, out.Segment.Hash, again.Segment.Hash)
	single, err := w.tl.Segment(Key{Track: "v", Number: noon/2 + 1}, 0)
	require.NoError(t, err)
	require.EqualValues(t, at(2), single.Segment.Start)
}

func TestWhereTheStepChangesOutputNumbersStillGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, Options{})
		w.track("v", media.Video, 90000)
		from := at(0)
		wanted := time.Duration(rapid.IntRange(1, 12).Draw(t, "wanted")) * time.Second
		for range 5 {
			step := rapid.Int64Range(1, 40).Draw(t, "step") * 45000
			if e := w.tl.Earliest().Round(90000); from < e {
				from = e + 1
			}
			w.part(media.At(from, 90000))
			for range rapid.IntRange(1, 9).Draw(t, "segments") {
				w.must("v", from, from+step)
				from += step
			}
		}
		s := w.tl.snap.Load()
		j := joiner{&s.tracks[0], s.joins(wanted)}
		last := int64(-1)
		for _, seg := range j.list(0, len(s.tracks[0].segments)) {
			require.Less(t, last, seg.Number)
			last = seg.Number
		}
	})
}

func TestDuringTakesWhatGoesWithAVideoSegment(t *testing.T) {
	w := newWorld(t, Options{})
	w.track("v", media.Video, 90000)
	w.track("a", media.Audio, 48000)
	w.part(media.At(at(0), 90000))
	w.video(0, 10)
	w.audio(0, 6)
	out, ok, err := w.tl.During("a", media.At(at(0), 90000), media.At(at(6), 90000))
	require.NoError(t, err)
	require.True(t, ok)
	require.Len(t, out.Stored, 3)
	require.Equal(t, w.numbers("a")[0], out.Segment.Number)
	_, _, err = w.tl.During("a", media.At(at(6), 90000), media.At(at(10), 90000))
	require.ErrorIs(t, err, ErrNotYet)
	_, _, err = w.tl.During("x", media.At(at(6), 90000), media.At(at(10), 90000))
	require.ErrorIs(t, err, ErrNoTrack)
	w.video(10, 30)
	_, ok, err = w.tl.During("a", media.At(at(6), 90000), media.At(at(10), 90000))
	require.NoError(t, err)
	require.False(t, ok, "audio that stalled is not waited for")
}

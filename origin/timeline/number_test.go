package timeline

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"headwater/packager/media"
)

// source is a regular encoder of one video and one audio track.
type source struct {
	scale, rate uint32 // of video and audio
	step        int64  // ticks of video
	start       int64  // ticks of video
	phase       int64  // of audio frames, ticks
}

func sources() *rapid.Generator[source] {
	return rapid.Custom(func(t *rapid.T) source {
		c := rapid.SampledFrom([][2]int64{{90000, 3600}, {90000, 3003}, {60000, 1001}, {30000, 1001}, {12800, 512}, {10_000_000, 400_000}}).Draw(t, "cadence")
		s := source{scale: uint32(c[0]), rate: 48000}
		frames := rapid.Int64Range(1*c[0]/c[1]+1, 10*c[0]/c[1]).Draw(t, "frames per GOP")
		s.step = frames * c[1]
		s.start = noon*c[0] + rapid.Int64Range(0, 4*c[0]).Draw(t, "phase")
		s.phase = rapid.Int64Range(0, 1023).Draw(t, "audio phase")
		return s
	})
}

// video returns segment i in ticks.
func (s source) video(i int64) (from, to int64) { return s.start + i*s.step, s.start + (i+1)*s.step }

// audio returns segment i in ticks, cut at the frames nearest to those of video.
func (s source) audio(i int64) (from, to int64) {
	cut := func(i int64) int64 {
		at := media.At(s.start+i*s.step, s.scale).Round(s.rate)
		return s.phase + (at-s.phase+512)/1024*1024
	}
	return cut(i), cut(i + 1)
}

func TestNumbersOfARegularSourceFollowTheEpochGridOverLossesAndRestarts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := sources().Draw(t, "source")
		w := newWorld(t, Options{})
		w.track("v", media.Video, s.scale)
		w.track("a", media.Audio, s.rate)
		w.part(media.At(s.start, s.scale))
		first := s.start / s.step
		i := int64(0)
		for range 40 {
			switch rapid.IntRange(0, 12).Draw(t, "what") {
			case 0: // a pause of up to days
				i += rapid.Int64Range(1, 100_000).Draw(t, "lost")
			case 1:
				i++
			case 2:
				w.restart()
			case 3:
				w.tl.Expire(media.At(s.start+i*s.step, s.scale).UTC(), 1000)
				require.NoError(t, w.tl.Forget(w.ctx))
			}
			vfrom, vto := s.video(i)
			afrom, ato := s.audio(i)
			if rapid.Bool().Draw(t, "audio first") {
				w.must("a", afrom, ato)
				if rapid.IntRange(0, 5).Draw(t, "restart between") == 0 {
					w.restart()
				}
				require.Equal(t, first+i, w.must("v", vfrom, vto))
			} else {
				require.Equal(t, first+i, w.must("v", vfrom, vto))
				w.must("a", afrom, ato)
			}
			require.False(t, w.tl.State().Counted)
			for _, id := range []string{"v", "a"} {
				n := w.numbers(id)
				require.Equal(t, first+i, n[len(n)-1], id)
			}
			i++
		}
		before := w.view()
		w.restart()
		require.True(t, before == w.view(), "a replay gives the same")
	})
}

func TestNumbersNeverGoBackOverEncoderRestarts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, Options{Numbering: rapid.SampledFrom([]Numbering{Auto, Counter}).Draw(t, "numbering")})
		w.track("v", media.Video, 90000)
		w.track("a", media.Audio, 48000)
		last := map[string]int64{"v": -1, "a": -1}
		clock := media.At(noon, 1)
		for range 6 {
			s := sources().Draw(t, "source")
			s.scale = 90000
			s.step = rapid.SampledFrom([]int64{90000, 180000, 180180, 540000}).Draw(t, "step")
			if e := w.tl.Earliest(); clock.Before(e) {
				clock = e
			}
			s.start = clock.Round(90000) + 1 + rapid.Int64Range(0, 900_000).Draw(t, "pause")
			w.part(media.At(s.start, 90000))
			for i := range rapid.Int64Range(1, 8).Draw(t, "segments") {
				for _, id := range rapid.SampledFrom([][]string{{"v", "a"}, {"a", "v"}, {"v"}}).Draw(t, "order") {
					from, to := s.video(i)
					if id == "a" {
						from, to = s.audio(i)
					}
					if _, err := w.add(id, from, to); err != nil {
						require.Equal(t, "a", id, "audio of the session before may reach into the new one: %v", err)
					}
				}
				_, to := s.video(i)
				clock = media.At(to, 90000)
			}
			for id := range last {
				n := w.numbers(id)
				for i := range n {
					require.Greater(t, n[i], last[id])
					if i > 0 {
						require.Less(t, n[i-1], n[i])
					}
				}
			}
			switch rapid.IntRange(0, 3).Draw(t, "then") {
			case 0:
				w.restart()
			case 1:
				for id := range last {
					if n := w.numbers(id); len(n) > 0 {
						last[id] = n[len(n)-1]
					}
				}
				w.tl.Expire(clock.UTC().Add(1e12), 1000)
				require.NoError(t, w.tl.Forget(w.ctx))
				w.restart()
			}
		}
	})
}

func TestIrregularSegmentsAreCountedForGood(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, Options{})
		w.track("v", media.Video, 90000)
		w.part(media.At(at(0), 90000))
		from := at(0)
		whole := rapid.Bool().Draw(t, "whole seconds")
		for range 30 {
			d := rapid.Int64Range(90000, 6*90000).Draw(t, "duration")
			if whole {
				d = d / 90000 * 90000
			}
			w.must("v", from, from+d)
			from += d
			if rapid.IntRange(0, 10).Draw(t, "restart") == 0 {
				w.restart()
			}
		}
		n := w.numbers("v")
		for i := 1; i < len(n); i++ {
			require.Equal(t, n[i-1]+1, n[i], "no media is missing, so there is no gap")
		}
		before := w.view()
		w.restart()
		require.True(t, before == w.view(), "a replay gives the same")
	})
}

func TestHowNumbersAreChosen(t *testing.T) {
	const first = noon / 2
	for _, c := range []struct {
		name string
		run  func(t *testing.T, w *world)
	}{
		{"a first segment that an encoder on UTC began in the middle has the number of its slot", func(t *testing.T, w *world) {
			require.EqualValues(t, -1, w.locked("v", at(1.2), at(2), 0))
			w.restart()
			require.EqualValues(t, first+1, w.locked("v", at(2), at(4), 0))
			require.Equal(t, []int64{first, first + 1}, w.numbers("v"))
		}},
		{"so it has when the receiver cuts the segments and knows their length", func(t *testing.T, w *world) {
			require.EqualValues(t, first, w.locked("v", at(1), at(2), 2))
			require.EqualValues(t, first+1, w.locked("v", at(2), at(4), 2))
			require.False(t, w.tl.State().Counted)
		}},
		{"an encoder on UTC that comes back in the slot that it left loses the rest of the slot and keeps the grid", func(t *testing.T, w *world) {
			require.EqualValues(t, first, w.locked("v", at(0), at(2), 2))
			require.EqualValues(t, first+1, w.locked("v", at(2), at(3), 2))
			_, err := w.add("v", at(3.5), at(4))
			require.ErrorIs(t, err, ErrBackwards)
			require.EqualValues(t, first+2, w.locked("v", at(4), at(6), 2))
		}},
		{"an encoder on UTC keeps its grid over parts", func(t *testing.T, w *world) {
			w.video(0, 4)
			w.part(media.At(at(7), 90000))
			require.EqualValues(t, first+3, w.locked("v", at(7), at(8), 0))
			require.EqualValues(t, first+4, w.locked("v", at(8), at(10), 0))
		}},
		{"an encoder on UTC that comes back with longer segments is counted", func(t *testing.T, w *world) {
			w.video(0, 4)
			w.part(media.At(at(12), 90000))
			require.EqualValues(t, -1, w.locked("v", at(12), at(18), 0))
			require.EqualValues(t, first+3, w.locked("v", at(18), at(24), 0))
			require.Equal(t, []int64{first, first + 1, first + 2, first + 3}, w.numbers("v"))
			require.True(t, w.tl.State().Counted)
		}},
		{"a late segment fills its gap", func(t *testing.T, w *world) {
			w.video(0, 2)
			w.video(4, 6)
			before := w.tl.snap.Load().track("v").segments
			w.video(2, 4)
			require.Equal(t, []int64{first, first + 1, first + 2}, w.numbers("v"))
			require.EqualValues(t, first+2, before[1].Number, "what readers have does not change")
			_, err := w.add("v", at(2.5), at(3.5))
			require.ErrorIs(t, err, ErrOverlap)
		}},
		{"a late segment that overlaps the next is refused", func(t *testing.T, w *world) {
			w.video(0, 2)
			w.video(4, 6)
			_, err := w.add("v", at(2), at(5))
			require.ErrorIs(t, err, ErrOverlap)
		}},
		{"a late segment that the counter has no number for is refused", func(t *testing.T, w *world) {
			w.must("v", at(0), at(1.1))
			w.must("v", at(1.1), at(4.7))
			w.must("v", at(4.7), at(6))
			require.True(t, w.tl.State().Counted)
			w.must("v", at(6.4), at(7.5))
			_, err := w.add("v", at(6), at(6.4))
			require.ErrorIs(t, err, ErrBackwards)
		}},
		{"a late segment takes a number that the counter left free for it", func(t *testing.T, w *world) {
			w.must("v", at(0), at(1.1))
			w.must("v", at(1.1), at(4.7))
			w.must("v", at(4.7), at(6))
			require.True(t, w.tl.State().Counted)
			w.must("v", at(8.6), at(10))
			numbers := w.numbers("v")
			w.must("v", at(7.3), at(8.6))
			w.must("v", at(6), at(7.3))
			last := numbers[2]
			require.Equal(t, append(numbers[:3:3], last+1, last+2, last+3), w.numbers("v"))
			w.restart()
			require.Equal(t, append(numbers[:3:3], last+1, last+2, last+3), w.numbers("v"))
		}},
		{"a segment is taken once", func(t *testing.T, w *world) {
			require.NoError(t, w.tl.Reserve("v", at(0)))
			require.ErrorIs(t, w.tl.Reserve("v", at(0)), ErrDuplicate)
			w.video(0, 2)
			require.ErrorIs(t, w.tl.Reserve("v", at(0)), ErrDuplicate)
			require.ErrorIs(t, w.tl.Reserve("v", at(1)), ErrOverlap)
			require.NoError(t, w.tl.Reserve("v", at(1.9)))
			w.tl.Release("v", at(1.9))
			require.NoError(t, w.tl.Reserve("v", at(1.9)))
			_, err := w.add("v", at(0), at(2))
			require.ErrorIs(t, err, ErrDuplicate)
		}},
		{"a segment that begins before the one before it ends is taken, unless that holds it all", func(t *testing.T, w *world) {
			w.video(0, 2)
			w.must("v", at(2), at(4.4))
			_, err := w.add("v", at(3.9), at(4.4))
			require.ErrorIs(t, err, ErrOverlap)
			require.ErrorIs(t, w.tl.Reserve("v", at(3.7)), ErrOverlap)
			require.NoError(t, w.tl.Reserve("v", at(4)))
			w.video(4, 6)
			require.Equal(t, []int64{first, first + 1, first + 2}, w.numbers("v"))
		}},
		{"what no segment covers is known", func(t *testing.T, w *world) {
			w.video(0, 4)
			w.video(6, 8)
			for _, c := range []struct{ from, to, want float64 }{
				{1, 3, 0}, {3, 5, 1}, {3, 7, 2}, {5, 10, 3}, {4, 6, 2}, {9, 10, 1}, {0, 8, 2}, {-1, 9, 4},
			} {
				require.Equal(t, at(c.want)-at(0), w.tl.Uncovered("v", at(c.from), at(c.to)), "from %v to %v", c.from, c.to)
			}
			require.Equal(t, int64(5), w.tl.Uncovered("none", 0, 5))
			w.tl.Expire(clock(4), 10)
			require.Zero(t, w.tl.Uncovered("v", at(1), at(3)))
			require.Equal(t, at(1)-at(0), w.tl.Uncovered("v", at(3), at(5)))
		}},
		{"what has expired does not come back", func(t *testing.T, w *world) {
			w.video(0, 4)
			w.tl.Expire(clock(100), 10)
			require.ErrorIs(t, w.tl.Reserve("v", at(2)), ErrOverlap)
			_, err := w.add("v", at(0), at(2))
			require.ErrorIs(t, err, ErrOverlap)
			w.video(4, 6)
		}},
		{"audio alone is counted from its second segment", func(t *testing.T, _ *world) {
			w := newWorld(t, Options{})
			w.track("a", media.Audio, 48000)
			w.part(media.At(at(0), 90000))
			w.audio(0, 8)
			require.Equal(t, []int64{noon / 2, noon/2 + 1, noon/2 + 2, noon/2 + 3}, leastTo(noon/2, w.numbers("a")))
			require.True(t, w.tl.State().Counted)
			require.NotZero(t, w.tl.Step())
		}},
		{"audio that runs ahead waits for video", func(t *testing.T, w *world) {
			w.audio(0, 6)
			require.Empty(t, w.numbers("a"))
			w.video(0, 2)
			require.Equal(t, []int64{first, first + 1, first + 2}, w.numbers("a"))
		}},
		{"audio does not wait for ever", func(t *testing.T, w *world) {
			w.audio(0, 10)
			require.Len(t, w.numbers("a"), 5)
			require.True(t, w.tl.State().Counted)
			require.NotZero(t, w.tl.Step())
		}},
		{"audio whose cadence is another makes the channel count", func(t *testing.T, w *world) {
			for s := 0; s < 12; s += 6 {
				w.video(s, s+6)
				w.must("a", frame(s), frame(s+6))
			}
			require.True(t, w.tl.State().Counted)
			require.Equal(t, int64(1), w.numbers("a")[1]-w.numbers("a")[0])
		}},
		{"a rendition that appears later has the numbers of the others", func(t *testing.T, w *world) {
			w.video(0, 6)
			w.track("v2", media.Video, 10_000_000)
			from, to := int64(noon+4)*10_000_000, int64(noon+6)*10_000_000
			require.EqualValues(t, first+2, w.must("v2", from, to))
			w.must("v", at(6), at(7.1))
			w.must("v", at(7.1), at(9))
			require.True(t, w.tl.State().Counted)
			w.track("v3", media.Video, 90000)
			require.Equal(t, w.numbers("v")[4], w.must("v3", at(7.1), at(9)))
			w.track("v4", media.Video, 90000)
			require.Equal(t, w.numbers("v")[4]+1, w.must("v4", at(9), at(11)))
		}},
		{"tracks of a counted channel agree again in the next part", func(t *testing.T, _ *world) {
			w := newWorld(t, Options{Numbering: Counter})
			w.track("v", media.Video, 90000)
			w.track("a", media.Audio, 48000)
			w.part(media.At(at(0), 90000))
			w.video(0, 8)
			w.audio(0, 4)
			w.part(media.At(at(10), 90000))
			w.audio(10, 12)
			w.video(10, 12)
			w.video(12, 14)
			w.audio(12, 14)
			require.Equal(t, w.numbers("v")[4:], w.numbers("a")[2:])
		}},
		{"segments of unknown tracks, parts and configurations are refused", func(t *testing.T, w *world) {
			_, err := w.add("x", at(0), at(2))
			require.ErrorIs(t, err, ErrNoTrack)
			add := w.segment("v", at(0), at(2))
			add.Part = 7
			_, err = w.tl.Append(w.ctx, "v", add)
			require.ErrorIs(t, err, ErrNoTrack)
			add = w.segment("v", at(0), at(2))
			add.Config = &media.Config{}
			_, err = w.tl.Append(w.ctx, "v", add)
			require.ErrorIs(t, err, ErrNoTrack)
			_, err = w.add("v", at(2), at(2))
			require.ErrorIs(t, err, errRange)
			_, err = w.add("v", 1<<62+1, 1<<62+5)
			require.ErrorIs(t, err, errRange)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			w.track("v", media.Video, 90000)
			w.track("a", media.Audio, 48000)
			w.part(media.At(at(0), 90000))
			c.run(t, w)
		})
	}
}

// locked appends a segment of an encoder on UTC; step in seconds, 0 when it is not known.
func (w *world) locked(track string, from, to, step int64) int64 {
	w.t.Helper()
	add := w.segment(track, from, to)
	add.Locked = true
	if step > 0 {
		add.Step = media.At(step, 1)
	}
	s, err := w.tl.Append(w.ctx, track, add)
	require.NoError(w.t, err)
	return s.Number
}

// leastTo moves numbers so that the first is n.
func leastTo(n int64, numbers []int64) (out []int64) {
	for _, m := range numbers {
		out = append(out, m-numbers[0]+n)
	}
	return out
}

func TestForcedEpochNumbersNeverLeaveTheGrid(t *testing.T) {
	w := newWorld(t, Options{Numbering: Epoch})
	w.track("v", media.Video, 90000)
	w.part(media.At(at(0), 90000))
	w.video(0, 4)
	require.EqualValues(t, noon/2+2, w.must("v", at(4), at(4.9)))
	_, err := w.add("v", at(4.9), at(5.9))
	require.ErrorIs(t, err, ErrBackwards, "its number would be that of the one before")
	require.EqualValues(t, noon/2+3, w.must("v", at(6.3), at(8.3)))
	require.EqualValues(t, noon/2+6, w.must("v", at(12), at(20)))
	require.EqualValues(t, noon/2+10, w.must("v", at(20), at(22)), "a long segment is a gap where the grid is forced")
	require.False(t, w.tl.State().Counted)
	before := w.view()
	w.restart()
	require.True(t, before == w.view(), "a replay gives the same")

	w = newWorld(t, Options{Numbering: Epoch})
	w.track("a", media.Audio, 48000)
	w.part(media.At(at(0), 90000))
	w.audio(0, 600)
	n := w.numbers("a")
	require.Len(t, n, 300)
	require.EqualValues(t, n[0]+299, n[299], "audio alone has a grid as well")
}

func TestForcedCounterCountsFromTheFirstSegmentAndRemembers(t *testing.T) {
	w := newWorld(t, Options{Numbering: Counter})
	w.track("v", media.Video, 90000)
	w.part(media.At(at(0), 90000))
	w.video(0, 4)
	w.video(8, 10)
	require.Equal(t, []int64{noon / 2, noon/2 + 1, noon/2 + 4}, w.numbers("v"), "lost segments have numbers of their own")
	w.opt = Options{}
	w.restart()
	w.video(20, 22)
	w.video(22, 24)
	require.EqualValues(t, noon/2+10, w.numbers("v")[3], "who counts, counts for good")
	require.EqualValues(t, noon/2+11, w.numbers("v")[4])
	require.False(t, w.tl.Grid().Valid())
}

func TestNumbersGoOnAfterEverythingExpired(t *testing.T) {
	for _, n := range []Numbering{Auto, Epoch, Counter} {
		t.Run(fmt.Sprintf("numbering %d", n), func(t *testing.T) {
			w := newWorld(t, Options{Numbering: n})
			w.track("v", media.Video, 90000)
			w.track("a", media.Audio, 48000)
			w.part(media.At(at(0), 90000))
			w.video(0, 20)
			w.audio(0, 20)
			last := w.numbers("v")[9]
			earliest, state := w.tl.Earliest(), w.tl.State()
			require.Len(t, w.tl.Expire(clock(1000), 100), 20)
			require.NoError(t, w.tl.Forget(w.ctx))
			count := 0
			for range w.journal.Read(w.ctx, w.tl.stream+segmentsSuffix, 0) {
				count++
			}
			require.Equal(t, 2, count, "only what is gone of each track is remembered")
			w.restart()
			require.Equal(t, earliest, w.tl.Earliest())
			require.Equal(t, state.Tracks[0].Average, w.tl.State().Tracks[0].Average)
			require.Equal(t, state.Tracks[0].Peak, w.tl.State().Tracks[0].Peak)
			w.part(media.At(at(20), 90000))
			require.Equal(t, last+1, w.must("v", at(20), at(22)))
			w.audio(20, 22)
			require.Equal(t, []int64{last + 1}, w.numbers("a"))
		})
	}
}

func TestAnEncoderThatComesBackWithSegmentsOfAnotherLengthLeavesNoHoleInTheNumbers(t *testing.T) {
	for _, lengths := range [][2]int{{4, 2}, {2, 4}, {6, 1}, {2, 2}} {
		w := newWorld(t, Options{})
		w.track("v", media.Video, 90000)
		w.part(media.At(at(0), 90000))
		last := int64(0)
		for s := 0; s < 60; s += lengths[0] {
			last = w.must("v", at(float64(s)), at(float64(s+lengths[0])))
		}
		gap := 24 // seconds, of which nothing is there
		w.part(media.At(at(float64(60+gap)), 90000))
		first := w.must("v", at(float64(60+gap)), at(float64(60+gap+lengths[1])))
		require.Greater(t, first, last, "%v", lengths)
		require.LessOrEqual(t, first, last+1+int64(gap/min(lengths[0], lengths[1])), "%v: no more numbers are missing than segments", lengths)
		require.Equal(t, first+1, w.must("v", at(float64(60+gap+lengths[1])), at(float64(60+gap+2*lengths[1]))))
		require.Equal(t, lengths[0] != lengths[1], w.tl.State().Counted)
	}
}

package timeline

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"headwater/packager/media"
)

// irregular are durations that no grid has, in seconds.
var irregular = []float64{2, 3, 1.5, 2.5, 2, 3.5, 2, 1.5, 2.5, 2}

// cut returns where segment i of a source of irregular segments begins, in seconds after noon.
func cut(i int) (s float64) {
	for n := range i {
		s += irregular[n%len(irregular)]
	}
	return s
}

// uneven appends segment i of an irregular source to the tracks that did not lose it.
func (w *world) uneven(i int, lost string) {
	w.t.Helper()
	from, to := cut(i), cut(i+1)
	for _, id := range []string{"v", "v2", "a"} {
		switch {
		case id == lost:
		case id == "a":
			w.must(id, at(from)*48/90/1024*1024, at(to)*48/90/1024*1024)
		default:
			w.must(id, at(from), at(to))
		}
	}
}

func unevenWorld(t tester) *world {
	w := newWorld(t, Options{})
	w.track("v", media.Video, 90000)
	w.track("v2", media.Video, 90000)
	w.track("a", media.Audio, 48000)
	w.part(media.At(at(0), 90000))
	for i := range 6 {
		w.uneven(i, "")
	}
	return w
}

func TestACountedTrackThatLostASegmentKeepsTheNumbersOfTheOthers(t *testing.T) {
	for _, lost := range []string{"v", "v2", "a"} {
		w := unevenWorld(t)
		require.True(t, w.tl.State().Counted)
		w.uneven(6, lost)
		w.restart()
		for i := 7; i < 10; i++ {
			w.uneven(i, "")
		}
		for _, id := range []string{"v", "v2", "a"} {
			n := w.numbers(id)
			require.Equal(t, int64(9), n[len(n)-1]-n[0], "%s of which %s lost one", id, lost)
			if id == lost {
				require.Equal(t, int64(2), n[6]-n[5])
			}
		}
	}
}

func TestWhereAllCountedTracksLostMediaNumbersAreFreeForIt(t *testing.T) {
	w := unevenWorld(t)
	w.uneven(10, "") // four segments of 8.5 s are missing, of which 2.5 s is the median
	want := w.numbers("v")[5] + 4
	for _, id := range []string{"v", "v2", "a"} {
		n := w.numbers(id)
		require.Equal(t, want, n[len(n)-1], id)
	}
	require.Equal(t, 8.0, cut(10)-cut(6))
	w.must("v", at(cut(11)+0.9), at(cut(11)+3))
	require.Equal(t, want+1, w.numbers("v")[7], "less than half a segment is no hole")
	w.must("v", at(1e9), at(1e9+2))
	require.Less(t, w.numbers("v")[8], want+mostMissing)
}

func TestCountedNumbersOfAllTracksAgreeWhateverIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := unevenWorld(t)
		for i := 6; i < 40; i++ {
			lost := rapid.SampledFrom([]string{"", "", "", "v", "v2", "a", "all"}).Draw(t, "lost")
			if lost == "all" {
				continue
			}
			w.uneven(i, lost)
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				w.restart()
			}
			numbers := map[int64]bool{}
			for _, tr := range w.tl.snap.Load().tracks {
				last := tr.segments[len(tr.segments)-1]
				if tr.ID != lost {
					numbers[last.Number] = true
				}
				n := w.numbers(tr.ID)
				for k := 1; k < len(n); k++ {
					require.Less(t, n[k-1], n[k])
				}
			}
			require.Len(t, numbers, 1, "one number for one instant")
		}
		before := w.view()
		w.restart()
		require.Equal(t, before, w.view(), "a replay gives the same")
	})
}

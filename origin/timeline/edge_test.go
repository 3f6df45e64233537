package timeline

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

func TestNothingIsShownBeforeTheTracksThatAreKnown(t *testing.T) {
	live := Query{Now: clock(20), Length: time.Minute}
	for _, c := range []struct {
		name string
		know func(w *world)
	}{
		{"a track with a configuration", func(w *world) { w.track("a", media.Audio, 48000) }},
		{"a track that only its header is known of", func(w *world) { w.tl.Expect("a") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			w.track("v", media.Video, 90000)
			c.know(w)
			w.part(media.At(at(0), 90000))
			w.video(0, 6)
			_, err := w.tl.Window(live)
			require.ErrorIs(t, err, ErrNotYet)
			_, err = w.tl.Window(shift(20, 1, 5))
			require.ErrorIs(t, err, ErrNotYet)
			if c.know(w); w.configs["a"] == nil {
				w.track("a", media.Audio, 48000)
			}
			_, err = w.tl.Window(live)
			require.ErrorIs(t, err, ErrNotYet, "its segments have not come yet")
			w.audio(0, 2)
			require.Equal(t, []int{0, 2}, spans(t, w.window(t, live), "v"))
			require.Equal(t, []int{0, 2}, spans(t, w.window(t, live), "a"))
		})
		t.Run(c.name+" that never comes is waited for three segments", func(t *testing.T) {
			w := newWorld(t, Options{})
			w.track("v", media.Video, 90000)
			c.know(w)
			w.part(media.At(at(0), 90000))
			w.video(0, 8)
			require.Equal(t, []int{0, 2, 4, 6, 8}, spans(t, w.window(t, live), "v"))
			w.track("v2", media.Video, 90000)
			w.tl.Expect("b")
			w.video(8, 10)
			require.Equal(t, []int{0, 2, 4, 6, 8, 10}, spans(t, w.window(t, live), "v"), "who comes later holds nothing up")
		})
	}
}

func TestSegmentsWithSoundAreNotMadeBeforeItBegan(t *testing.T) {
	w := newWorld(t, Options{})
	w.track("v", media.Video, 90000)
	w.track("a", media.Audio, 48000)
	w.part(media.At(at(0), 90000))
	w.video(0, 4)
	_, _, err := w.tl.During("a", media.At(at(0), 90000), media.At(at(2), 90000))
	require.ErrorIs(t, err, ErrNotYet)
	w.video(4, 8)
	_, ok, err := w.tl.During("a", media.At(at(0), 90000), media.At(at(2), 90000))
	require.NoError(t, err)
	require.False(t, ok)
}

func TestAfterAnOutageTheTracksThatWereThereAreWaitedFor(t *testing.T) {
	live := Query{Now: clock(700), Length: 10 * time.Second}
	for _, expired := range []bool{false, true} {
		t.Run(fmt.Sprintf("expired %v", expired), func(t *testing.T) {
			w := newWorld(t, Options{})
			w.track("v", media.Video, 90000)
			w.track("a", media.Audio, 48000)
			w.track("dead", media.Audio, 48000)
			w.part(media.At(at(0), 90000))
			w.must("v", at(0), at(2))
			w.must("dead", frame(0), frame(2))
			w.audio(0, 10)
			w.video(2, 10)
			if expired {
				w.tl.Expire(clock(500), 100)
				require.NoError(t, w.tl.Forget(w.ctx))
			}
			w.part(media.At(at(600), 90000))
			w.video(600, 604)
			win, err := w.tl.Window(live)
			if expired {
				require.ErrorIs(t, err, ErrNotYet)
			} else {
				require.Equal(t, []int{0, 2, 4, 6, 8, 10}, spans(t, win, "a"))
				require.Equal(t, []int{0, 2, 4, 6, 8, 10}, spans(t, win, "v"))
			}
			w.audio(600, 604)
			require.Equal(t, []int{600, 602, 604}, spans(t, w.window(t, live), "v"), "not for one that was dead before")
			require.Equal(t, []int{600, 602, 604}, spans(t, w.window(t, live), "a"))
			w.part(media.At(at(660), 90000))
			w.video(660, 668)
			require.Equal(t, []int{660, 662, 664, 666, 668}, spans(t, w.window(t, live), "v"), "nor for ever")
		})
	}
}

func TestOnlySoManyTracksAreExpected(t *testing.T) {
	w := newWorld(t, Options{})
	for i := range 2 * maxExpected {
		w.tl.Expect(fmt.Sprint(i))
	}
	require.Len(t, w.tl.state.expected, maxExpected)
	w.track("7", media.Video, 90000)
	w.tl.Expect("7")
	require.Len(t, w.tl.state.expected, maxExpected-1)
}

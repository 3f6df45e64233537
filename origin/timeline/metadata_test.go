package timeline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// events adds a track of metadata beside video and audio.
func (w *world) events() { w.track("e", media.Metadata, 90000) }

func TestMetadataStandsBesideWhatIsPackaged(t *testing.T) {
	for name, push := range map[string]func(w *world){
		"before the others": func(w *world) {
			w.must("e", at(-1), at(20))
			w.video(0, 10)
			w.audio(0, 10)
		},
		"behind them": func(w *world) {
			w.video(0, 4)
			w.audio(0, 4)
			w.must("e", at(0), at(2))
			w.video(4, 10)
			w.audio(4, 10)
		},
		"between them, in pieces of any length and order": func(w *world) {
			for n := 0; n < 10; n += 2 {
				w.video(n, n+2)
				w.must("e", at(float64(n)+0.5), at(float64(n)+0.7))
				w.must("e", at(float64(n)), at(float64(n)+0.5))
				w.audio(n, n+2)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			plain := newWorld(t, Options{})
			plain.track("v", media.Video, 90000)
			plain.track("a", media.Audio, 48000)
			plain.part(media.At(at(0), 90000))
			plain.video(0, 10)
			plain.audio(0, 10)

			w := newWorld(t, Options{})
			w.track("v", media.Video, 90000)
			w.track("a", media.Audio, 48000)
			w.events()
			w.part(media.At(at(0), 90000))
			push(w)
			for range 2 {
				q := Query{Now: clock(10), Length: time.Minute}
				want, err := plain.tl.Window(q)
				require.NoError(t, err)
				got, err := w.tl.Window(q)
				require.NoError(t, err)
				require.Equal(t, want, got, "windows, numbers and the live edge are as without it")
				require.Equal(t, plain.tl.Earliest(), w.tl.Earliest())
				require.Equal(t, plain.tl.Longest(), w.tl.Longest())
				require.False(t, w.tl.State().Counted)

				st := w.tl.State().Tracks
				require.Equal(t, "e", st[len(st)-1].ID)
				require.Equal(t, "metadata", st[len(st)-1].Kind.String())
				segs := w.tl.Following("e", 0, 0, 100)
				require.Len(t, segs, st[len(st)-1].Segments)
				for i := range segs {
					require.Equal(t, segs[i].Start, segs[i].Number)
					require.True(t, i == 0 || segs[i-1].Start < segs[i].Start)
				}
				_, err = w.tl.Segment(Key{Track: "e", Number: segs[0].Number}, 0)
				require.ErrorIs(t, err, ErrNoTrack, "nobody can ask for it")
				_, err = w.tl.Config("e", segs[0].Config.ID)
				require.ErrorIs(t, err, ErrNoTrack)
				w.restart()
			}
		})
	}
}

func TestMetadataExpires(t *testing.T) {
	w := simple(t, 0, 10)
	w.events()
	for n := range 10 {
		w.must("e", at(float64(2*n)), at(float64(2*n+2)))
	}
	out := w.tl.Expire(clock(10).Add(time.Hour), 1000)
	require.NotEmpty(t, out)
	gone := 0
	for _, e := range out {
		if e.Track == "e" {
			gone++
		}
	}
	require.Equal(t, 10, gone)
	require.NoError(t, w.tl.Forget(t.Context()))
	w.restart()
	require.Empty(t, w.tl.Following("e", 0, 0, 10))
	w.must("e", at(20), at(22))
	_, err := w.add("e", at(4), at(6))
	require.ErrorIs(t, err, ErrOverlap, "what expired stays gone")
}

func TestTheEndIsRemembered(t *testing.T) {
	w := simple(t, 0, 3)
	require.Zero(t, w.tl.Ended())
	before := w.tl.Version()
	require.NoError(t, w.tl.End(t.Context(), time.Time{}))
	require.Equal(t, before, w.tl.Version(), "which changes nothing")
	require.NoError(t, w.tl.End(t.Context(), clock(6)))
	w.restart()
	require.True(t, clock(6).Equal(w.tl.Ended()))
	require.True(t, clock(6).Equal(w.tl.State().Ended))
	require.NoError(t, w.tl.End(t.Context(), time.Time{}))
	w.restart()
	require.True(t, w.tl.Ended().IsZero())
	require.NoError(t, w.tl.Note(t.Context(), endedKey, []byte("junk")))
	require.True(t, w.tl.Ended().IsZero())
}

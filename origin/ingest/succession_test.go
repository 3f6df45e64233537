package ingest

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// halfOpen leaves uploads of video and audio behind that the network ended without telling, a second into their ninth
// segment. zero is where their clock begins, in seconds.
func (g *rig) halfOpen(v, a *source, zero int64) (ends []func(error) int) {
	sendV, endV := g.stream(1, "Streams(v.cmfv)")
	sendA, endA := g.stream(1, "Streams(a.cmfa)")
	sendV(v.init(g.tb))
	sendA(a.init(g.tb))
	for at := 0.0; at < 17; at++ {
		time.Sleep(time.Second)
		sendA(a.at(zero, at, at+1))
		sendV(v.at(zero, at, at+1))
	}
	return []func(error) int{endV, endA}
}

// at returns the fragment of [from, to) seconds of a clock that began at zero, in seconds.
func (s *source) at(zero int64, from, to float64) []byte {
	return s.fragment(zero*int64(s.scale), s.frames(from), s.frames(to))
}

func TestAnEncoderThatConnectsAgainEndsTheUploadThatItLeftBehind(t *testing.T) {
	epoch := func() int64 { return time.Now().Unix() / 2 * 2 }
	none := func() int64 { return 0 }
	for _, tt := range []struct {
		name     string
		zero     func() int64
		from, to float64
		length   time.Duration // of the segment that was cut off
		after    time.Duration // the end of that one the next begins
	}{
		{"and sends the segment again, its clock UTC", epoch, 16, 30, 2 * time.Second, 0},
		{"and sends the segment again", none, 16, 30, 2 * time.Second, 0},
		{"and sends one before again", none, 14, 30, 2 * time.Second, 0},
		{"and goes on where it is by then", none, 20, 34, time.Second, 3 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v, a := video(50), audio()
				zero := tt.zero()
				before := g.halfOpen(v, a, zero)
				sendV, endV := g.stream(1, "Streams(v.cmfv)")
				sendA, endA := g.stream(1, "Streams(a.cmfa)")
				sendV(v.init(t))
				sendA(a.init(t))
				for at := tt.from; at < tt.to; at++ {
					sendA(a.at(zero, at, at+1))
					sendV(v.at(zero, at, at+1))
					time.Sleep(time.Second)
				}
				for _, end := range before {
					require.Equal(t, http.StatusConflict, end(errCut), "it was told")
				}
				require.Equal(t, http.StatusOK, endV(errEOF))
				require.Equal(t, http.StatusOK, endA(errEOF))
				vs, as := g.segments("v"), g.segments("a")
				regular(t, vs[:8], v.scale, 2*time.Second)
				require.Equal(t, tt.length, media.At(vs[8].Duration, v.scale).Duration())
				require.Equal(t, tt.after, media.At(vs[9].Start-vs[8].End(), v.scale).Duration())
				require.InDelta(t, tt.after.Seconds(), media.At(as[9].Start-as[8].End(), a.scale).Seconds(), 0.03)
				require.Equal(t, vs[0].Part, vs[len(vs)-1].Part)
				require.Len(t, as, len(vs))
				g.clean()
			})
		})
	}
}

func TestAnEncoderOfStreamsThatBeginsAgainBesideItsHalfOpenUploadsLosesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, a := video(50), audio()
		g.halfOpen(v, a, 0)
		time.Sleep(2 * time.Second)
		g.halfOpen(v, a, 0)
		vs, as := g.segments("v"), g.segments("a")
		require.Equal(t, vs[8].Part+1, vs[9].Part)
		require.Equal(t, time.Second, media.At(vs[8].Duration, v.scale).Duration(), "what came whole is kept")
		require.Equal(t, vs[len(vs)-1].Part, as[len(as)-1].Part)
		require.Len(t, vs, 9+8)
		require.Zero(t, g.counted("duplicate"))
	})
}

func TestASecondEncoderOfAStreamIsRefusedWhileTheFirstGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, w := video(50), video(50)
		w.size = 140
		send, end := g.stream(1, "Streams(v.cmfv)")
		send(v.init(t))
		pieces(send, 2, 0, 10, v)
		refused := make(chan int, 1)
		go func() { refused <- g.put("Streams(v.cmfv)", w.init(t), w.seconds(0, 2), w.seconds(2, 4)) }()
		pieces(send, 2, 10, 20, v)
		require.Equal(t, http.StatusConflict, <-refused)
		require.Equal(t, http.StatusOK, end(errEOF))
		segs := g.segments("v")
		require.Len(t, segs, 10)
		regular(t, segs, v.scale, 2*time.Second)
		require.Zero(t, g.counted("duplicate"))
		g.accept("Streams(v.cmfv)", w.init(t), w.seconds(0, 2))
		require.Len(t, g.segments("v"), 11, "once that has ended it is taken")
		g.clean()
	})
}

func TestAHeaderAloneEndsNoUpload(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		send, end := g.stream(1, "Streams(v.cmfv)")
		send(v.init(t))
		pieces(send, 2, 0, 10, v)
		g.accept("Streams(v.cmfv)", v.init(t))
		time.Sleep(20 * time.Second)
		g.accept("Streams(v.cmfv)")
		send(v.seconds(10, 12))
		require.Equal(t, http.StatusOK, end(errEOF))
		require.Len(t, g.segments("v"), 6)
	})
}

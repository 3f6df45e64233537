package ingest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

func TestAnEncoderOfEndlessStreamsThatIsRestartedGoesOn(t *testing.T) {
	for _, seconds := range [][]float64{{2, 10}, {4, 10}, {10, 4, 10}, {3, 3, 3, 10}} {
		t.Run(fmt.Sprintf("after runs of %v seconds", seconds), func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v, a := video(50), audio()
				for _, run := range seconds {
					sendV, endV := g.stream(1, "Streams(video.cmfv)")
					sendA, endA := g.stream(1, "Streams(audio.cmfa)")
					sendV(v.init(t))
					sendA(a.init(t))
					for at := 0.0; at < run; at += 0.5 {
						time.Sleep(500 * time.Millisecond)
						sendA(a.seconds(at, at+0.5))
						if end := at + 0.5; int(end*2)%4 == 0 {
							sendV(v.seconds(end-2, end)) // a fragment is a GOP
						}
					}
					require.Equal(t, http.StatusBadRequest, endV(errCut))
					require.Equal(t, http.StatusBadRequest, endA(errCut))
				}
				vs, as := g.segments("video"), g.segments("audio")
				require.Equal(t, len(seconds), 1+int(vs[len(vs)-1].Part-vs[0].Part))
				require.Equal(t, vs[len(vs)-1].Part, as[len(as)-1].Part, "audio and video share their session")
				total := int64(0)
				for _, s := range vs {
					total += s.Duration
				}
				want := 0
				for _, run := range seconds {
					want += int(run) / 2 * 2
				}
				require.Equal(t, int64(want)*int64(v.scale), total, "nothing was taken for a copy")
				require.Zero(t, g.counted("duplicate"))
				late := time.Since(media.At(vs[len(vs)-1].End(), v.scale).UTC())
				require.Less(t, late.Abs(), 4*time.Second)
				g.clean()
			})
		})
	}
}

func TestAStreamThatIsSentAgainAtOnceIsACopyUntilItHoldsMore(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		time.Sleep(2 * time.Second)
		require.Equal(t, http.StatusBadRequest, func() int {
			send, end := g.stream(1, "Streams(v.cmfv)")
			send(v.init(t), v.seconds(0, 2), v.seconds(2, 4))
			return end(errCut)
		}())
		send, end := g.stream(1, "Streams(v.cmfv)")
		send(v.init(t), v.seconds(0, 2), v.seconds(2, 4))
		pieces(send, 2, 4, 12, v)
		require.Equal(t, http.StatusOK, end(errEOF))
		segs := g.segments("v")
		require.Len(t, segs, 6)
		require.Equal(t, segs[0].Part, segs[5].Part)
		regular(t, segs, v.scale, 2*time.Second)
		require.Equal(t, 2, g.counted("duplicate"))
		g.clean()
	})
}

func TestAnEndlessStreamWithoutItsHeaderGoesOnAfterACopy(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("Streams(v.cmfv)", v.init(t))
		time.Sleep(2 * time.Second)
		g.accept("Streams(v.cmfv)", v.seconds(0, 2))
		send, end := g.stream(1, "Streams(v.cmfv)")
		send(v.seconds(0, 2))
		pieces(send, 2, 2, 60, v)
		require.Equal(t, http.StatusOK, end(errEOF))
		require.Greater(t, len(g.segments("v")), 15)
		g.clean()
	})
}

func TestAChannelHasOnlySoManyTracks(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		for i := range maxTracks + 2 {
			want := http.StatusOK
			if i >= maxTracks {
				want = http.StatusConflict
			}
			require.Equal(t, want, g.put(fmt.Sprintf("Streams(v%d.cmfv)", i), v.init(t), v.seconds(0, 2)), i)
		}
		require.Len(t, g.tl.State().Tracks, maxTracks)
		require.Equal(t, 2, g.counted("rejected max_tracks"))
		time.Sleep(2 * time.Second)
		g.accept("Streams(v3.cmfv)", v.init(t), v.seconds(2, 4))
		require.Len(t, g.segments("v3"), 2, "those that are there go on")
		g.clean()
	})
}

func TestMalformedMediaIsRefusedAtOnce(t *testing.T) {
	box := func(size uint32, kind string, more ...byte) []byte {
		return append(append(binary.BigEndian.AppendUint32(nil, size), kind...), more...)
	}
	large := []byte{0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}
	for what, body := range map[string][]byte{
		"a box of size 0":         box(0, "moof", large...),
		"a box of size 4":         box(4, "styp", large...),
		"a box of 2^63 bytes":     box(1, "moof", large...),
		"a box shorter than told": box(1, "moof", 0, 0, 0, 0),
		"random bytes":            {0x9b, 0x11, 0xfe, 0x02, 0xd0, 0x3c, 0x81, 0x77, 0x5a, 0x00, 0x13, 0xc4},
	} {
		for _, name := range []string{"a.m4s", "init.mp4", "Streams(v.cmfv)"} {
			t.Run(what+" as "+name, func(t *testing.T) {
				bubble(t, func(t *testing.T, g *rig) {
					began := time.Now()
					require.Equal(t, http.StatusBadRequest, g.put(name, body))
					require.Zero(t, time.Since(began))
				})
			})
		}
	}
	bubble(t, func(t *testing.T, g *rig) {
		require.Equal(t, http.StatusPreconditionFailed, g.put("a.m4s", video(50).seconds(0, 2)), "media waits and is refused")
	})
}

// A stream may repeat its header before each fragment; a clock that jumps has it placed anew meanwhile.
func TestAStreamMayRepeatItsHeader(t *testing.T) {
	g := newRig(t)
	a := audio()
	zero := time.Now().Unix()/2*2 - 60
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.serve(connection{httptest.NewRecorder(), r}, http.MethodPost, 1, "Streams(a.cmfa)", r)
	}()
	for at := range int64(20) {
		_, err := w.Write(append(a.init(t), a.at(zero+at%2*30, float64(at), float64(at+1))...))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	<-done
}

func TestACopyOfASegmentWithALargeFragmentIsACopy(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		g.live(v, "v", 0, 2)
		g.h.opt.Limits.Fragment = 4000 // which only endless streams are held to
		time.Sleep(3 * time.Second)
		g.accept("v/0.cmfv", v.seconds(0, 2))
	})
}

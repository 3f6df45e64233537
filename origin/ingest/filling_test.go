package ingest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// redundant is two encoders whose clocks are UTC, each with an input. Their sounds begin at other frames.
type redundant struct {
	*rig
	video, audio *source
	zero         int64 // seconds
}

func newRedundant(t *testing.T, g *rig) *redundant {
	t.Helper()
	r := &redundant{g, video(50), audio(), time.Now().Unix()/2*2 + 2}
	time.Sleep(time.Until(time.Unix(r.zero, 0)))
	for input := 1; input <= 2; input++ {
		require.Equal(t, http.StatusOK, r.upload(input, "v/init.cmfv", r.video.init(t)))
		require.Equal(t, http.StatusOK, r.upload(input, "a/init.cmfa", r.audio.init(t)))
	}
	return r
}

func (r *redundant) upload(input int, name string, body []byte) int {
	return r.request(http.MethodPut, input, name, bytes.NewReader(body)).Code
}

// pictures returns segment n of the video, sound that of the audio as an input has it.
func (r *redundant) pictures(n int) []byte {
	return r.video.fragment(r.zero*int64(r.video.scale), 50*n, 50*n+50)
}

func (r *redundant) sound(input, n int) []byte {
	phase := int64(input-1) * 500 // samples
	frame := func(n int) int { return (n*96000 - int(phase) + 1023) / 1024 }
	return r.audio.fragment(r.zero*48000+phase, frame(n), frame(n+1))
}

// push sends segment n of an input.
func (r *redundant) push(input, n int) {
	r.tb.Helper()
	require.Equal(r.tb, http.StatusOK, r.upload(input, fmt.Sprintf("v/%d.cmfv", n), r.pictures(n)))
	require.Equal(r.tb, http.StatusOK, r.upload(input, fmt.Sprintf("a/%d.cmfa", n), r.sound(input, n)))
}

// whole requires n segments of each track in one part without a gap of more than a frame.
func (r *redundant) whole(n int) {
	r.tb.Helper()
	regular(r.tb, r.segments("v"), r.video.scale, 2*time.Second)
	require.Equal(r.tb, 1, r.tl.State().Parts)
	for _, track := range []string{"v", "a"} {
		segs := r.segments(track)
		require.Len(r.tb, segs, n, track)
		for i, s := range segs[1:] {
			require.Equal(r.tb, segs[i].Number+1, s.Number, track)
			require.InDelta(r.tb, segs[i].End(), s.Start, 1024, track)
		}
	}
	r.clean()
}

func TestAnInputWithAUTCClockFillsWhatTheOtherLacks(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		r := newRedundant(t, g)
		random := rand.New(rand.NewPCG(1, 0))
		for n := range 60 {
			time.Sleep(2 * time.Second)
			first, second := 1, 2
			if random.IntN(2) == 0 {
				first, second = 2, 1 // whose segment comes first is chance
			}
			if n == 0 || random.IntN(10) >= 3 {
				r.push(first, n)
				time.Sleep(20 * time.Millisecond)
			}
			r.push(second, n)
			if n == 30 {
				g.restart()
			}
		}
		r.whole(60)
	})
}

func TestAnInputThatIsKilledLeavesNoHole(t *testing.T) {
	for killed := 1; killed <= 2; killed++ {
		t.Run(fmt.Sprintf("input %d", killed), func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				r := newRedundant(t, g)
				for n := range 20 {
					time.Sleep(2 * time.Second)
					for input := 1; input <= 2; input++ {
						if n < 8 || input != killed {
							r.push(input, n)
						}
					}
				}
				r.whole(20)
				st, _ := g.h.Status(chID)
				require.Equal(t, 3-killed, st.Active)
			})
		})
	}
}

func TestOfASegmentThatTwoInputsSendTheFirstThatIsCompleteIsTaken(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		r := newRedundant(t, g)
		for n := range 3 {
			time.Sleep(2 * time.Second)
			r.push(1, n)
			r.push(2, n)
		}
		var ends []func(error) int
		for input := 1; input <= 2; input++ {
			send, end := g.stream(input, "v/3.cmfv")
			send(r.pictures(3)[:2000])
			ends = append(ends, end)
		}
		require.NotEqual(t, http.StatusOK, ends[0](errCut), "the first to begin is cut off")
		send, end := g.stream(2, "v/3.cmfv")
		send(r.pictures(3))
		require.Equal(t, http.StatusOK, end(errEOF))
		require.NotEqual(t, http.StatusOK, ends[1](errCut))
		synctest.Wait()
		require.Len(t, g.segments("v"), 4)
		g.clean()
	})
}

func TestAnInputWithAnotherConfigurationOrClockIsAStandby(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		r := newRedundant(t, g)
		require.Equal(t, http.StatusOK, r.upload(2, "v/init.cmfv", initOf(t, spss[1], r.video)))
		for n := range 4 {
			time.Sleep(2 * time.Second)
			if n != 2 {
				r.push(1, n)
			}
			require.Equal(t, http.StatusOK, r.upload(2, fmt.Sprintf("v/%d.cmfv", n), r.pictures(n)))
			require.Equal(t, http.StatusOK, r.upload(2, fmt.Sprintf("a/%d.cmfa", n), r.audio.seconds(float64(2*n), float64(2*n+2))))
		}
		require.Len(t, g.segments("v"), 3)
		require.Len(t, g.segments("a"), 3)
		require.Equal(t, 8, g.counted("standby"))
		require.Equal(t, 1, g.tl.State().Parts)
		require.Equal(t, media.Video, g.tl.State().Tracks[0].Kind)
	})
}

func TestAStreamThatIsCutOffInTheMiddleOfASegmentLeavesNoHole(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		zero := time.Now().Unix()/2*2 + 2
		time.Sleep(time.Until(time.Unix(zero, 0)))
		var sends []func(...[]byte)
		var ends []func(error) int
		for input := 1; input <= 2; input++ {
			send, end := g.stream(input, "Streams(v.cmfv)")
			send(v.init(t))
			sends, ends = append(sends, send), append(ends, end)
		}
		for at := 0.0; at < 20; at++ {
			time.Sleep(time.Second)
			if at < 9 {
				sends[0](v.at(zero, at, at+1))
			}
			if at == 9 {
				require.NotEqual(t, http.StatusOK, ends[0](errCut))
			}
			time.Sleep(10 * time.Millisecond)
			sends[1](v.at(zero, at, at+1))
		}
		require.Equal(t, http.StatusOK, ends[1](errEOF))
		segs := g.segments("v")
		require.Len(t, segs, 10)
		regular(t, segs, v.scale, 2*time.Second)
		require.Equal(t, 1, g.tl.State().Parts)
		g.clean()
	})
}

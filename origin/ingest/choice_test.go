package ingest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pair is two encoders with clocks of their own, each with an input.
type pair struct {
	*rig
	video, audio *source
	n            int // segments that each has made
}

func newPair(t *testing.T, g *rig) *pair {
	t.Helper()
	p := &pair{rig: g, video: video(50), audio: audio()}
	for input := 1; input <= 2; input++ {
		p.send(input, "v/init.cmfv", p.video.init(t))
		p.send(input, "a/init.cmfa", p.audio.init(t))
	}
	return p
}

func (p *pair) send(input int, name string, body []byte) {
	p.tb.Helper()
	require.Equal(p.tb, http.StatusOK, p.request(http.MethodPut, input, name, bytes.NewReader(body)).Code, "%s of input %d", name, input)
}

// picture and sound push the newest segment of an input. The second encoder began an hour before the first.
func (p *pair) picture(input int) {
	p.tb.Helper()
	p.send(input, fmt.Sprintf("v/%d.cmfv", p.n), p.video.seconds(p.times(input)))
}

func (p *pair) sound(input int) {
	p.tb.Helper()
	p.send(input, fmt.Sprintf("a/%d.cmfa", p.n), p.audio.seconds(p.times(input)))
}

func (p *pair) times(input int) (from, to float64) {
	from = float64(2*p.n) + 3600*float64(input-1)
	return from, from + 2
}

// push has the inputs push so many segments.
func (p *pair) push(segs int, inputs ...int) {
	p.tb.Helper()
	for range segs {
		time.Sleep(1900 * time.Millisecond)
		for _, input := range inputs {
			time.Sleep(50 * time.Millisecond)
			p.picture(input)
			p.sound(input)
		}
		time.Sleep(time.Duration(2-len(inputs)) * 50 * time.Millisecond)
		p.n++
	}
}

func (p *pair) active() int {
	st, _ := p.h.Status(chID)
	return st.Active
}

// switched returns the reasons of the switches, in order.
func (p *pair) switched() (reasons []string) {
	for _, s := range p.h.Report(chID).Switches {
		reasons = append(reasons, fmt.Sprintf("%d to %d: %s", s.From, s.To, s.Reason))
	}
	return reasons
}

func preferring(input int) func(*rig) { return func(g *rig) { g.channel.PreferredInput = input } }

func TestTheChannelGoesBackToThePreferredInputWhenThatIsSteady(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		p := newPair(t, g)
		p.push(5, 1, 2)
		require.Equal(t, 1, p.active())
		p.push(5, 2)
		require.Equal(t, 2, p.active())
		p.push(5, 1, 2) // 8 s after the first of them
		require.Equal(t, 2, p.active(), "for less than steadyFor")
		p.push(2, 1, 2)
		require.Equal(t, 1, p.active())
		p.push(5, 1, 2)
		require.Equal(t, []string{"1 to 2: silence", "2 to 1: preferred"}, p.switched())
		require.Equal(t, 3, g.tl.State().Parts)
		require.Zero(t, g.counted("rejected overlap"))
		g.clean()
	}, preferring(1))
}

func TestWithoutAPreferenceAnInputStaysActive(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		p := newPair(t, g)
		p.push(5, 1, 2)
		p.push(5, 2)
		p.push(30, 1, 2)
		require.Equal(t, []string{"1 to 2: silence"}, p.switched())
	})
}

func TestThePreferredInputIsNotSteadyThatPausesOrIsRefusedOrLacksATrack(t *testing.T) {
	for what, trouble := range map[string]func(p *pair){
		"pauses":        func(p *pair) { p.push(4, 2); p.push(1, 1, 2) },
		"is refused":    func(p *pair) { p.request(http.MethodPut, 1, "v/0.cmfv", bytes.NewReader([]byte("no media, no media"))) },
		"lacks a track": func(p *pair) { p.push(1, 2); p.picture(1) },
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				p := newPair(t, g)
				p.push(5, 2)
				for range 10 {
					p.push(3, 1, 2)
					if what == "lacks a track" {
						p.push(1, 2)
						for range 8 { // until the sound counts as missing
							p.push(1, 2)
							p.picture(1)
						}
						require.Equal(t, 2, p.active())
						return
					}
					trouble(p)
				}
				require.Equal(t, 2, p.active())
			}, preferring(1))
		})
	}
}

func TestAnInputThatSomebodyAskedForIsHeldUntilItFallsSilent(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		p := newPair(t, g)
		p.push(5, 1, 2)
		require.NoError(t, g.h.Activate(t.Context(), chID, 2))
		require.Equal(t, 1, p.active(), "until its next media")
		p.push(1, 1, 2)
		require.Equal(t, 2, p.active())
		p.push(20, 1, 2)
		require.Equal(t, []string{"1 to 2: manual"}, p.switched(), "the preferred one does not take it back")
		g.restart()
		p.push(20, 1, 2)
		st, _ := g.h.Status(chID)
		require.Equal(t, []int{2, 2}, []int{st.Active, st.Held}, "after a restart of the server neither")
		p.push(5, 1)
		p.push(20, 1, 2)
		require.Equal(t, []string{"2 to 1: silence"}, p.switched())
		g.restart()
		p.push(1, 1, 2)
		st, _ = g.h.Status(chID)
		require.Equal(t, []int{1, 0}, []int{st.Active, st.Held})
		require.Equal(t, 3, g.tl.State().Parts)
		g.clean()
	}, preferring(1))
}

func TestAnInputThatIsLetGoIsLeftForThePreferredOne(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		p := newPair(t, g)
		p.push(6, 1, 2)
		require.NoError(t, g.h.Activate(t.Context(), chID, 2))
		p.push(2, 1, 2)
		require.NoError(t, g.h.Activate(t.Context(), chID, 0))
		p.push(1, 1, 2)
		require.Equal(t, []string{"1 to 2: manual", "2 to 1: preferred"}, p.switched())
	}, preferring(1))
}

func TestAnInputThatIsSilentIsNotMadeActive(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		require.ErrorIs(t, g.h.Activate(t.Context(), chID, 1), ErrInputSilent)
		p := newPair(t, g)
		p.push(5, 1, 2)
		p.push(4, 1)
		require.ErrorIs(t, g.h.Activate(t.Context(), chID, 2), ErrInputSilent)
		g.faults.set(func() { g.faults.journal = errCut })
		require.ErrorIs(t, g.h.Activate(t.Context(), chID, 1), errCut)
		g.faults.set(func() { g.faults.journal = nil })
		st, _ := g.h.Status(chID)
		require.Zero(t, st.Held)
	})
}

// Both send in chunks, so that there is always a segment under way.
func TestASwitchLosesNothingOfWhatTheActiveInputHasBegun(t *testing.T) {
	for _, phase := range []time.Duration{100 * time.Millisecond, time.Second, 1900 * time.Millisecond} {
		t.Run(phase.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v := video(50)
				header, statuses := v.init(t), make(chan int, 40)
				for input := 1; input <= 2; input++ {
					require.Equal(t, http.StatusOK, g.request(http.MethodPut, input, "v/init.cmfv", bytes.NewReader(header)).Code)
					go func() {
						time.Sleep(time.Duration(input-1) * phase)
						for n := range 20 {
							r, w := io.Pipe()
							go func() {
								for at := 0.0; at < 2; at += 0.5 {
									time.Sleep(500 * time.Millisecond)
									_, _ = w.Write(v.seconds(float64(2*n)+at, float64(2*n)+at+0.5))
								}
								_ = w.Close()
							}()
							statuses <- g.request(http.MethodPut, input, fmt.Sprintf("v/%d.cmfv", n), r).Code
						}
					}()
				}
				time.Sleep(19300 * time.Millisecond)
				require.NoError(t, g.h.Activate(t.Context(), chID, 2))
				for range 40 {
					require.Equal(t, http.StatusOK, <-statuses)
				}
				segs := g.segments("v")
				require.GreaterOrEqual(t, len(segs), 19)
				for i, s := range segs[1:] {
					require.LessOrEqual(t, startOf(s, v.scale).Sub(startOf(segs[i], v.scale)), 4500*time.Millisecond)
				}
				require.Equal(t, 2, g.tl.State().Parts)
				g.clean()
			})
		})
	}
}

func TestASwitchEndsAnEndlessUploadWhereItIs(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(25)
		var sends []func(...[]byte)
		for input := 1; input <= 2; input++ {
			send, _ := g.stream(input, "Streams(v.cmfv)")
			send(v.init(t))
			sends = append(sends, send)
		}
		for n := range 40 {
			if n == 21 {
				require.NoError(t, g.h.Activate(t.Context(), chID, 2))
			}
			for _, send := range sends {
				time.Sleep(500 * time.Millisecond)
				send(v.seconds(float64(n), float64(n+1)))
			}
		}
		synctest.Wait()
		segs := g.segments("v")
		require.Zero(t, g.counted("rejected overlap"))
		require.Equal(t, 2, g.tl.State().Parts)
		for i, s := range segs[1:] {
			gap := startOf(s, v.scale).Sub(startOf(segs[i], v.scale))
			require.LessOrEqual(t, gap, 3*time.Second, "segment %d", i)
		}
		require.GreaterOrEqual(t, len(segs), 18)
	})
}

func TestAnInputThatLosesATrackIsLeftForOneThatHasIt(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		p := newPair(t, g)
		p.push(5, 1, 2)
		lame := func(segs int, input int) {
			for range segs {
				p.push(1, 3-input)
				p.sound(input)
			}
		}
		lame(3, 1)
		require.Equal(t, 1, p.active(), "it has its time")
		lame(2, 1)
		require.Equal(t, 2, p.active())
		p.push(10, 1, 2)
		lame(3, 2)
		require.Equal(t, 2, p.active(), "it stays")
		lame(2, 2)
		require.Equal(t, []string{"1 to 2: missing_track", "2 to 1: missing_track"}, p.switched())
		g.clean()
	})
}

func TestAnInputThatLosesATrackIsKeptWhileTheOtherOneLacksMore(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		p := newPair(t, g)
		p.push(5, 1, 2)
		for range 20 {
			p.push(1)
			p.sound(1)
			p.picture(2)
		}
		require.Empty(t, p.switched(), "video without sound is no better")
		require.NoError(t, g.h.Activate(t.Context(), chID, 2))
		for range 5 {
			p.push(1, 1)
			p.picture(2)
		}
		require.Equal(t, []string{"1 to 2: manual"}, p.switched(), "what somebody asked for is not left for it")
	})
}

func TestATrackOfLongFilesIsNotMissing(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		p := newPair(t, g)
		for n := range 30 {
			p.push(1)
			for input := 1; input <= 2; input++ {
				p.picture(input)
				if n%4 == 3 {
					from, to := p.times(input)
					p.send(input, fmt.Sprintf("a/%d.cmfa", p.n), p.audio.seconds(from-6, to))
				}
			}
		}
		require.Empty(t, p.switched())
	})
}

func TestAnInputThatNeedNotGiveWayAnyMoreGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		p := newPair(t, g)
		p.push(5, 1, 2)
		p.push(5, 2)
		p.push(5, 1, 2) // input 1 is steady after one more
		time.Sleep(1500 * time.Millisecond)
		from, to := p.times(2)
		send, end := g.stream(2, fmt.Sprintf("v/%d.cmfv", p.n)) // a slow upload
		send(p.video.seconds(from, from+1))
		time.Sleep(600 * time.Millisecond)
		p.picture(1)
		p.sound(1)
		require.True(t, g.h.known(chID).choice.yields)
		require.NotEqual(t, 200, g.request(http.MethodPut, 1, "v/0.cmfv", strings.NewReader("styp no media")).Code)
		send(p.video.seconds(from+1, to))
		require.Equal(t, 200, end(errEOF))
		before := len(g.segments("v"))
		p.sound(2)
		p.n++
		p.push(2, 2, 1)
		require.Equal(t, 2, p.active(), "input 1 has to be steady anew")
		require.Len(t, g.segments("v"), before+2, "nothing of input 2 is left out meanwhile")
	}, preferring(1))
}

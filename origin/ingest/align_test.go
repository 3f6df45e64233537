package ingest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/timeline"
)

// dated is two encoders whose playlists tell the same programme date-times while their timestamps have nothing in common.
type dated struct {
	*pair
	began   [3]int        // segment at which the encoder of an input began, by input
	round   time.Duration // by which the date-times of input 2 differ
	names   [3][]string   // that the playlist of an input lists
	started time.Time
}

func newDated(t *testing.T, g *rig) *dated {
	t.Helper()
	d := &dated{pair: &pair{rig: g, video: video(50), audio: audio()}, started: time.Now()}
	d.restart(1)
	d.restart(2)
	return d
}

// restart has the encoder of an input begin again: its timestamps and its names begin at 0.
func (d *dated) restart(input int) {
	d.began[input], d.names[input] = d.n, nil
	d.send(input, "v/init.mp4", d.video.init(d.tb))
	d.send(input, "a/init.mp4", d.audio.init(d.tb))
}

// upload pushes the newest segment of an input, without the media where it is lost on the way.
func (d *dated) upload(input int, lost bool) {
	d.tb.Helper()
	d.uploadAt(input, d.n, lost)
}

// uploadAt is upload of a segment that need not be the newest.
func (d *dated) uploadAt(input, at int, lost bool) {
	d.tb.Helper()
	n := at - d.began[input]
	from := float64(2*n) + 1000*float64(input-1)
	d.names[input] = append(d.names[input], fmt.Sprintf("seg%d.m4s", n))
	var media sync.WaitGroup
	if !lost {
		media.Go(func() { d.send(input, fmt.Sprintf("v/seg%d.m4s", n), d.video.seconds(from, from+2)) })
		phase := int64(input-1) * 500 // samples: their sounds begin at other frames
		sound := d.audio.fragment(phase, d.audio.frames(from), d.audio.frames(from+2))
		media.Go(func() { d.send(input, fmt.Sprintf("a/seg%d.m4s", n), sound) })
		time.Sleep(10 * time.Millisecond)
	}
	listed := d.names[input][max(0, len(d.names[input])-4):]
	date := d.started.Add(time.Duration(2*(at-len(listed)+1)) * time.Second)
	if input == 2 {
		date = date.Add(d.round)
	}
	d.send(input, "v/index.m3u8", listing(date, "init.mp4", listed...))
	d.send(input, "a/index.m3u8", listing(date, "init.mp4", listed...))
	media.Wait()
}

// next waits for the next segment.
func (d *dated) next() { time.Sleep(time.Until(d.started.Add(time.Duration(2*d.n+2) * time.Second))) }

// whole requires n segments of each track in one part, without a gap: sounds of two encoders are up to two frames apart.
func (d *dated) whole(n int) {
	d.tb.Helper()
	require.Equal(d.tb, 1, d.tl.State().Parts)
	for _, track := range []string{"v", "a"} {
		segs := d.segments(track)
		require.Equal(d.tb, n, len(segs), track)
		for i, s := range segs[1:] {
			require.Equal(d.tb, segs[i].Number+1, s.Number, track)
			require.InDelta(d.tb, segs[i].End(), s.Start, 2*1024, track)
		}
	}
	regular(d.tb, d.segments("v"), d.video.scale, 2*time.Second)
	for _, reason := range []string{"overlap", "conflict", "internal"} {
		require.Zero(d.tb, d.counted("rejected "+reason))
	}
	d.clean()
}

func TestTwoInputsWithTheSameDateTimesFillWhatTheOtherLacks(t *testing.T) {
	for _, round := range []time.Duration{0, time.Millisecond, -4 * time.Millisecond} {
		t.Run(round.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				d := newDated(t, g)
				d.round = round
				random := rand.New(rand.NewPCG(2, 0))
				for ; d.n < 100; d.n++ {
					d.next()
					first, second := 1, 2
					if random.IntN(2) == 0 && d.n > 2 {
						first, second = 2, 1
					}
					lost := d.n > 2 && random.IntN(10) < 3
					also := d.n > 2 && random.IntN(10) < 3 && !lost
					d.upload(first, lost)
					time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
					d.upload(second, also)
					if d.n == 50 {
						g.restart()
					}
				}
				d.whole(100)
			})
		})
	}
}

func TestAnInputWithTheSameDateTimesThatIsKilledAndComesBackLeavesNoHole(t *testing.T) {
	for killed := 1; killed <= 2; killed++ {
		for _, away := range []int{1, 2, 10} {
			t.Run(fmt.Sprintf("input %d for %d segments", killed, away), func(t *testing.T) {
				bubble(t, func(t *testing.T, g *rig) {
					d := newDated(t, g)
					for ; d.n < 40; d.n++ {
						d.next()
						for input := 1; input <= 2; input++ {
							if input == killed && d.n == 10+away {
								d.restart(input)
							}
							if input != killed || d.n < 10 || d.n >= 10+away && d.n < 30 {
								d.upload(input, false)
							}
						}
					}
					d.whole(40)
					require.Equal(t, 3-killed, d.active())
				})
			})
		}
	}
}

func TestAnInputWithOtherDateTimesOrDurationsIsABackup(t *testing.T) {
	for what, round := range map[string]time.Duration{"another phase": 700 * time.Millisecond, "beyond the slack": alignSlack + time.Millisecond} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				d := newDated(t, g)
				d.round = round
				for ; d.n < 20; d.n++ {
					d.next()
					d.upload(1, d.n == 10)
					time.Sleep(800 * time.Millisecond)
					d.upload(2, false)
				}
				require.Equal(t, 19, len(g.segments("v")))
				require.Equal(t, 1, g.tl.State().Parts)
				for ; d.n < 30; d.n++ {
					d.next()
					time.Sleep(800 * time.Millisecond)
					d.upload(2, false)
				}
				require.Equal(t, 2, g.tl.State().Parts)
			})
		})
	}
}

func TestACopyThatIsShortDoesNotTakeThePlaceOfTheWholeSegment(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		d := newDated(t, g)
		for ; d.n < 10; d.n++ {
			d.next()
			if d.n == 7 { // the last one of an encoder that stops
				d.send(2, "v/seg7.m4s", d.video.seconds(1014, 1014.8))
			}
			d.upload(1, false)
			if d.n < 7 {
				d.upload(2, false)
			}
		}
		d.whole(10)
		st, _ := g.h.Status(chID)
		require.Equal(t, "pdt", st.Clock)
		require.Equal(t, http.StatusOK, g.request(http.MethodGet, 1, "v/index.m3u8", nil).Code)
	})
}

func TestAnInputThatIsLateFillsHolesOfThePast(t *testing.T) {
	for late := 1; late <= 6; late++ {
		for name, numbering := range map[string]timeline.Numbering{"grid": timeline.Auto, "counter": timeline.Counter} {
			t.Run(fmt.Sprintf("%d segments late, %s", late, name), func(t *testing.T) {
				bubble(t, func(t *testing.T, g *rig) {
					g.tl.Number(numbering)
					d := newDated(t, g)
					for ; d.n < 40; d.n++ {
						d.next()
						d.upload(1, d.n > 15 && d.n%5 == 0)
						time.Sleep(300 * time.Millisecond)
						if n := d.n - late; n >= 0 {
							d.uploadAt(2, n, false)
						}
					}
					d.next()
					for late := late; late > 0; late-- {
						d.uploadAt(2, d.n-late, false)
					}
					d.whole(40)
				})
			})
		}
	}
}

func TestTwoInputsOfMPEGTSWithTheSameDateTimesFillWhatTheOtherLacks(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		encoders := []*programme{newProgramme(t, 50), newProgramme(t, 50)}
		encoders[0].zero = wrap33 - 30*scaleMTS // its timestamps wrap on the way
		started := time.Now()
		var listed []string
		for n := range 40 {
			time.Sleep(time.Until(started.Add(time.Duration(2*n+2) * time.Second)))
			listed = append(listed, fmt.Sprintf("seg%d.ts", n))
			first := max(0, len(listed)-4)
			for i, p := range encoders {
				p.out.Reset()
				p.tables()
				body, done := p.seconds(float64(2*n), float64(2*n+2)), make(chan int, 1)
				lost := n > 5 && n%3 == i
				go func() {
					if lost {
						done <- http.StatusOK
						return
					}
					done <- g.request(http.MethodPut, i+1, listed[n], bytes.NewReader(body)).Code
				}()
				time.Sleep(10 * time.Millisecond)
				playlist := listing(started.Add(time.Duration(2*first)*time.Second), "", listed[first:]...)
				require.Equal(t, http.StatusOK, g.request(http.MethodPut, i+1, "index.m3u8", bytes.NewReader(playlist)).Code)
				require.Equal(t, http.StatusOK, <-done)
			}
		}
		require.Equal(t, 1, g.tl.State().Parts)
		regular(t, g.segments("index-v"), scaleMTS, 2*time.Second)
		require.Equal(t, 40, len(g.segments("index-v")))
		require.Equal(t, 40, len(g.segments("index-a")))
		g.clean()
	})
}

func TestWhichInputIsActiveOfTwoThatAreMergedBreaksNothing(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		d := newDated(t, g)
		for ; d.n < 30; d.n++ {
			d.next()
			if d.n%5 == 4 {
				require.NoError(t, g.h.Activate(t.Context(), chID, 1+d.n/5%2))
			}
			d.upload(1, false)
			d.upload(2, false)
		}
		require.Equal(t, 5, len(d.switched()))
		d.whole(30)
	})
}

func TestAnEncoderThatBeginsAgainWhenTheOtherHasEndedBeginsASession(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		d := newDated(t, g)
		for ; d.n < 30; d.n++ {
			d.next()
			if d.n == 12 {
				d.restart(1)
			}
			if d.n < 10 || d.n >= 12 {
				d.upload(1, false)
			}
			if d.n < 10 {
				d.upload(2, false)
			}
		}
		require.Equal(t, 28, len(g.segments("v")), "nothing of it is left out")
		require.Equal(t, 2, g.tl.State().Parts)
		g.clean()
	})
}

func TestASegmentThatIsLongerThanUsualIsTakenFromTheActiveInput(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		d := newDated(t, g)
		for ; d.n < 10; d.n++ {
			d.next()
			if d.n == 7 { // its next key frame was late
				d.send(2, "v/seg7.m4s", d.video.seconds(1014, 1016.5))
				d.names[2] = append(d.names[2], "seg7.m4s")
			}
			d.upload(1, false)
			if d.n != 7 {
				d.upload(2, false)
			}
		}
		d.whole(10)
	})
}

func TestInputsWithOtherDateTimesThatAreSwitchedByHandLoseASegmentAtMost(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		d := newDated(t, g)
		d.round = 300 * time.Millisecond
		for ; d.n < 60; d.n++ {
			d.next()
			d.upload(1, false)
			if d.n%10 == 9 {
				require.NoError(t, g.h.Activate(t.Context(), chID, 2-d.n/10%2))
			}
			time.Sleep(300 * time.Millisecond)
			began := time.Now()
			d.upload(2, false)
			require.Less(t, time.Since(began), time.Second, "nothing waits")
		}
		require.Equal(t, 5, len(d.switched()), "the last one was asked for too late")
		require.Equal(t, 6, g.tl.State().Parts)
		require.GreaterOrEqual(t, len(g.segments("v")), 60-5)
		require.Zero(t, g.counted("rejected conflict"))
		g.clean()
	})
}

func TestAnInputThatWasAnchoredAnewIsMergedWithTheOtherOneAgain(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		d := newDated(t, g)
		run := func(segs int, inputs ...int) {
			for range segs {
				d.next()
				for _, input := range inputs {
					d.upload(input, false)
				}
				d.n++
			}
		}
		run(10, 1, 2)
		d.started = d.started.Add(3 * time.Second) // both playlists say that media is later than it was
		run(40, 1, 2)
		require.Equal(t, 1, g.tl.State().Parts, "while both feed it none is moved alone")
		run(60, 1)
		require.Equal(t, 2, g.tl.State().Parts)
		require.Less(t, g.edge("v").Abs(), 100*time.Millisecond)

		d.names[2] = slices.Repeat([]string{"x"}, len(d.names[2])+60) // it went on, and nobody saw it
		run(10, 1, 2)
		run(10, 2)
		require.Equal(t, 2, d.active())
		require.Equal(t, 2, g.tl.State().Parts, "it takes over without a discontinuity")
		segs := g.segments("v")
		for i := len(segs) - 25; i < len(segs); i++ {
			require.Equal(t, segs[i-1].End(), segs[i].Start)
		}
		g.clean()
	})
}

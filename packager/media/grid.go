package media

import "math"

// Grid is the epoch grid of segment numbers: segment n covers [Phase+n*Step, Phase+(n+1)*Step). Step is the exact
// duration of a segment, Phase the offset in [0, Step) of a source whose boundaries do not fall on whole multiples of
// Step since the epoch. (Reference: MediaPackage v2, epoch-locked numbering.)
type Grid struct {
	Step  Time
	Phase Time
}

// NewGrid returns the grid on which a segment that starts at start and lasts step lies.
func NewGrid(start, step Time) Grid {
	at := Time{Ticks: start.Round(step.scale()), Scale: step.scale()}
	if start.scale()%step.scale() == 0 || step.Ticks <= 0 {
		// Keep the finer scale of the two, so that the phase is exact.
		at, step = start, Time{Ticks: step.Round(start.scale()), Scale: start.scale()}
	}
	if step.Ticks <= 0 {
		return Grid{}
	}
	phase := at.Ticks % step.Ticks
	if phase < 0 {
		phase += step.Ticks
	}
	return Grid{Step: step, Phase: Time{Ticks: phase, Scale: step.Scale}}
}

// Valid reports whether g has a step.
func (g Grid) Valid() bool { return g.Step.Ticks > 0 }

// Number returns the number of the segment whose start is nearest to t, and how far t lies from that start (in ticks of
// t, negative when early). For a video segment on the grid the distance is 0 and the number is floor(t / Step); an audio
// segment starts within a frame of its video and gets the video's number. g must be valid.
func (g Grid) Number(t Time) (n, off int64) {
	scale := t.scale()
	rel := t.Ticks - g.Phase.Round(scale)
	// n = floor(rel/scale / (Step.Ticks/Step.Scale) + 1/2), both products reduced and the first taken in 128 bits.
	num, den := int64(g.Step.scale()), int64(scale)
	d := gcd(num, den)
	num, den = num/d, den/d
	if den > math.MaxInt64/g.Step.Ticks {
		// Two huge scales without a common divisor: no real source has them, the nearest tick of the grid will do.
		rel, num, den = Time{Ticks: rel, Scale: scale}.Round(g.Step.scale()), 1, 1
	}
	n, r := mulDiv(rel, num, den*g.Step.Ticks)
	if r >= den*g.Step.Ticks-r {
		n++
	}
	return n, t.Ticks - g.Start(n, scale)
}

// Start returns the start of segment n in ticks of scale, to the nearest tick.
func (g Grid) Start(n int64, scale uint32) int64 {
	return Time{Ticks: n*g.Step.Ticks + g.Phase.Ticks, Scale: g.Step.scale()}.Round(scale)
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

package media

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const now = 1_795_000_000 // seconds since the epoch

// cadence is a timescale and the ticks of a frame.
type cadence struct {
	scale uint32
	frame int64
}

func cadences() *rapid.Generator[cadence] {
	return rapid.SampledFrom([]cadence{{90000, 3600}, {90000, 3003}, {25, 1}, {30000, 1001}, {60000, 1001}, {90000, 1800},
		{10_000_000, 400_000}, {12800, 512}})
}

func TestNumbersOnTheGridAreTheFloorOfStartOverStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := cadences().Draw(t, "cadence")
		step := At(c.frame*rapid.Int64Range(20, 600).Draw(t, "frames per segment"), c.scale)
		start := now*int64(c.scale) + rapid.Int64Range(0, 1<<36).Draw(t, "phase")
		g := NewGrid(At(start, c.scale), step)
		require.True(t, g.Valid())
		for range 20 {
			k := rapid.Int64Range(-100_000, 1_000_000).Draw(t, "segments later")
			at := start + k*step.Ticks
			n, off := g.Number(At(at, c.scale))
			want := new(big.Rat).Quo(big.NewRat(at, int64(c.scale)), exact(step))
			require.Equal(t, new(big.Int).Div(want.Num(), want.Denom()).Int64(), n)
			require.Zero(t, off)
			require.Equal(t, at, g.Start(n, c.scale))
		}
	})
}

func TestAudioCutAtTheNearestFrameHasTheNumberOfItsVideo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := cadences().Draw(t, "cadence")
		frames := rapid.Int64Range(25, 600).Draw(t, "frames per segment")
		step := At(c.frame*frames, c.scale)
		start := now*int64(c.scale) + rapid.Int64Range(0, 1<<30).Draw(t, "phase")
		g := NewGrid(At(start, c.scale), step)
		first, _ := g.Number(At(start, c.scale))
		origin := At(start, c.scale).Round(48000) + rapid.Int64Range(-512, 512).Draw(t, "audio phase")
		for range 20 {
			k := rapid.Int64Range(0, 1_000_000).Draw(t, "segments later")
			boundary := At(start+k*step.Ticks, c.scale).Round(48000)
			at := origin + (boundary-origin+512)/1024*1024
			n, off := g.Number(At(at, 48000))
			require.Equal(t, first+k, n)
			require.LessOrEqual(t, max(off, -off), int64(1024))
		}
	})
}

func TestAGridOfSecondsHasThePrecisionOfItsSource(t *testing.T) {
	g := NewGrid(At(now*90000+1, 90000), At(2, 1))
	require.Equal(t, Grid{Step: At(180000, 90000), Phase: At(1, 90000)}, g)
	g = NewGrid(At(now*25+3, 25), At(2002, 1000))
	require.Equal(t, uint32(1000), g.Step.Scale)
	require.False(t, NewGrid(At(5, 25), At(0, 25)).Valid())
	require.False(t, NewGrid(At(5, 25), At(-3, 25)).Valid())
	require.Equal(t, int64(1), NewGrid(At(-1, 2), At(1, 1)).Phase.Ticks, "phases are never negative")
}

func TestHugeScalesDoNotOverflowTheGrid(t *testing.T) {
	const prime = 4294967291
	g := NewGrid(At(0, prime), At(10*prime, prime))
	n, _ := g.Number(At(100*4294967279, 4294967279))
	require.Equal(t, int64(10), n)
}

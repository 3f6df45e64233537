package media

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// exact returns t in seconds.
func exact(t Time) *big.Rat { return big.NewRat(t.Ticks, int64(t.scale())) }

func times() *rapid.Generator[Time] {
	return rapid.Custom(func(t *rapid.T) Time {
		scale := rapid.OneOf(rapid.SampledFrom([]uint32{0, 1, 25, 1000, 30000, 48000, 90000, 10_000_000, 1e9}),
			rapid.Uint32Range(1, math.MaxUint32)).Draw(t, "scale")
		limit := int64(1 << 40)
		return At(rapid.Int64Range(-limit, limit).Draw(t, "ticks"), scale)
	})
}

func TestTimesCompareExactlyAcrossScales(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := times().Draw(t, "a"), times().Draw(t, "b")
		require.Equal(t, exact(a).Cmp(exact(b)), a.Compare(b))
		require.Equal(t, a.Compare(b) < 0, a.Before(b))
	})
}

func TestATimeIsRescaledToTheNearestOrTheEarlierTick(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := times().Draw(t, "a")
		scale := rapid.Uint32Range(1, 1e9).Draw(t, "to")
		ticks := new(big.Rat).Mul(exact(a), new(big.Rat).SetInt64(int64(scale)))
		floor := new(big.Int).Div(ticks.Num(), ticks.Denom())
		half := new(big.Rat).Add(ticks, big.NewRat(1, 2))
		round := new(big.Int).Div(half.Num(), half.Denom())
		if !floor.IsInt64() || !round.IsInt64() || round.Int64() == math.MaxInt64 {
			return // beyond 64 bits: see below
		}
		require.Equal(t, floor.Int64(), a.Floor(scale))
		require.Equal(t, round.Int64(), a.Round(scale))
	})
}

func TestATimeBeyondTheRangeSaturates(t *testing.T) {
	require.Equal(t, int64(math.MaxInt64), At(math.MaxInt64, 1).Floor(1e9))
	require.Equal(t, int64(math.MinInt64), At(math.MinInt64, 1).Floor(1e9))
	require.Equal(t, int64(math.MinInt64), At(math.MinInt64, 1).Floor(1))
}

func TestClockTimesSurviveTheWayThere(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC)
	require.Equal(t, at, FromUTC(at).UTC())
	require.Equal(t, time.Unix(-1, 500_000_000).UTC(), At(-1, 2).UTC())
	require.Equal(t, 1500*time.Millisecond, At(135000, 90000).Duration())
	require.Equal(t, At(3, 2), At(1, 2).Add(FromDuration(time.Second)))
	require.Equal(t, At(-1, 2), At(1, 2).Sub(FromDuration(time.Second)))
	require.InDelta(t, 1.5, At(3, 2).Seconds(), 0)
	require.Equal(t, "video", Video.String())
	require.Equal(t, "audio", Audio.String())
	require.Equal(t, "kind(9)", Kind(9).String())
	require.Equal(t, int64(7), Segment{Start: 3, Duration: 4}.End())
}

func TestARateStaysRightOverWeeks(t *testing.T) {
	weeks := int64(14 * 24 * 3600)
	require.Equal(t, int64(1_000_000), At(weeks*10_000_000, 10_000_000).Rate(weeks*1_000_000))
	require.Equal(t, int64(0), At(0, 90000).Rate(5))
	require.Equal(t, int64(0), At(1, 90000).Rate(-5))
}

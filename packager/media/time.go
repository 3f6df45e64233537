package media

import (
	"math"
	"math/bits"
	"time"
)

// Time is an exact instant or length on the media axis: Ticks units of 1/Scale second. As an instant it counts from
// 1970-01-01T00:00:00Z without leap seconds (UTC as POSIX counts it). The zero Time is 0 seconds and has no scale;
// every method treats a zero scale as 1.
type Time struct {
	Ticks int64
	Scale uint32
}

// At returns the Time of ticks at scale.
func At(ticks int64, scale uint32) Time { return Time{Ticks: ticks, Scale: scale} }

// FromUTC returns t as a Time in nanoseconds.
func FromUTC(t time.Time) Time { return Time{Ticks: t.UnixNano(), Scale: uint32(time.Second)} }

// FromDuration returns d as a Time in nanoseconds.
func FromDuration(d time.Duration) Time { return Time{Ticks: int64(d), Scale: uint32(time.Second)} }

func (t Time) scale() uint32 {
	if t.Scale == 0 {
		return 1
	}
	return t.Scale
}

// Floor returns t in ticks of scale, rounded towards minus infinity.
func (t Time) Floor(scale uint32) int64 {
	q, _ := mulDiv(t.Ticks, int64(scale), int64(t.scale()))
	return q
}

// Round returns t in ticks of scale, rounded to the nearest tick, halves upwards.
func (t Time) Round(scale uint32) int64 {
	q, r := mulDiv(t.Ticks, int64(scale), int64(t.scale()))
	if 2*r >= int64(t.scale()) {
		q++
	}
	return q
}

// Compare returns -1, 0 or 1 as t is before, at or after u. It is exact across scales.
func (t Time) Compare(u Time) int {
	a, ar := mulDiv(t.Ticks, 1, int64(t.scale()))
	b, br := mulDiv(u.Ticks, 1, int64(u.scale()))
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	// Both remainders are below their scales (32 bits), so the cross products fit 64 bits.
	x, y := uint64(ar)*uint64(u.scale()), uint64(br)*uint64(t.scale())
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// Before reports whether t is before u.
func (t Time) Before(u Time) bool { return t.Compare(u) < 0 }

// Add returns t+u in t's scale, u rounded to the nearest tick; it is exact when the scales are equal.
func (t Time) Add(u Time) Time { return Time{Ticks: t.Ticks + u.Round(t.scale()), Scale: t.scale()} }

// Sub returns t-u in t's scale, u rounded to the nearest tick; it is exact when the scales are equal.
func (t Time) Sub(u Time) Time { return Time{Ticks: t.Ticks - u.Round(t.scale()), Scale: t.scale()} }

// UTC returns t as a wall-clock instant, rounded down to the nanosecond.
func (t Time) UTC() time.Time {
	s, r := mulDiv(t.Ticks, 1, int64(t.scale()))
	ns, _ := mulDiv(r, int64(time.Second), int64(t.scale()))
	return time.Unix(s, ns).UTC()
}

// Duration returns t as a length, rounded down to the nanosecond.
func (t Time) Duration() time.Duration { return time.Duration(t.Floor(uint32(time.Second))) }

// Seconds returns t in seconds, for display and metrics only: no decision may rest on it.
func (t Time) Seconds() float64 { return float64(t.Ticks) / float64(t.scale()) }

// Rate returns how many units per second amount is, spread over t: bytes become bytes per second. It is 0 when t is not
// positive or amount is negative, and exact but for rounding down.
func (t Time) Rate(amount int64) int64 {
	if t.Ticks <= 0 || amount < 0 {
		return 0
	}
	q, _ := mulDiv(amount, int64(t.scale()), t.Ticks)
	return q
}

// mulDiv returns the floored quotient and the non-negative remainder of a*b/c in 128 bits, b and c positive.
func mulDiv(a, b, c int64) (q, r int64) {
	neg := a < 0
	u := uint64(a)
	if neg {
		u = -u
	}
	hi, lo := bits.Mul64(u, uint64(b))
	if hi >= uint64(c) {
		return saturated(neg), 0
	}
	uq, ur := bits.Div64(hi, lo, uint64(c))
	if uq > math.MaxInt64 {
		return saturated(neg), 0
	}
	q, r = int64(uq), int64(ur)
	if neg {
		q = -q
		if r != 0 {
			q--
			r = c - r
		}
	}
	return q, r
}

// saturated is a quotient that leaves 64 bits: a time that far away is never a real one.
func saturated(negative bool) int64 {
	if negative {
		return math.MinInt64
	}
	return math.MaxInt64
}

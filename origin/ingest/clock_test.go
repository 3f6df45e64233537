package ingest

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"headwater/packager/media"
)

var noon = time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC)

func videoAt(seconds float64) stamp {
	return stamp{Ticks: int64(math.Round(seconds * 90_000)), Duration: 180_000, Scale: 90_000, Usual: 2 * time.Second}
}

func utc(ticks int64, scale uint32) time.Time { return media.At(ticks, scale).UTC() }

func TestAClockFromZeroIsAnchoredWhereItsFirstFragmentArrives(t *testing.T) {
	a, start := newAnchor(videoAt(1.4), time.Time{}, noon, media.Time{})
	require.Equal(t, clockArrival, a.Kind)
	require.Equal(t, noon.Add(-2*time.Second), utc(start, 90_000))
	require.Zero(t, a.Lag)
}

func TestTracksOfOneEncoderKeepTheirDistance(t *testing.T) {
	a, start := newAnchor(videoAt(1.421333), time.Time{}, noon, media.Time{})
	audio := stamp{Ticks: 67_200, Duration: 97_280, Scale: 48_000} // 1.4 s
	at, ok := a.fits(audio, 0, false, noon.Add(3*time.Millisecond))
	require.True(t, ok)
	video := media.At(start, 90_000)
	require.InDelta(t, 0.021333, video.Sub(media.At(at, 48_000)).Seconds(), 0.0001)
}

func TestAnEncoderWithAUTCClockKeepsIt(t *testing.T) {
	s := stamp{Ticks: noon.Unix() * 90_000, Duration: 172_800, Scale: 90_000}
	a, start := newAnchor(s, noon.Add(-time.Minute), noon.Add(2*time.Second), media.Time{})
	require.Equal(t, anchor{Kind: clockEpoch}, a)
	require.Equal(t, s.Ticks, start)
}

func TestProgrammeDateTimeAnchorsBetterThanArrival(t *testing.T) {
	said := noon.Add(-3500 * time.Millisecond)
	a, start := newAnchor(videoAt(0), said, noon, media.Time{})
	require.Equal(t, clockPDT, a.Kind)
	require.Equal(t, said, utc(start, 90_000))
	require.Equal(t, 1500*time.Millisecond, a.Lag)

	a, start = newAnchor(videoAt(0), noon.Add(-2*time.Hour), noon, media.Time{})
	require.Equal(t, clockArrival, a.Kind, "a programme date-time of another day is no clock")
	require.Equal(t, noon.Add(-2*time.Second), utc(start, 90_000))
}

func TestANewSessionNeverStartsBeforeWhatIsStored(t *testing.T) {
	earliest := media.FromUTC(noon.Add(-500 * time.Millisecond))
	a, start := newAnchor(videoAt(0), time.Time{}, noon, earliest)
	require.False(t, media.At(start, 90_000).Before(earliest))
	require.Less(t, media.At(start, 90_000).Sub(earliest).Duration(), joinMargin+2*anchorGrain+time.Millisecond)
	next, ok := a.fits(videoAt(2), start+180_000, true, noon.Add(2*time.Second))
	require.True(t, ok)
	require.Equal(t, start+180_000, next)
}

func TestWhetherASegmentContinuesItsSession(t *testing.T) {
	a, start := newAnchor(videoAt(0), time.Time{}, noon, media.Time{})
	end := start + 10*180_000 // ten segments, until noon+18 s
	at := noon.Add(18 * time.Second)
	tests := []struct {
		name  string
		media stamp
		now   time.Time
		want  bool
		start int64
	}{
		{"the next segment continues", videoAt(20), at.Add(2 * time.Second), true, end},
		{"a tick of rounding is taken out", stamp{Ticks: 20*90_000 + 1, Duration: 180_000, Scale: 90_000}, at.Add(2 * time.Second), true, end},
		{"the next segment continues however late it is", videoAt(20), at.Add(time.Minute), true, end},
		{"a lost segment leaves a gap", videoAt(22), at.Add(4 * time.Second), true, end + 180_000},
		{"an outage of a minute leaves a gap", videoAt(80), at.Add(62 * time.Second), true, end + 60*90_000},
		{"the last segment again is a copy", videoAt(18), at.Add(time.Second), true, end - 180_000},
		{"a clock back at zero is another session", videoAt(0), at.Add(3 * time.Second), false, 0},
		{"a clock back at zero after a long pause is another session", videoAt(0), at.Add(time.Hour), false, 0},
		{"a clock ahead of the wall clock is another session", videoAt(500), at.Add(2 * time.Second), false, 0},
		{"a UTC clock is another session", stamp{Ticks: at.Unix() * 90_000, Duration: 180_000, Scale: 90_000}, at, false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start, ok := a.fits(tt.media, end, true, tt.now)
			require.Equal(t, tt.want, ok)
			if ok {
				require.Equal(t, tt.start, start)
			}
		})
	}
}

func TestA33BitClockWrapsWithoutAJump(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int64Range(0, wrap33-1).Draw(t, "first")
		hours := rapid.IntRange(0, 24*30).Draw(t, "hours")
		jitter := time.Duration(rapid.Int64Range(-int64(5*time.Second), int64(5*time.Second)).Draw(t, "jitter"))
		ts := func(pts int64) stamp {
			return stamp{Ticks: pts, Duration: 180_000, Scale: 90_000, Wraps: true, Raw: pts}
		}
		a, start := newAnchor(ts(first), time.Time{}, noon, media.Time{})
		passed := int64(hours) * 3600 * 90_000
		now := noon.Add(time.Duration(hours)*time.Hour + jitter)
		raw := (first + passed) % wrap33
		at, ok := a.fits(ts(raw), start+passed, true, now)
		require.True(t, ok)
		require.Equal(t, start+passed, at)
	})
}

func TestAudioOfA33BitClockWrapsWithItsVideo(t *testing.T) {
	first := wrap33 - 45_000
	a, start := newAnchor(stamp{Ticks: first, Duration: 180_000, Scale: 90_000, Wraps: true, Raw: first}, time.Time{}, noon, media.Time{})
	raw := int64(135_000) // two seconds after the first
	audio := stamp{Ticks: media.At(raw, scaleMTS).Round(48_000), Duration: 96_000, Scale: 48_000, Wraps: true, Raw: raw}
	at, ok := a.fits(audio, 0, false, noon.Add(2*time.Second))
	require.True(t, ok)
	require.InDelta(t, 2.0, media.At(at, 48_000).Sub(media.At(start, 90_000)).Seconds(), 0.0001)
}

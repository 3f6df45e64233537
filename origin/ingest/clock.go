package ingest

import (
	"errors"
	"time"

	"headwater/packager/media"
)

// This file is where time becomes UTC (design, idea 1; reference ingest.md section 10).

// clockKind says what an anchor rests on.
type clockKind string

const (
	clockEpoch   clockKind = "epoch"   // the encoder's timestamps are UTC already
	clockPDT     clockKind = "pdt"     // the encoder's playlist said the UTC time of a segment
	clockArrival clockKind = "arrival" // the first fragment to arrive ended when it arrived
)

// Limits of the mapping, each decided here and tested by name.
const (
	// nearEpoch: timestamps this close to the wall clock are UTC, everything else counts from an arbitrary zero.
	nearEpoch = time.Hour
	// anchorGrain: offsets are whole multiples of it, so that they are exact in the usual timescales and the tracks of
	// one encoder keep their distance to the tick.
	anchorGrain = 10 * time.Millisecond
	// jumpSlack: a clock may run this much ahead of or behind its usual lag after a gap and still be the same session.
	jumpSlack = 10 * time.Second
	// joinSlack: a track that is new to a session may arrive this much earlier or later than the session's others.
	joinSlack = 2 * time.Second
	// lateJoin: a track of endless uploads that begins where its session began is of that session though it arrives this
	// much later than the others, as video does that waits for its encoder's look-ahead while audio does not.
	lateJoin = 15 * time.Second
	// beginSlack: a clock this close to the first value of its session is back at it, and a fragment from there that comes
	// this much later than the first time, or half its length if longer, is not that one sent again.
	beginSlack = 500 * time.Millisecond
	// joinMargin: a session that has to start after what is stored starts this much later, since its other tracks may begin
	// a little earlier than the one that came first (audio priming).
	joinMargin = 100 * time.Millisecond
	// partMargin: a part begins this much before its first media where nothing abuts. dash.js begins a young channel at the
	// start of its period, and where that is the first frame's very time Chromium never begins to play.
	partMargin = 10 * time.Millisecond
	// pdtAhead: a programme date-time is believed when the segment ends no more than this past now by it: clocks that are
	// kept right differ by far less, one that is ahead would have the timeline wait for it.
	pdtAhead = 5 * time.Second
	// pdtSlack: what programme date-times say of the tracks of one encoder differs by no more than this (audio priming,
	// reordered pictures, segments that begin at different frames); by more it is another encoder process.
	pdtSlack = 200 * time.Millisecond
	// maxAhead: media ends no more than this past now, or it is refused: players would be shown the future as the live
	// edge, and a new session starts no earlier than what is stored. Encoders with UTC clocks are ahead by a segment and
	// a small error of their clock, others by what they send in one burst.
	maxAhead = 30 * time.Second
	// beginAhead: a session starts no more than this past now, so that one that has to start after what is stored does
	// not go on where its predecessor was refused.
	beginAhead = maxAhead / 2
	// snap: a segment that starts this close to the end of the one before it starts there. Timestamps of 90 kHz and
	// milliseconds are rounded; sample durations are exact.
	snap = 2 * time.Millisecond
	// wrap33 is the period of MPEG-TS timestamps in 90 kHz ticks.
	wrap33   = int64(1) << 33
	scaleMTS = 90_000
)

// ErrAhead refuses media that lies too far past now.
var ErrAhead = errors.New("media lies too far in the future")

// anchor maps the clock of one encoder session to UTC.
type anchor struct {
	Kind   clockKind     `json:"kind"`
	Offset time.Duration `json:"offset"` // UTC minus source time
	Lag    time.Duration `json:"lag"`    // arrival minus mapped end, when the session began
	First  time.Duration `json:"first"`  // source time of the session's first segment
	// Said is the offset by the encoder's programme date-time, before the session was moved behind what is stored; 0: none.
	Said time.Duration `json:"said,omitempty"`
	// Axis names the UTC axis of programme date-times that the session is on, which one of the other input may share: when the
	// first session on it began, Unix milliseconds; 0: none.
	Axis int64 `json:"axis,omitempty"`

	// Of a session that goes on from another, whose clock had drifted (reanchor.go).
	Follows int           `json:"follows,omitempty"` // ordinal of that one plus 1; 0: the encoder began
	Cut     time.Duration `json:"cut,omitempty"`     // UTC: where that one ends in its own time
	Begin   time.Duration `json:"begin,omitempty"`   // UTC: where this one begins in its own
	Gained  time.Duration `json:"gained,omitempty"`  // by the encoder's clock
	PPM     *int          `json:"ppm,omitempty"`     // how fast it is, where that is known
}

// stamp is a source time: ticks on the source's clock, and for a clock that wraps every 2^33 ticks of 90 kHz the raw
// value from which they come.
type stamp struct {
	Ticks, Duration int64
	Scale           uint32
	Wraps           bool
	Raw             int64         // 90 kHz, where Wraps
	Usual           time.Duration // longest of the channel's segments now, 0 when not known: Duration may be that of a chunk
	Headed          bool          // of an endless upload that began with its header, as that of an encoder that begins
	File            bool          // of an upload that is one segment
	Filling         bool          // of an input that is not the active one and fills what that lacks
	Past            int           // ordinals below this are of sessions that it is known not to be of
}

// utc returns the UTC start of s in its scale under a. now picks the turn of a clock that wraps: the one nearest to it.
func (a anchor) utc(s stamp, now time.Time) int64 {
	t := s.Ticks + media.FromDuration(a.Offset).Round(s.Scale)
	if !s.Wraps {
		return t
	}
	want := media.FromUTC(now.Add(-a.Lag-a.Offset)).Round(scaleMTS) - s.Raw
	turns := floorDiv(want+wrap33/2, wrap33)
	return t + media.At(turns*wrap33, scaleMTS).Round(s.Scale)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// lag returns how long after the mapped end of [start, start+duration) now is.
func (s stamp) lag(start int64, now time.Time) time.Duration {
	return now.Sub(media.At(start+s.Duration, s.Scale).UTC())
}

func (s stamp) length() time.Duration {
	return max(s.Usual, media.At(s.Duration, s.Scale).Duration())
}

// onEpoch reports whether the source's own timestamps are UTC.
func (s stamp) onEpoch(now time.Time) bool {
	return !s.Wraps && abs(now.Sub(media.At(s.Ticks, s.Scale).UTC())) <= nearEpoch
}

func abs(d time.Duration) time.Duration {
	if d < 0 {
		return -d
	}
	return d
}

// fits reports whether a segment at s can belong to the session of a, given the end of the track's last segment in that
// session (known false: the track has none), and the UTC start it would have.
func (a anchor) fits(s stamp, lastEnd int64, known bool, now time.Time) (start int64, ok bool) {
	if (a.Kind == clockEpoch) != s.onEpoch(now) {
		return 0, false
	}
	start = a.utc(s, now)
	lag := s.lag(start, now) - a.Lag
	if !known {
		return start, a.Kind == clockEpoch || abs(lag) <= max(joinSlack, s.length()*3/2) || a.late(s, lag)
	}
	gap := media.At(start-lastEnd, s.Scale).Duration()
	switch length := s.length(); {
	case abs(gap) <= snap:
		return lastEnd, true
	case abs(gap) <= length/4:
		return start, true
	case gap > 0:
		// Lost segments, a pause, or an outage of ours: time goes on with the wall clock.
		return start, a.Kind == clockEpoch || gap <= 3*length || abs(lag) <= jumpSlack
	case a.Axis != 0 && abs(lag) <= max(joinSlack, length*3/2):
		return start, true // as late as ever, and the other input is ahead
	default:
		// By its time a resend of one of the last two segments, or what an encoder sends that began again within its first
		// ones: the content tells (doubt). Anything older is a clock that began again.
		return start, a.Kind == clockEpoch || -gap <= length*5/2 && lag <= 2*length+joinSlack
	}
}

// begunAgain reports whether s, of a track that is in the session of a, is of an encoder that was restarted: the header and
// the first fragment of an endless upload came anew, too late to be those of before. A file that is sent again is a copy.
func (a anchor) begunAgain(s stamp, now time.Time) bool {
	if !s.Headed || a.Kind == clockEpoch || media.At(s.Ticks, s.Scale).Duration() > a.First+beginSlack {
		return false
	}
	return s.lag(a.utc(s, now), now)-a.Lag > max(beginSlack, media.At(s.Duration, s.Scale).Duration()/2)
}

// late reports whether s begins, lag later than the session's others, a track that they began together with.
func (a anchor) late(s stamp, lag time.Duration) bool {
	return s.Headed && lag <= lateJoin && lag >= 0 && abs(media.At(s.Ticks, s.Scale).Duration()-a.First) <= beginSlack
}

// agrees reports whether a segment whose start would be start under a is where its programme date-time has it, as far as
// the encoder gives one.
func (a anchor) agrees(start int64, scale uint32, pdt time.Time) bool {
	if a.Kind != clockPDT || a.Said == 0 || pdt.IsZero() {
		return true
	}
	return abs(media.At(start, scale).UTC().Add(a.Said-a.Offset).Sub(pdt)) <= pdtSlack
}

// near reports whether a segment at start ends at a time that media may have that arrives now.
func (s stamp) near(start int64, now time.Time) bool {
	return -s.lag(start, now) <= mostAhead(s.length())
}

// mostAhead returns how far past now a segment of length may end: a session that starts late may always go on.
func mostAhead(length time.Duration) time.Duration { return max(maxAhead, beginAhead+2*length) }

// believes reports whether pdt can be the UTC time at which s starts.
func (s stamp) believes(pdt, now time.Time) bool {
	end := pdt.Add(media.At(s.Duration, s.Scale).Duration())
	return !pdt.IsZero() && now.Sub(pdt) <= nearEpoch && end.Sub(now) <= pdtAhead
}

// newAnchor anchors a session whose first segment to arrive is s. pdt is the UTC time that the encoder gave for its
// start, zero when it gave none; the segment starts no earlier than earliest (UTC).
func newAnchor(s stamp, pdt, now time.Time, earliest media.Time) (anchor, int64) {
	if s.onEpoch(now) {
		return anchor{Kind: clockEpoch}, s.Ticks
	}
	source := media.At(s.Ticks, s.Scale).Duration()
	a := anchor{Kind: clockArrival, First: source}
	if s.believes(pdt, now) {
		a.Kind = clockPDT
		a.Offset = time.Duration(pdt.UnixNano()).Round(time.Millisecond) - source.Round(time.Millisecond)
		a.Said = a.Offset
	} else {
		a.Offset = (time.Duration(now.UnixNano()) - source - media.At(s.Duration, s.Scale).Duration()).Truncate(anchorGrain)
	}
	start := s.Ticks + media.FromDuration(a.Offset).Round(s.Scale)
	if at := media.At(start, s.Scale); at.Before(earliest) {
		behind := earliest.Sub(at).Duration() + joinMargin
		a.Offset += (behind + anchorGrain - 1).Truncate(anchorGrain) + anchorGrain
		start = s.Ticks + media.FromDuration(a.Offset).Round(s.Scale)
	}
	a.Lag = s.lag(start, now)
	return a, start
}

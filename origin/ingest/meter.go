package ingest

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"headwater/packager/media"
)

// What is kept of an input for its report, beside a few numbers: at most 64 tracks (the limit, if more) of about 5 KiB, and 20 refusals
// of no more than 1 KiB. Only a restart of the server loses it.
const (
	keptSegments = 64               // of each track: over two minutes of 2 s segments
	keptKeys     = 64               // distances between sync samples of each track, and of one segment
	keptRefusals = 20               // of each input
	keptStrays   = 64               // refusals, of all channels that nothing was taken of yet, and challenges
	keptBegins   = 32               // sessions of each input
	maxWords     = 200              // bytes of what a refusal says and of a User-Agent
	measuredOver = time.Minute      // bitrates are those of the segments that came within it, or of keptSegments
	sameBegin    = 10 * time.Second // sessions that begin within it are one encoder's, which has a process for each rendition
)

// ring keeps what was added last.
type ring[T any] struct {
	kept []T
	next int // where the oldest is, once it is full
}

func (r *ring[T]) add(v T, most int) {
	if len(r.kept) < most {
		r.kept = append(r.kept, v)
		return
	}
	r.kept[r.next] = v
	r.next = (r.next + 1) % most
}

// all returns a copy, the oldest first.
func (r *ring[T]) all() []T { return append(slices.Clone(r.kept[r.next:]), r.kept[:r.next]...) }

// Refusal is one upload, or segment of an endless one, that was not taken.
type Refusal struct {
	Time   time.Time
	Name   string // path below the input
	Reason string // as in the answer
	Text   string // the error's own
}

func refusal(name, reason string, err error, now time.Time) Refusal {
	return Refusal{Time: now, Name: clipped(name, maxName), Reason: reason, Text: clipped(err.Error(), maxWords)}
}

// stray is a refusal of a channel that nothing was taken of yet.
type stray struct {
	of     pushedTo
	refuse Refusal
}

// pushedTo is an input of a channel that may not exist.
type pushedTo struct {
	channel string
	input   int
}

func (p pushedTo) key() string { return fmt.Sprintf("%s/%d", p.channel, p.input) }

// clipped returns a copy of text that is valid UTF-8 and no longer than most bytes.
func clipped(text string, most int) string {
	return strings.ToValidUTF8(strings.Clone(text[:min(len(text), most)]), "?")
}

// inputMeter measures what one input receives. All but the atomic fields is guarded by the intake's mu, which whoever writes here
// holds already.
type inputMeter struct {
	accepted atomic.Int64 // uploads
	heard    atomic.Int64 // Unix milliseconds, of the last upload that was taken or segment of an endless one
	encoder  atomic.Pointer[string]

	protocol string
	segments int
	slates   int
	refused  int
	refusals ring[Refusal]
	tracks   map[string]*trackMeter
}

// took counts an upload that was taken.
func (m *inputMeter) took(encoder string, now time.Time) {
	m.accepted.Add(1)
	m.hear(encoder, now)
}

func (m *inputMeter) hear(encoder string, now time.Time) {
	m.heard.Store(now.UnixMilli())
	encoder = encoder[:min(len(encoder), maxWords)]
	if was := m.encoder.Load(); was == nil || *was != encoder {
		encoder = clipped(encoder, maxWords)
		m.encoder.Store(&encoder)
	}
}

func (m *inputMeter) refuse(r Refusal) {
	m.refused++
	m.refusals.add(r, keptRefusals)
}

// measured is a segment that became visible.
type measured struct {
	start, length time.Duration // UTC media time
	late          time.Duration // arrival minus media end
	arrived       time.Time
	size          int64
	keyed         bool // video: it begins with a sync sample
	open          bool // video: that is of an open group of pictures
	slate         bool // some of it is filler for what its encoder lost
	catchUp       bool // of what an encoder had when it began: it came sooner after the one before than it was made
}

// trackMeter measures one track in the present session of its encoder.
type trackMeter struct {
	session int
	steady  bool // what the encoder had when it began has come
	recent  ring[measured]
	keys    ring[time.Duration] // distances between sync samples
	lastKey time.Duration       // UTC media time; 0: none yet
}

// measure takes in a segment that became visible, of one of so many tracks at most.
func (m *inputMeter) measure(s *segment, seg media.Segment, tracks int, now time.Time) {
	m.segments++
	if s.slate {
		m.slates++
	}
	t := m.tracks[s.track.ID]
	if t == nil {
		if len(m.tracks) >= tracks {
			m.forgetOldest()
		}
		t = &trackMeter{session: s.at.Session}
		m.tracks[s.track.ID] = t
	}
	if t.session != s.at.Session {
		*t = trackMeter{session: s.at.Session} // what its encoder did before it was restarted says nothing any more
	}
	at := func(ticks int64) time.Duration { return media.At(ticks, s.track.Timescale).Duration() }
	took := measured{start: at(seg.Start), length: at(seg.Duration), arrived: now, size: seg.Size, keyed: s.keys.begins, open: s.keys.open(), slate: s.slate,
		late: now.Sub(media.At(seg.End(), s.track.Timescale).UTC())}
	if n := len(t.recent.kept); n > 0 && !t.steady { // then none has been overwritten yet
		took.catchUp = now.Sub(t.recent.kept[n-1].arrived) < took.length/2
		t.steady = !took.catchUp || n == keptSegments
	}
	t.recent.add(took, keptSegments)
	if s.track.Kind != media.Video {
		return
	}
	for _, ticks := range s.keys.at {
		key := at(ticks)
		if gap := key - t.lastKey; t.lastKey != 0 && gap > 0 && gap <= maxGOP {
			t.keys.add(gap, keptKeys)
		}
		t.lastKey = key
	}
}

// forgetOldest forgets the track that nothing came of for longest.
func (m *inputMeter) forgetOldest() {
	var oldest string
	var when time.Time
	for id, t := range m.tracks {
		all := t.recent.all()
		if at := all[len(all)-1].arrived; oldest == "" || at.Before(when) {
			oldest, when = id, at
		}
	}
	delete(m.tracks, oldest)
}

// keyTimes are the sync samples of a segment of video.
type keyTimes struct {
	begins  bool // the first sample is one
	leading bool // pictures that follow it are shown before it
	scan    pictureScan
	at      []int64 // UTC ticks, keptKeys at most
}

// open reports whether the segment begins with an open group of pictures.
func (k *keyTimes) open() bool { return k.begins && k.scan.open(k.leading) }

// note takes in the samples of a fragment that begins at UTC ticks.
func (k *keyTimes) note(at int64, sync bool, first bool) {
	if !sync {
		return
	}
	k.begins = k.begins || first
	if len(k.at) < keptKeys {
		k.at = append(k.at, at)
	}
}

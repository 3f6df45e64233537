package timeline

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"

	"headwater/packager/media"
	"headwater/storage"
)

// Record types of the journal. The format is documented in docs/formats/journal.md.
const (
	recordTrack    = 't'
	recordConfig   = 'c'
	recordPart     = 'p'
	recordGrid     = 'g'
	recordCounting = 'n'
	recordLongest  = 'm'
	recordNote     = 'k'
	recordSegment  = 's'
	recordHeld     = 'h'
	recordGone     = 'l'
)

var errRecord = errors.New("malformed journal record")

// writer appends the fields of a record.
type writer []byte

func (w writer) uint(v uint64) writer { return binary.AppendUvarint(w, v) }
func (w writer) int(v int64) writer   { return binary.AppendVarint(w, v) }
func (w writer) bytes(b []byte) writer {
	return append(w.uint(uint64(len(b))), b...)
}
func (w writer) string(s string) writer { return append(w.uint(uint64(len(s))), s...) }
func (w writer) bool(v bool) writer {
	if v {
		return w.uint(1)
	}
	return w.uint(0)
}
func (w writer) time(t media.Time) writer {
	return w.int(t.Ticks).uint(uint64(t.Scale))
}

// reader takes fields from a record; after a short or overlong field bad is set and all further fields are zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes() []byte {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

// start takes the start of a segment.
func (r *reader) start() int64 {
	v := r.int()
	if v < 0 || v > maxTicks {
		r.b, r.bad = nil, true
		return 0
	}
	return v
}

// uintTo takes a uint of at most limit.
func (r *reader) uintTo(limit uint64) uint64 {
	v := r.uint()
	if v > limit {
		r.b, r.bad = nil, true
		return 0
	}
	return v
}

func (r *reader) time() media.Time { return media.At(r.int(), uint32(r.uintTo(math.MaxUint32))) }

func encodeTrack(index int, t media.Track) []byte {
	return writer{recordTrack}.uint(uint64(index)).string(t.ID).uint(uint64(t.Kind)).uint(uint64(t.Timescale)).
		string(t.Language).uint(uint64(t.Bitrate)).bool(t.Default).
		string(t.Name).uint(uint64(t.Roles)).bool(t.Manual)
}

func encodeConfig(track, index int, c *media.Config) []byte {
	return writer{recordConfig}.uint(uint64(track)).uint(uint64(index)).string(c.ID).string(c.Codec).
		uint(uint64(c.Width)).uint(uint64(c.Height)).uint(uint64(c.FrameRate.Num)).uint(uint64(c.FrameRate.Den)).
		uint(uint64(c.SampleRate)).uint(uint64(c.Channels)).bytes(c.Header)
}

func encodePart(p media.Part) []byte {
	return writer{recordPart}.uint(uint64(p.Ordinal)).time(p.Start)
}

func encodeGrid(part uint32, g media.Grid) []byte {
	return writer{recordGrid}.uint(uint64(part)).time(g.Step).time(g.Phase)
}

func encodeCounting(step media.Time) []byte { return writer{recordCounting}.time(step) }

func encodeGone(tr *track) []byte {
	g := tr.gone
	return writer{recordGone}.uint(uint64(tr.index)).int(g.number).int(g.start).int(g.end).uint(uint64(g.bytes)).
		uint(uint64(g.ticks)).uint(uint64(tr.peak))
}

func encodeLongest(d media.Time) []byte { return writer{recordLongest}.time(d) }

func encodeNote(key string, value []byte) []byte {
	return writer{recordNote}.string(key).bytes(value)
}

func encodeSegment(kind byte, tr *track, s media.Segment) []byte {
	config := 0
	for i, c := range tr.configs {
		if c == s.Config {
			config = i
		}
	}
	w := writer{kind}.uint(uint64(tr.index)).int(s.Number).int(s.Start).uint(uint64(s.Duration)).uint(uint64(s.Size)).
		uint(s.Hash).int(s.Arrived).uint(uint64(s.Part)).uint(uint64(config))
	if s.Dependent {
		w = w.bool(true)
	}
	return w
}

// replay applies one record of either stream. Unknown record types are an error: an older program must not run on.
func (s *state) replay(rec storage.Record) error {
	if len(rec.Data) == 0 {
		return fmt.Errorf("record %d: %w: empty", rec.Position, errRecord)
	}
	r := &reader{b: rec.Data[1:]}
	var err error
	switch rec.Data[0] {
	case recordTrack:
		err = s.replayTrack(r)
	case recordConfig:
		err = s.replayConfig(r)
	case recordPart:
		err = s.replayPart(r)
	case recordGrid:
		err = s.replayGrid(r)
	case recordCounting:
		if step := r.time(); !r.bad {
			s.setStep(0, step)
			s.counting, s.counted = true, true
		}
	case recordLongest:
		if d := r.time(); s.longest.Before(d) {
			s.longest = d
		}
	case recordNote:
		key, value := string(r.bytes()), r.bytes()
		if !r.bad {
			s.notes[key] = append([]byte(nil), value...)
		}
	case recordSegment, recordHeld:
		err = s.replaySegment(r, rec)
	case recordGone:
		err = s.replayGone(r)
	default:
		err = fmt.Errorf("%w: unknown type %q", errRecord, rec.Data[0])
	}
	if r.bad { // else err speaks of fields that were not there
		err = fmt.Errorf("%w: type %q is too short or out of range", errRecord, rec.Data[0])
	}
	if err != nil {
		return fmt.Errorf("record %d: %w", rec.Position, err)
	}
	return nil
}

func (s *state) replayTrack(r *reader) error {
	index := r.uint()
	t := media.Track{ID: string(r.bytes()), Kind: media.Kind(r.uintTo(math.MaxUint8)), Timescale: uint32(r.uintTo(math.MaxUint32)),
		Language: string(r.bytes()), Bitrate: int(r.uintTo(math.MaxInt32))}
	if len(r.b) > 0 { // records of before had no such field
		t.Default = r.uintTo(1) == 1
	}
	if len(r.b) > 0 {
		t.Name, t.Roles, t.Manual = string(r.bytes()), media.Roles(r.uintTo(math.MaxUint32)), r.uintTo(1) == 1
	}
	if r.bad {
		return nil
	}
	if err := checkTrack(t); err != nil {
		return fmt.Errorf("%w: %w", errRecord, err)
	}
	have := s.tracks[t.ID]
	switch {
	case have != nil && uint64(have.index) == index && have.Kind == t.Kind && have.Timescale == t.Timescale:
		have.Track = t
	case have == nil && index == uint64(len(s.order)):
		s.addTrack(newTrack(t, len(s.order)))
	default:
		return fmt.Errorf("%w: track %q at index %d", errRecord, t.ID, index)
	}
	return nil
}

func (s *state) replayConfig(r *reader) error {
	index, pos := r.uint(), r.uint()
	c := &media.Config{ID: string(r.bytes()), Codec: string(r.bytes()), Width: int(r.uintTo(math.MaxInt32)),
		Height:     int(r.uintTo(math.MaxInt32)),
		FrameRate:  media.Ratio{Num: uint32(r.uintTo(math.MaxUint32)), Den: uint32(r.uintTo(math.MaxUint32))},
		SampleRate: int(r.uintTo(math.MaxInt32)), Channels: int(r.uintTo(math.MaxInt32))}
	c.Header = append([]byte(nil), r.bytes()...)
	if index >= uint64(len(s.order)) || pos != uint64(len(s.order[index].configs)) {
		return fmt.Errorf("%w: configuration %d of track %d", errRecord, pos, index)
	}
	if !r.bad {
		s.order[index].configs = append(s.order[index].configs, c)
	}
	return nil
}

func (s *state) replayPart(r *reader) error {
	p := media.Part{Ordinal: uint32(r.uintTo(math.MaxUint32)), Start: r.time()}
	switch i := s.parted(p.Ordinal); {
	case r.bad:
	case i >= 0:
		if p.Start.Before(s.parts[i].Start) {
			s.takeBack(i, p.Start)
		}
	case int64(p.Ordinal) == int64(len(s.parts)):
		s.addPart(p)
	default:
		return fmt.Errorf("%w: part %d behind %d parts", errRecord, p.Ordinal, len(s.parts))
	}
	return nil
}

func (s *state) replayGrid(r *reader) error {
	ordinal, g := uint32(r.uintTo(math.MaxUint32)), media.Grid{Step: r.time(), Phase: r.time()}
	i := s.parted(ordinal)
	if i < 0 || !g.Valid() {
		return fmt.Errorf("%w: grid of part %d", errRecord, ordinal)
	}
	if !r.bad && !s.parts[i].kept {
		s.setGrid(i, g)
		s.parts[i].kept = true
	}
	return nil
}

func (s *state) replaySegment(r *reader, rec storage.Record) error {
	index := r.uint()
	seg := media.Segment{Number: r.int(), Start: r.start(), Duration: int64(r.uintTo(maxTicks)),
		Size: int64(r.uintTo(math.MaxInt64)), Hash: r.uint(), Arrived: r.int(), Part: uint32(r.uintTo(math.MaxUint32))}
	config := r.uint()
	if len(r.b) > 0 {
		seg.Dependent = r.uintTo(1) == 1
	}
	if r.bad {
		return nil
	}
	if index >= uint64(len(s.order)) || config >= uint64(len(s.order[index].configs)) || s.parted(seg.Part) < 0 ||
		seg.Duration == 0 {
		return fmt.Errorf("%w: segment of track %d, configuration %d, part %d", errRecord, index, config, seg.Part)
	}
	tr := s.order[index]
	seg.Config = tr.configs[config]
	s.know(rec.Position)
	if rec.Data[0] == recordHeld {
		tr.hold(seg, rec.Position)
		return nil
	}
	tr.unhold(seg.Start)
	if n := len(tr.segments); n > 0 && tr.segments[n-1].Start < seg.Start && tr.segments[n-1].Number < seg.Number {
		tr.insert(seg, rec.Position) // nearly always
		return nil
	}
	before, after := (&plan{}).neighbours(tr, seg.Start)
	switch {
	case tr.gone.before(seg.Start):
		return nil // expired while it was being appended
	case seg.Number < 0, before != nil && before.Number >= seg.Number, after != nil && after.Number <= seg.Number, tr.has(seg.Start):
		return fmt.Errorf("%w: number %d of track %d at %d is out of order", errRecord, seg.Number, index, seg.Start)
	}
	tr.insert(seg, rec.Position)
	return nil
}

// has reports whether a numbered segment starts at start.
func (tr *track) has(start int64) bool {
	n := len(tr.segments)
	if n == 0 || tr.segments[n-1].Start < start {
		return false
	}
	i := sort.Search(n, func(i int) bool { return tr.segments[i].Start >= start })
	return tr.segments[i].Start == start
}

// replayGone drops the segments that had expired.
func (s *state) replayGone(r *reader) error {
	index := r.uint()
	g := gone{number: r.int(), start: r.int(), end: r.int(), bytes: int64(r.uintTo(math.MaxInt64)), ticks: int64(r.uintTo(math.MaxInt64))}
	peak := int(r.uintTo(math.MaxInt64))
	if r.bad {
		return nil
	}
	if index >= uint64(len(s.order)) || g.number < 0 || g.end < g.start || g.end > maxTicks {
		return fmt.Errorf("%w: gone of track %d", errRecord, index)
	}
	tr := s.order[index]
	n := 0
	for n < len(tr.segments) && g.before(tr.segments[n].Start) {
		tr.forget(tr.segments[n])
		n++
	}
	tr.segments, tr.positions = tr.segments[n:], tr.positions[n:]
	for len(tr.held) > 0 && g.before(tr.held[0].Start) {
		tr.held = tr.held[1:]
	}
	if tr.gone.number <= g.number {
		tr.gone = g
	}
	tr.peak = max(tr.peak, peak)
	return nil
}

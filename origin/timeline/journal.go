package timeline

import (
	"encoding/binary"
	"errors"
	"fmt"

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

func (r *reader) time() media.Time { return media.At(r.int(), uint32(r.uint())) }

func encodeTrack(index int, t media.Track) []byte {
	return writer{recordTrack}.uint(uint64(index)).string(t.ID).uint(uint64(t.Kind)).uint(uint64(t.Timescale)).
		string(t.Language).uint(uint64(t.Bitrate))
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
	return writer{kind}.uint(uint64(tr.index)).int(s.Number).int(s.Start).uint(uint64(s.Duration)).uint(uint64(s.Size)).
		uint(s.Hash).int(s.Arrived).uint(uint64(s.Part)).uint(uint64(config))
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
		s.addPart(media.Part{Ordinal: uint32(r.uint()), Start: r.time()})
	case recordGrid:
		ordinal, g := uint32(r.uint()), media.Grid{Step: r.time(), Phase: r.time()}
		if i := s.parted(ordinal); i >= 0 {
			s.parts[i].grid = g
		}
	case recordCounting:
		s.counting = true
	case recordLongest:
		if d := r.time(); s.longest.Before(d) {
			s.longest = d
		}
	case recordNote:
		key := string(r.bytes())
		s.notes[key] = append([]byte(nil), r.bytes()...)
	case recordSegment, recordHeld:
		err = s.replaySegment(r, rec)
	default:
		err = fmt.Errorf("%w: unknown type %q", errRecord, rec.Data[0])
	}
	if err == nil && r.bad {
		err = fmt.Errorf("%w: type %q is too short", errRecord, rec.Data[0])
	}
	if err != nil {
		return fmt.Errorf("record %d: %w", rec.Position, err)
	}
	return nil
}

func (s *state) replayTrack(r *reader) error {
	index := r.uint()
	t := media.Track{ID: string(r.bytes()), Kind: media.Kind(r.uint()), Timescale: uint32(r.uint()),
		Language: string(r.bytes()), Bitrate: int(r.uint())}
	switch {
	case index < uint64(len(s.order)) && s.order[index].ID == t.ID:
		s.order[index].Track = t
	case index == uint64(len(s.order)) && s.tracks[t.ID] == nil && t.Timescale > 0:
		tr := &track{Track: t, index: len(s.order)}
		s.order = append(s.order, tr)
		s.tracks[t.ID] = tr
	default:
		return fmt.Errorf("%w: track %q at index %d", errRecord, t.ID, index)
	}
	return nil
}

func (s *state) replayConfig(r *reader) error {
	index, pos := r.uint(), r.uint()
	c := &media.Config{ID: string(r.bytes()), Codec: string(r.bytes()), Width: int(r.uint()), Height: int(r.uint()),
		FrameRate:  media.Ratio{Num: uint32(r.uint()), Den: uint32(r.uint())},
		SampleRate: int(r.uint()), Channels: int(r.uint())}
	c.Header = append([]byte(nil), r.bytes()...)
	if index >= uint64(len(s.order)) || pos != uint64(len(s.order[index].configs)) {
		return fmt.Errorf("%w: configuration %d of track %d", errRecord, pos, index)
	}
	s.order[index].configs = append(s.order[index].configs, c)
	return nil
}

func (s *state) replaySegment(r *reader, rec storage.Record) error {
	index := r.uint()
	seg := media.Segment{Number: r.int(), Start: r.int(), Duration: int64(r.uint()), Size: int64(r.uint()),
		Hash: r.uint(), Arrived: r.int(), Part: uint32(r.uint())}
	config := r.uint()
	if r.bad || index >= uint64(len(s.order)) || config >= uint64(len(s.order[index].configs)) {
		return fmt.Errorf("%w: segment of track %d, configuration %d", errRecord, index, config)
	}
	tr := s.order[index]
	seg.Config = tr.configs[config]
	if rec.Data[0] == recordHeld {
		tr.held = append(tr.held, Add{Segment: seg})
		return nil
	}
	tr.unhold(seg.Start)
	if n := len(tr.segments); n > 0 && seg.Start <= tr.segments[n-1].Start && tr.has(seg.Start) {
		return nil // settled twice by segments appended at the same time
	}
	tr.insert(seg, rec.Position)
	return nil
}

// has reports whether a numbered segment starts at start.
func (tr *track) has(start int64) bool {
	for i := len(tr.segments) - 1; i >= 0 && tr.segments[i].Start >= start; i-- {
		if tr.segments[i].Start == start {
			return true
		}
	}
	return false
}

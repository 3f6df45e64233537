// Package mpegts rewrites stored CMAF segments as MPEG-2 transport stream segments for HLS (ISO/IEC 13818-1; reference
// output.md section 4).
//
// Every segment is made from its own pieces alone, yet segments play end to end as one stream: time stamps are UTC, and
// continuity counters run on from one segment to the next (see writer). It does not choose segments, name them, encrypt,
// or write packed audio, SCTE-35 and ID3.
package mpegts

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"headwater/packager"
	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// ErrCodec means that a piece's configuration has no place in a transport stream, or cannot be read.
var ErrCodec = errors.New("mpegts: codec cannot be carried")

// Clock of PTS, DTS and PCR base (ISO/IEC 13818-1 2.4.2).
const clock = 90_000

// PTS are the UTC presentation time at 90 kHz modulo 2^33, with nothing added: the one constant that all tracks and
// renditions of an endpoint must share is zero. DTS and PCR precede it and wrap like it, so they need no room.
const (
	// pcrLead is how far the PCR is behind the DTS of the access unit that it comes with: the time that a receiver of
	// constant delay has for buffering.
	pcrLead = clock / 2
	// maxPCRInterval is below the 100 ms of ISO/IEC 13818-1 2.7.2.
	maxPCRInterval = clock * 9 / 100
	// maxPCRFill bounds the PCRs between two access units: 9 s of nothing.
	maxPCRFill = 100
	// maxPESTicks and maxPESBytes bound the audio frames in one PES packet. The bytes are below the 3,584 bytes of the
	// main audio buffer (ISO/IEC 13818-1 2.4.2.3); a single frame may be larger.
	maxPESTicks = maxPCRInterval
	maxPESBytes = 2930
	// maxPieces is how many streams a program map of one packet has room for, each with its descriptors.
	maxPieces = 8
)

// access is one sample with its time stamps at 90 kHz since the epoch.
type access struct {
	data          []byte
	pts, dts, end int64 // end: dts of what follows without a hole
	sync          bool
}

// stream is one elementary stream of a segment.
type stream struct {
	codec
	kind     media.Kind
	pid      uint16
	language string
	accesses []access
	next     int // index of the first access not yet written
	packets  int // with payload, written so far
}

// Muxer writes one transport stream segment: tables, then the access units of all pieces by decode time. Create with
// NewMuxer. It is for one goroutine at a time.
type Muxer struct {
	streams []stream
	clock   *stream // that carries the PCR
	counter uint8   // of the tables
	size    int64
}

// NewMuxer reads pieces, and finds out how long the segment will be. A piece's Data is what packager/cmaf writes, and must
// stay as it is for as long as the Muxer is used; a piece without Data is announced in the program map and nothing else.
// Table continuity counters are taken from the first piece's Segment.Number.
//
// Errors: packager.ErrNoMedia when no piece holds a sample, ErrCodec, cmaf.ErrMalformed.
func NewMuxer(pieces []packager.Piece) (*Muxer, error) {
	if len(pieces) == 0 {
		return nil, packager.ErrNoMedia
	}
	if len(pieces) > maxPieces {
		return nil, fmt.Errorf("mpegts: %d pieces in one segment", len(pieces))
	}
	m := &Muxer{streams: make([]stream, len(pieces)), counter: uint8(pieces[0].Segment.Number) & 0x0f}
	for i := range pieces {
		if err := m.streams[i].read(&pieces[i]); err != nil {
			return nil, fmt.Errorf("mpegts: track %s, segment %d: %w", pieces[i].Track.ID, pieces[i].Segment.Number, err)
		}
		m.streams[i].pid = firstPID + uint16(i)
	}
	if m.clock = clockOf(m.streams); m.clock == nil {
		return nil, packager.ErrNoMedia
	}
	w := newWriter(nil)
	if err := m.write(w); err != nil {
		return nil, err
	}
	m.size = int64(w.count) * packetSize
	return m, nil
}

// Size returns the length of the segment in bytes.
func (m *Muxer) Size() int64 { return m.size }

// WriteTo writes the segment, in pieces of up to writeSize bytes. It returns the first error of to. It can be called again.
func (m *Muxer) WriteTo(to io.Writer) (int64, error) {
	w := newWriter(to)
	err := m.write(w)
	w.flush()
	return w.written, cmp.Or(err, w.err)
}

func (m *Muxer) write(w *writer) error {
	for i := range m.streams {
		m.streams[i].next, m.streams[i].packets = 0, 0
	}
	w.tables(m.counter, m.streams, m.clock.pid)
	pcr := pcrState{stream: m.clock}
	for s := earliest(m.streams); s != nil && w.err == nil; s = earliest(m.streams) {
		if s == m.clock {
			pcr.fill(w, s.accesses[s.next].dts)
		}
		if err := w.unit(s, s == m.clock); err != nil {
			return fmt.Errorf("mpegts: pid %#x: %w", s.pid, err)
		}
	}
	pcr.fill(w, m.clock.accesses[len(m.clock.accesses)-1].end)
	return nil
}

// read parses a piece.
func (s *stream) read(p *packager.Piece) (err error) {
	if p.Segment.Config == nil {
		return fmt.Errorf("%w: no configuration", ErrCodec)
	}
	s.kind, s.language = p.Track.Kind, p.Track.Language
	if s.codec, err = readConfig(p.Segment.Config); err != nil {
		return err
	}
	if (s.kind == media.Video) != s.isVideo() {
		return fmt.Errorf("%w: %s in a track of %s", ErrCodec, p.Segment.Config.Codec, s.kind)
	}
	fragments, err := cmaf.ReadSegment(p.Data)
	if err != nil {
		return err
	}
	n := 0
	for i := range fragments {
		n += len(fragments[i].Samples)
	}
	s.accesses = make([]access, 0, n)
	for i := range fragments {
		s.add(fragments[i], p.Track.Timescale)
	}
	s.orderDecoding()
	return nil
}

// add appends the samples of a fragment; dts holds the stored decode time until orderDecoding.
func (s *stream) add(f cmaf.Fragment, scale uint32) {
	at := f.DecodeTime
	for i := range f.Samples {
		sample := &f.Samples[i]
		dts := media.At(at, scale).Round(clock)
		pts := dts
		if sample.CompositionOffset != 0 {
			pts = media.At(at+int64(sample.CompositionOffset), scale).Round(clock)
		}
		at += int64(sample.Duration)
		if len(sample.Data) == 0 {
			continue
		}
		end := media.At(at, scale).Round(clock)
		s.accesses = append(s.accesses, access{data: sample.Data, pts: pts, dts: dts, end: end, sync: sample.Sync})
	}
}

// orderDecoding moves decode times so far ahead that none is after its presentation time.
//
// A stored segment begins with decode time = presentation time, so that reordered pictures have negative composition
// offsets. A transport stream has none: decode times are reorder earlier, a constant of the configuration. Should the
// configuration promise less reordering than there is, the segment's own need counts, which keeps DTS <= PTS and DTS
// ascending.
func (s *stream) orderDecoding() {
	if s.kind != media.Video {
		for i := range s.accesses {
			s.accesses[i].dts = s.accesses[i].pts
		}
		return
	}
	need := s.reorder
	for i := range s.accesses {
		need = max(need, s.accesses[i].dts-s.accesses[i].pts)
	}
	for i := range s.accesses {
		s.accesses[i].dts -= need
		s.accesses[i].end -= need
	}
}

// clockOf returns the stream that carries the PCR: the first video with samples, else the first audio; nil for none.
func clockOf(streams []stream) (found *stream) {
	for i := range streams {
		s := &streams[i]
		if len(s.accesses) > 0 && (found == nil || found.kind != media.Video && s.kind == media.Video) {
			found = s
		}
	}
	return found
}

// earliest returns the stream whose next access is to be decoded first; nil at the end.
func earliest(streams []stream) (found *stream) {
	for i := range streams {
		s := &streams[i]
		if s.next < len(s.accesses) && (found == nil || s.accesses[s.next].dts < found.accesses[found.next].dts) {
			found = s
		}
	}
	return found
}

// pcrState knows the last PCR of a segment.
type pcrState struct {
	stream *stream
	last   int64 // as the DTS that it came with
	some   bool
}

// fill writes packets with nothing but a PCR until the one that an access unit decoded at dts brings is near enough.
func (p *pcrState) fill(w *writer, dts int64) {
	if p.some {
		for n := 0; n < maxPCRFill && dts-p.last > maxPCRInterval; n++ {
			p.last += maxPCRInterval
			w.pcrOnly(p.stream, p.last-pcrLead)
		}
	}
	p.last, p.some = dts, true
}

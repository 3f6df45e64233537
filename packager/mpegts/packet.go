package mpegts

import (
	"encoding/binary"
	"io"
)

// Packet layout and PIDs.
const (
	packetSize  = 188
	payloadSize = packetSize - 4
	counterStep = 16 // packets after which a continuity counter is where it was

	pidPAT   = 0x0000
	pidPMT   = 0x1000
	firstPID = 0x0100
	program  = 1

	// writeSize is how many bytes are written at a time: what a core's own cache has room for beside what it is made from.
	writeSize = 348 * packetSize
)

// writer makes transport packets and writes them to a sink, or counts them where there is none.
//
// Continuity counters are four bits that count the packets with payload of a PID (ISO/IEC 13818-1 2.4.3.3). Segments are
// made one by one, so each must know where the one before it ended: every elementary PID begins at 0 and ends after a
// multiple of 16 packets, because the last PES packet of a segment is spread over up to 15 packets more than it needs.
// The tables come once per segment with the segment's number as their counter.
type writer struct {
	sink    io.Writer // nil: packets are counted, and those of media not made
	out     []byte    // packets to be written
	count   int       // packets so far
	written int64     // bytes
	err     error     // the sink's first

	// One PES packet in the making: its header, then slices of stored media and constants.
	header  [32]byte
	lead    []byte   // the part of header in use
	pieces  [][]byte // what follows
	nals    [][]byte
	headers []byte // ADTS headers of pieces
	code    []byte // start code
}

func newWriter(sink io.Writer) *writer {
	size := writeSize
	if sink == nil {
		size = 8 * packetSize
	}
	return &writer{sink: sink, out: make([]byte, 0, size), code: []byte(startCode)}
}

// flush writes what there is.
func (w *writer) flush() {
	if w.sink != nil && w.err == nil && len(w.out) > 0 {
		var n int
		n, w.err = w.sink.Write(w.out)
		w.written += int64(n)
		if w.err != nil { // a sink that broke may hold on to what it was to write
			w.out = make([]byte, 0, writeSize)
		}
	}
	w.out = w.out[:0]
}

// begin starts a PES packet with the time stamps of a and a first piece.
func (w *writer) begin(a *access, id byte, first string) {
	h := append(w.header[:0], 0, 0, 1, id, 0, 0, 0x84, 0x80, 5) // data_alignment_indicator, PTS
	if a.pts == a.dts {
		h = appendTimestamp(h, 0x2, a.pts)
	} else {
		h[7], h[8] = 0xc0, 10
		h = appendTimestamp(h, 0x3, a.pts)
		h = appendTimestamp(h, 0x1, a.dts)
	}
	w.lead = append(h, first...)
	w.pieces = w.pieces[:0]
}

// appendTimestamp appends 33 bits of t behind a 4-bit mark (ISO/IEC 13818-1 2.4.3.6).
func appendTimestamp(b []byte, mark byte, t int64) []byte {
	v := uint64(t) & (1<<33 - 1)
	return append(b, mark<<4|byte(v>>29)&0x0e|1, byte(v>>22), byte(v>>14)|1, byte(v>>7), byte(v<<1)|1)
}

// pes writes lead and pieces as one PES packet of s, with a PCR (90 kHz) when withPCR. key marks a point at which
// decoding can begin. When s has no further access, the packet is spread so that the counter comes out even.
func (w *writer) pes(s *stream, withPCR, key bool, pcr int64) {
	left := len(w.lead)
	for _, p := range w.pieces {
		left += len(p)
	}
	if body := left - 6; !s.isVideo() && body <= 0xffff {
		binary.BigEndian.PutUint16(w.lead[4:], uint16(body)) // 0, unbounded, is for video alone
	}
	field := 0 // size of the first packet's adaptation field
	if withPCR {
		field = 8
	} else if key && s.isVideo() {
		field = 2
	}
	packets := 1
	if first := payloadSize - field; left > first {
		packets += (left - first + payloadSize - 1) / payloadSize
	}
	if s.next == len(s.accesses) {
		packets += (counterStep - (s.packets+packets)%counterStep) % counterStep
		if missing := packets - left; missing > 0 {
			w.stuffHeader(missing, !s.isVideo())
			left += missing
		}
	}
	if w.sink == nil {
		w.count += packets
		s.packets += packets
		return
	}
	piece, rest := 0, w.lead
	for i := range packets {
		p := w.packet()
		p[0], p[1], p[2] = 0x47, byte(s.pid>>8), byte(s.pid)
		p[3] = 0x10 | byte(s.packets)&0x0f
		s.packets++
		used := 0
		if i == 0 {
			p[1] |= 0x40 // payload_unit_start_indicator
			used = field
		}
		n := min(payloadSize-used, left-(packets-1-i)) // at least a byte for each packet to come
		left -= n
		if n == payloadSize && len(rest) >= payloadSize { // nearly all are like this
			*(*[payloadSize]byte)(p[4:packetSize]) = [payloadSize]byte(rest)
			rest = rest[payloadSize:]
			continue
		}
		if used = payloadSize - n; used > 0 {
			p[3] |= 0x20
			adaptation(p[4:4+used], i == 0 && withPCR, i == 0 && key, pcr)
		}
		for b := p[4+used:]; len(b) > 0; {
			if len(rest) == 0 {
				rest = w.pieces[piece]
				piece++
				continue
			}
			c := copy(b, rest)
			b, rest = b[c:], rest[c:]
		}
	}
}

// stuffHeader adds n stuffing bytes to the PES header in lead: a packet needs at least one byte of payload.
func (w *writer) stuffHeader(n int, bounded bool) {
	end := 9 + int(w.lead[8])
	tail := append([]byte(nil), w.lead[end:]...)
	w.lead = w.lead[:end]
	for range n {
		w.lead = append(w.lead, 0xff)
	}
	w.lead[8] += byte(n)
	w.lead = append(w.lead, tail...)
	if bounded {
		binary.BigEndian.PutUint16(w.lead[4:], binary.BigEndian.Uint16(w.lead[4:])+uint16(n))
	}
}

// packet appends a packet of undefined content.
func (w *writer) packet() []byte {
	if len(w.out)+packetSize > cap(w.out) {
		w.flush()
	}
	w.count++
	n := len(w.out)
	w.out = w.out[:n+packetSize]
	return w.out[n:]
}

// adaptation fills f with an adaptation field of exactly its length, which leaves room for the PCR when there is one.
func adaptation(f []byte, withPCR, key bool, pcr int64) {
	f[0] = byte(len(f) - 1)
	if len(f) == 1 {
		return
	}
	f[1] = 0
	if key {
		f[1] |= 0x40 // random_access_indicator
	}
	stuffing := f[2:]
	if withPCR {
		f[1] |= 0x10
		base := uint64(pcr) & (1<<33 - 1)
		binary.BigEndian.PutUint32(f[2:], uint32(base>>1))
		f[6], f[7] = byte(base<<7)|0x7e, 0 // reserved bits, extension 0
		stuffing = f[8:]
	}
	for i := range stuffing {
		stuffing[i] = 0xff
	}
}

// pcrOnly writes a packet that holds a PCR and no payload, and so does not count.
func (w *writer) pcrOnly(s *stream, pcr int64) {
	p := w.packet()
	p[0], p[1], p[2] = 0x47, byte(s.pid>>8), byte(s.pid)
	p[3] = 0x20 | byte(s.packets-1)&0x0f // the counter of the packet before
	adaptation(p[4:], true, false, pcr)
}

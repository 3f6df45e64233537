package mpegts

import (
	"encoding/binary"
	"fmt"

	"headwater/packager/cmaf"
)

// Annex B start code, and the access unit delimiters that HLS wants first: any picture type (ITU-T H.264 7.3.2.4, H.265
// 7.3.2.5).
const (
	startCode     = "\x00\x00\x00\x01"
	delimiterH264 = startCode + "\x09\xf0"
	delimiterHEVC = startCode + "\x46\x01\x50"
)

// unit writes the next access unit of s, or its next audio frames, as one PES packet.
func (w *writer) unit(s *stream, withPCR bool) error {
	if s.isVideo() {
		return w.picture(s, withPCR)
	}
	return w.frames(s, withPCR)
}

// picture writes one video access unit: delimiter, parameter sets before a key picture, then the stored NAL units
// without delimiters and filler.
func (w *writer) picture(s *stream, withPCR bool) error {
	a := &s.accesses[s.next]
	s.next++
	w.nals = w.nals[:0]
	key, own := a.sync, false
	for b := a.data; len(b) > 0; {
		if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
			return fmt.Errorf("%w: NAL unit exceeds its sample", cmaf.ErrMalformed)
		}
		n := int(binary.BigEndian.Uint32(b))
		nal := b[4 : 4+n]
		b = b[4+n:]
		if n == 0 {
			continue
		}
		kind := s.nalKind(nal[0])
		switch kind {
		case nalDropped:
			continue
		case nalKey:
			key = true
		case nalParameters:
			own = true
		}
		w.nals = append(w.nals, nal)
	}
	if s.streamType == typeHEVC {
		w.begin(a, 0xe0, delimiterHEVC)
	} else {
		w.begin(a, 0xe0, delimiterH264)
	}
	if key && !own {
		for _, set := range s.parameters {
			w.pieces = append(w.pieces, w.code, set)
		}
	}
	for _, nal := range w.nals {
		w.pieces = append(w.pieces, w.code, nal)
	}
	w.pes(s, withPCR, key, a.dts-pcrLead)
	return nil
}

// nalKind is what a NAL unit means to the writer.
type nalKind uint8

const (
	nalOther nalKind = iota
	nalKey
	nalParameters
	nalDropped
)

// nalKind classifies a NAL unit by the first byte of its header (ITU-T H.264 table 7-1, H.265 table 7-1).
func (s *stream) nalKind(first byte) nalKind {
	if s.streamType == typeHEVC {
		switch kind := first >> 1 & 0x3f; {
		case kind >= 16 && kind <= 23: // IRAP
			return nalKey
		case kind == 33: // SPS
			return nalParameters
		case kind == 35 || kind == 38: // delimiter, filler
			return nalDropped
		}
		return nalOther
	}
	switch first & 0x1f {
	case 5: // IDR
		return nalKey
	case 7: // SPS
		return nalParameters
	case 9, 12: // delimiter, filler
		return nalDropped
	}
	return nalOther
}

// frames writes as many audio frames as fit one PES packet; their time follows from the first one's.
func (w *writer) frames(s *stream, withPCR bool) error {
	first := &s.accesses[s.next]
	last, bytes := s.next, 0
	for last < len(s.accesses) {
		a := &s.accesses[last]
		if last > s.next && (a.end-first.dts > maxPESTicks || bytes+len(a.data) > maxPESBytes || !s.contiguous(last)) {
			break
		}
		bytes += len(a.data) + len(s.adts)
		last++
	}
	id := byte(0xbd) // private stream 1
	if s.streamType == typeAAC {
		id = 0xc0
	}
	w.begin(first, id, "")
	w.headers = w.headers[:0]
	if need := (last - s.next) * len(s.adts); cap(w.headers) < need {
		w.headers = make([]byte, 0, 2*need) // growing it later would leave pieces behind
	}
	for _, a := range s.accesses[s.next:last] {
		if s.streamType == typeAAC {
			size := len(a.data) + len(s.adts)
			if size >= 1<<13 {
				return fmt.Errorf("%w: AAC frame of %d bytes", cmaf.ErrMalformed, len(a.data))
			}
			from := len(w.headers)
			w.headers = append(w.headers, s.adts[:]...)
			h := w.headers[from:]
			h[3] |= byte(size >> 11)
			h[4] = byte(size >> 3)
			h[5] |= byte(size << 5)
			w.pieces = append(w.pieces, h)
		}
		w.pieces = append(w.pieces, a.data)
	}
	s.next = last
	w.pes(s, withPCR, true, first.dts-pcrLead)
	return nil
}

// contiguous reports whether access i begins within a millisecond of the end of the one before it. After a hole a PES
// packet must begin, because only its first frame has a time stamp.
func (s *stream) contiguous(i int) bool {
	hole := s.accesses[i].dts - s.accesses[i-1].end
	return -clock/1000 <= hole && hole <= clock/1000
}

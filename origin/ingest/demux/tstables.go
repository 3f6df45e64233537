package demux

import "bytes"

// section collects the packets of one table that is a single section, as those of a PAT or PMT are.
type section struct {
	table   byte     // table_id
	packets [][]byte // of the section that is being collected, or of the last
	data    []byte
	need    int    // bytes of the section that is being collected; 0: none is
	last    []byte // the last whole one
}

// add takes a packet and reports whether a section is whole that differs from the one before (ISO/IEC 13818-1 2.4.4).
func (s *section) add(p []byte) bool {
	b := payloadOf(p)
	if len(b) == 0 {
		return false
	}
	switch {
	case p[1]&0x40 != 0: // payload_unit_start_indicator
		s.need = 0
		if b = b[min(1+int(b[0]), len(b)):]; len(b) < 8 || b[0] != s.table || b[5]&1 == 0 { // not yet in force
			return false
		}
		s.need = 3 + (int(b[1]&0x0f)<<8 | int(b[2]))
		s.packets, s.data = nil, nil
	case s.need == 0:
		return false
	}
	s.packets = append(s.packets, bytes.Clone(p))
	if s.data = append(s.data, b...); len(s.data) < s.need {
		return false
	}
	whole := s.data[:s.need]
	s.need = 0
	if bytes.Equal(whole, s.last) {
		return false
	}
	s.last = whole
	return true
}

// mapPID returns the PID of the PMT of the first programme of a PAT, 0 when it has none.
func mapPID(pat []byte) uint16 {
	for i := 8; i+8 <= len(pat); i += 4 { // the last four bytes are the CRC
		if pat[i] != 0 || pat[i+1] != 0 {
			return uint16(pat[i+2]&0x1f)<<8 | uint16(pat[i+3])
		}
	}
	return 0
}

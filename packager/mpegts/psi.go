package mpegts

import "encoding/binary"

// tables writes the program association and the program map (ISO/IEC 13818-1 2.4.4), one packet each.
func (w *writer) tables(counter uint8, streams []stream, pcrPID uint16) {
	be := binary.BigEndian
	// table_id, length, transport_stream_id 1, version 0 and current, section 0 of 0.
	pat := []byte{0x00, 0xb0, 0, 0, 1, 0xc1, 0, 0}
	pat = be.AppendUint16(pat, program)
	pat = be.AppendUint16(pat, 0xe000|pidPMT)
	w.section(pidPAT, counter, pat)

	pmt := []byte{0x02, 0xb0, 0, 0, program, 0xc1, 0, 0}
	pmt = be.AppendUint16(pmt, 0xe000|pcrPID)
	pmt = be.AppendUint16(pmt, 0xf000) // no program descriptors
	for i := range streams {
		s := &streams[i]
		var d []byte
		if s.registration != "" {
			d = append(append(d, 0x05, byte(len(s.registration))), s.registration...)
		}
		if isISO639(s.language) {
			d = append(append(d, 0x0a, 4), s.language...)
			d = append(d, 0) // audio_type undefined
		}
		pmt = append(pmt, s.streamType)
		pmt = be.AppendUint16(pmt, 0xe000|s.pid)
		pmt = be.AppendUint16(pmt, 0xf000|uint16(len(d)))
		pmt = append(pmt, d...)
	}
	w.section(pidPMT, counter, pmt)
}

// isISO639 reports whether an ISO 639 language descriptor can hold the language: three small letters.
func isISO639(language string) bool {
	if len(language) != 3 {
		return false
	}
	for i := range 3 {
		if language[i] < 'a' || language[i] > 'z' {
			return false
		}
	}
	return true
}

// section writes a section, whose length and checksum are still to be filled in, as one packet.
func (w *writer) section(pid uint16, counter uint8, b []byte) {
	binary.BigEndian.PutUint16(b[1:], 0xb000|uint16(len(b)-3+4))
	b = binary.BigEndian.AppendUint32(b, checksum(b))
	p := w.packet()
	p[0], p[1], p[2], p[3] = 0x47, 0x40|byte(pid>>8), byte(pid), 0x10|counter
	p[4] = 0 // pointer_field
	n := copy(p[5:], b)
	for i := 5 + n; i < packetSize; i++ {
		p[i] = 0xff
	}
}

// checksum returns the CRC-32 of ISO/IEC 13818-1 annex A.
func checksum(b []byte) uint32 {
	crc := uint32(0xffffffff)
	for _, c := range b {
		crc ^= uint32(c) << 24
		for range 8 {
			if crc&0x80000000 != 0 {
				crc = crc<<1 ^ 0x04c11db7
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

package demux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"

	"github.com/asticode/go-astits"

	"headwater/packager/media"
)

// The clock of MPEG-TS (ISO/IEC 13818-1 2.4.3.7).
const (
	clockRate   = 90000
	clockPeriod = 1 << 33
)

const (
	packetSize = 188
	syncByte   = 0x47
	maxJump    = 10 * clockRate // longest step between two access units of one segment
	maxTables  = 64             // packets of PAT and PMT that are looked at
)

// ReadTS reads one whole HLS segment in MPEG-TS and returns one Fragment for each elementary stream that can be packaged,
// in the order of the PMT. Garbage between packets is skipped; packets and frames that are missing are counted in
// Fragment.Lost.
//
// It returns ErrTruncated when the body ends inside a packet, ErrMalformed (no programme, no sync sample, times that
// jump), ErrNoInit when the video carries no parameter sets, ErrUnsupported when no stream or none of the audio can be
// packaged or the packets are scrambled, ErrTooLarge, or the error of the underlying reader.
func ReadTS(r io.Reader, lim Limits) ([]Fragment, error) {
	b, err := io.ReadAll(io.LimitReader(r, lim.Fragment+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%w: the body ends at %d", ErrTruncated, len(b))
	case err != nil:
		return nil, fmt.Errorf("reading MPEG-TS: %w", err)
	}
	return ParseTS(b, lim)
}

// ParseTS is ReadTS of a segment that is in memory.
func ParseTS(b []byte, lim Limits) (out []Fragment, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("%w: MPEG-TS: %v", ErrMalformed, p)
		}
	}()
	if int64(len(b)) > lim.Fragment {
		return nil, fmt.Errorf("%w: MPEG-TS segment of more than %d bytes", ErrTooLarge, lim.Fragment)
	}
	packets, err := alignPackets(b)
	if err != nil {
		return nil, err
	}
	streams, err := readTables(packets)
	if err != nil {
		return nil, err
	}
	if err := refuseSilence(streams); err != nil {
		return nil, err
	}
	if err := readPES(packets, streams); err != nil {
		return nil, err
	}
	count := map[media.Kind]int{}
	var ignored []string
	for _, s := range streams {
		if s.codec == noCodec {
			ignored = append(ignored, fmt.Sprintf("PID %d: %s", s.pid, s.name()))
		}
		if s.codec == noCodec || len(s.units) == 0 {
			continue
		}
		f, err := s.fragment(lim)
		if err != nil {
			return nil, fmt.Errorf("MPEG-TS, PID %d: %w", s.pid, err)
		}
		if f == nil {
			continue
		}
		f.Track.Index = count[f.Track.Kind]
		count[f.Track.Kind]++
		out = append(out, *f)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: MPEG-TS without H.264, HEVC, AAC, AC-3 or E-AC-3", ErrUnsupported)
	}
	out[0].Ignored = ignored
	for i := range out {
		if out[i].Track.Kind == media.Video {
			reachAudio(&out[i], out)
		}
	}
	return out, nil
}

// alignPackets returns the packets of b. What does not lie between sync bytes is skipped, a packet whose sync byte alone
// is damaged between good ones is kept, and one that lacks bytes is marked as damaged.
func alignPackets(b []byte) ([][]byte, error) {
	var out [][]byte
	sync := func(i int) bool { return i == len(b) || i < len(b) && b[i] == syncByte }
	aligned := false // b[:i] ends with a packet
	for i := 0; i < len(b); {
		here, next := b[i] == syncByte, sync(i+packetSize)
		switch {
		case here && aligned && i+packetSize > len(b):
			return nil, fmt.Errorf("%w: the body ends in an MPEG-TS packet, at %d", ErrTruncated, len(b))
		case here && aligned && !next && torn(b[i:min(len(b), i+tornReach)]) > 0:
			p := bytes.Clone(b[i : i+packetSize])
			p[1] |= transportError
			out, i = append(out, p), i+torn(b[i:min(len(b), i+tornReach)])
		case here && (aligned || next),
			aligned && next && sync(i+2*packetSize): // the sync byte alone is damaged
			out = append(out, b[i:i+packetSize])
			i, aligned = i+packetSize, true
		default:
			aligned = false
			if n := bytes.IndexByte(b[i+1:], syncByte); n >= 0 {
				i += 1 + n
			} else {
				i = len(b)
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no MPEG-TS packets", ErrMalformed)
	}
	return out, nil
}

// transportError is the transport_error_indicator in the second byte of a packet: not all of the packet is as it was sent.
const transportError = 0x80

// tornReach is how many bytes tell that a packet lacks some: its own and the sync bytes of the two packets that may begin in it
// and after that.
const tornReach = 3*packetSize + 1

// torn returns where in b[1:packetSize] the next packet begins, where b begins with a packet that no sync byte follows: bytes of
// it are missing. It is 0 when the packet is whole and what follows it is not.
func torn(b []byte) int {
	sync := func(i int) bool { return i == len(b) || i < len(b) && b[i] == syncByte }
	for i := 1; i < packetSize; i++ {
		if i+packetSize <= len(b) && sync(i) && sync(i+packetSize) && sync(i+2*packetSize) {
			return i
		}
	}
	return 0
}

func pidOf(p []byte) uint16 { return uint16(p[1]&0x1f)<<8 | uint16(p[2]) }

// readTables finds the first programme and its streams (ISO/IEC 13818-1 2.4.4). The table parser gets only the packets of
// the tables, and few of them: its cost grows with the square of a payload.
func readTables(packets [][]byte) ([]*stream, error) {
	var pat *astits.PATData
	parseTables(packets, map[uint16]bool{astits.PIDPAT: true}, func(d *astits.DemuxerData) bool {
		pat = d.PAT
		return pat != nil
	})
	if pat == nil {
		return nil, fmt.Errorf("%w: MPEG-TS without PAT", ErrMalformed)
	}
	var pid uint16
	for _, p := range pat.Programs {
		if p.ProgramNumber != 0 {
			pid = p.ProgramMapID
			break
		}
	}
	var pmt *astits.PMTData
	parseTables(packets, map[uint16]bool{astits.PIDPAT: true, pid: true}, func(d *astits.DemuxerData) bool {
		if d.PID == pid {
			pmt = d.PMT
		}
		return pmt != nil
	})
	if pmt == nil {
		return nil, fmt.Errorf("%w: MPEG-TS without PMT", ErrMalformed)
	}
	var out []*stream
	known := map[uint16]bool{}
	for _, es := range pmt.ElementaryStreams {
		if !known[es.ElementaryPID] {
			known[es.ElementaryPID] = true
			out = append(out, newStream(es))
		}
	}
	return out, nil
}

func parseTables(packets [][]byte, pids map[uint16]bool, found func(*astits.DemuxerData) bool) {
	var in bytes.Buffer
	left := maxTables
	for _, p := range packets {
		if left > 0 && pids[pidOf(p)] {
			in.WriteByte(syncByte)
			in.Write(p[1:])
			left--
		}
	}
	dmx := astits.NewDemuxer(context.Background(), &in, astits.DemuxerOptPacketSize(packetSize),
		astits.DemuxerOptLogger(log.New(io.Discard, "", 0)))
	for range 4 * maxTables {
		d, err := dmx.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) || err == nil && found(d) {
			return
		}
	}
}

// codec is the coding of an elementary stream.
type codec uint8

const (
	noCodec codec = iota
	h264
	h265
	aacADTS
	ac3
	eac3
)

// stream collects one elementary stream.
type stream struct {
	pid      uint16
	codec    codec
	refused  string // what the stream is, where it is audio that cannot be packaged
	kind     astits.StreamType
	language string // three letters, empty when not given
	roles    media.Roles
	units    []unit
	lost     int

	cc      int    // last continuity counter, -1 before the first
	before  []byte // payload of the packet that had it
	open    []byte // the PES packet that is being collected
	damaged bool
}

// unit is the payload of a PES packet. Times are as received, 33 bits, -1 when missing.
type unit struct {
	pts, dts int64
	data     []byte
}

// Stream types (ISO/IEC 13818-1 table 2-34, ATSC A/53 for 0x81 and 0x87) and the descriptors that tell what a private
// stream is (ETSI EN 300 468).
func newStream(es *astits.PMTElementaryStream) *stream {
	s := &stream{pid: es.ElementaryPID, kind: es.StreamType, cc: -1}
	switch es.StreamType {
	case 0x1b:
		s.codec = h264
	case 0x24:
		s.codec = h265
	case 0x0f:
		s.codec = aacADTS
	case 0x81:
		s.codec = ac3
	case 0x87:
		s.codec = eac3
	case 0x03, 0x04:
		s.refused = "MPEG-1 or MPEG-2 audio"
	case 0x11:
		s.refused = "AAC in LATM"
	}
	for _, d := range es.ElementaryStreamDescriptors {
		if d == nil {
			continue
		}
		if l := d.ISO639LanguageAndAudioType; l != nil && len(l.Language) >= 3 { // more with two languages: the first is of the left channel
			s.language, s.roles = string(l.Language[:3]), audioRoles(l.Type)
		}
		if es.StreamType != 0x06 {
			continue
		}
		switch {
		case d.Tag == 0x6a, d.Registration != nil && d.Registration.FormatIdentifier == 0x41432d33: // AC-3
			s.codec = ac3
		case d.Tag == 0x7a, d.Registration != nil && d.Registration.FormatIdentifier == 0x45414333: // EAC3
			s.codec = eac3
		case d.Registration != nil && d.Registration.FormatIdentifier == 0x48455643: // HEVC
			s.codec = h265
		}
	}
	return s
}

// refuseSilence refuses a programme that would lose all its sound, which nobody would be told of otherwise.
func refuseSilence(streams []*stream) error {
	var refused *stream
	for _, s := range streams {
		switch s.codec {
		case aacADTS, ac3, eac3:
			return nil
		}
		if s.refused != "" {
			refused = s
		}
	}
	if refused == nil {
		return nil
	}
	return fmt.Errorf("%w: %s on PID %d: audio has to be AAC in ADTS, AC-3 or E-AC-3", ErrUnsupported, refused.refused, refused.pid)
}

// name returns what people call a stream that is not packaged.
func (s *stream) name() string {
	switch s.kind {
	case 0x01, 0x02:
		return "MPEG-2 video"
	case 0x05, 0x06:
		return "private data"
	case 0x15:
		return "timed metadata"
	case 0x86:
		return "SCTE-35"
	}
	if s.refused != "" {
		return s.refused
	}
	return fmt.Sprintf("stream type %#02x", uint8(s.kind))
}

// readPES collects the PES packets of the streams.
func readPES(packets [][]byte, streams []*stream) error {
	byPID := map[uint16]*stream{}
	for _, s := range streams {
		if s.codec != noCodec {
			byPID[s.pid] = s
		}
	}
	for _, p := range packets {
		if s := byPID[pidOf(p)]; s != nil {
			if err := s.packet(p); err != nil {
				return err
			}
		}
	}
	for _, s := range streams {
		if err := s.close(); err != nil {
			return err
		}
	}
	return nil
}

// packet takes one transport packet (ISO/IEC 13818-1 2.4.3.2).
func (s *stream) packet(p []byte) error {
	if p[1]&transportError != 0 { // that it is missing shows in the counter, unless it is the last
		s.damaged = true
		return nil
	}
	if p[3]&0x10 == 0 { // no payload
		return nil
	}
	if p[3]&0xc0 != 0 {
		return fmt.Errorf("%w: scrambled MPEG-TS packets on PID %d", ErrUnsupported, s.pid)
	}
	payload, jump := p[4:], false
	if p[3]&0x20 != 0 { // adaptation field
		n := int(p[4])
		if n > packetSize-5 {
			s.lost++
			return nil
		}
		jump = n > 0 && p[5]&0x80 != 0
		payload = p[5+n:]
	}
	cc := int(p[3] & 0x0f)
	switch {
	case s.cc >= 0 && !jump && cc == s.cc && bytes.Equal(payload, s.before):
		return nil // sent twice
	case s.cc >= 0 && !jump && cc != (s.cc+1)&0x0f:
		s.lost++
		if s.complete() { // what is missing came after it
			if err := s.close(); err != nil {
				return err
			}
		}
		s.damaged = true
	}
	s.cc, s.before = cc, append(s.before[:0], payload...)
	if p[1]&0x40 != 0 { // payload_unit_start_indicator
		if err := s.close(); err != nil {
			return err
		}
		s.open = make([]byte, 0, 4<<10)
	}
	if s.open != nil {
		s.open = append(s.open, payload...)
	}
	return nil
}

// complete reports whether the open PES packet has as many bytes as it says.
func (s *stream) complete() bool {
	if len(s.open) < 6 {
		return false
	}
	n := int(s.open[4])<<8 | int(s.open[5])
	return n > 0 && len(s.open) >= 6+n
}

// close ends the open PES packet and keeps its payload (ISO/IEC 13818-1 2.4.3.6). One with missing packets is dropped.
func (s *stream) close() error {
	b, damaged := s.open, s.damaged
	s.open, s.damaged = nil, false
	if b == nil {
		return nil
	}
	if damaged || len(b) < 9 || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[6]&0xc0 != 0x80 || 9+int(b[8]) > len(b) {
		s.lost++
		return nil
	}
	if b[6]&0x30 != 0 {
		return fmt.Errorf("%w: scrambled PES packets on PID %d", ErrUnsupported, s.pid)
	}
	if n := int(b[4])<<8 | int(b[5]); n > 0 {
		if 6+n > len(b) || n < 3+int(b[8]) {
			s.lost++
			return nil
		}
		b = b[:6+n]
	}
	u := unit{pts: -1, dts: -1, data: b[9+int(b[8]):]}
	if b[7]&0x80 != 0 && b[8] >= 5 {
		u.pts = timestamp(b[9:])
		u.dts = u.pts
	}
	if b[7]&0xc0 == 0xc0 && b[8] >= 10 {
		u.dts = timestamp(b[14:])
	}
	s.units = append(s.units, u)
	return nil
}

func timestamp(b []byte) int64 {
	return int64(b[0])>>1&7<<30 | int64(b[1])<<22 | int64(b[2])>>1<<15 | int64(b[3])<<7 | int64(b[4])>>1
}

// unwrap returns the time nearest to near that equals t on the 33-bit clock.
func unwrap(t, near int64) int64 {
	d := (t - near) & (clockPeriod - 1)
	if d >= clockPeriod/2 {
		d -= clockPeriod
	}
	return near + d
}

func (s *stream) fragment(lim Limits) (*Fragment, error) {
	if s.codec == h264 || s.codec == h265 {
		return s.video(lim)
	}
	return s.audio(lim)
}

// track returns the track of s with the configuration e.
func (s *stream) track(e entry, timescale uint32) *Track {
	h := header{timescale: timescale, language: packLanguage(s.language)}
	return &Track{
		Source: uint32(s.pid), Kind: e.kind, Timescale: timescale, Language: languageTag(s.language), Roles: s.roles,
		Bitrate: e.bitrate, Config: h.config(e),
	}
}

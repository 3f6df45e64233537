package demux

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"headwater/packager/media"
)

// Event is what MP4Reader.Next found: an initialization segment or a fragment, never both.
type Event struct {
	Init     *Init
	Fragment *Fragment

	// Of a fragment: what the last styp box (ISO/IEC 14496-12 8.16.2) before it said.
	First  bool // no other fragment of this track stands between that styp and this one
	Last   bool // brand lmsg: the last segment of the track
	Brands []string
}

// MP4Reader reads a stream of boxes as encoders push it: header, segments, or both in any mixture, of any length. It holds
// a header or a moof at a time; media bytes pass through, unless a moof describes several tracks or scattered runs.
//
// It is not safe for concurrent use and starts no goroutine.
type MP4Reader struct {
	r   *bufio.Reader
	lim Limits
	pos int64 // of the next byte

	init   *Init
	ftyp   box
	live   box // LiveServerManifest
	tracks map[uint32]*trackState
	brands []string

	rest    int64   // bytes left of the open mdat; endless when it runs to the end of the body
	body    *data   // the fragment that was handed out with bytes in that mdat
	pending []Event // further fragments of a moof
	trafs   []traf  // of the last moof, waiting for its mdat
	moofs   bool    // a moof was read
	closing bool    // the last box was an mfra
	err     error

	budget Budget
	taken  int64 // bytes of budget
}

// trackState is what lasts over the fragments of a track in one upload.
type trackState struct {
	next    int64 // decode time at which the last fragment ended, for uploads without times
	shift   int32
	shifted bool
	seen    bool  // a fragment since the last styp
	ahead   int64 // of video: the largest Fragment.Reorder
}

const endless = math.MaxInt64

// NewMP4Reader returns a reader of r. init is the header sent before in another upload, nil when there was none.
func NewMP4Reader(r io.Reader, init *Init, lim Limits) *MP4Reader {
	return &MP4Reader{r: bufio.NewReaderSize(r, 16<<10), lim: lim, init: init, tracks: map[uint32]*trackState{}}
}

// Init returns the header in force, nil when there is none.
func (m *MP4Reader) Init() *Init { return m.init }

// Ended reports whether the last box was an mfra, which an encoder writes at the end of all (ISO/IEC 14496-12 8.8.9), also
// an empty one ([MS-SSTR] 3.3.5).
func (m *MP4Reader) Ended() bool { return m.closing }

// Position returns the number of bytes consumed.
func (m *MP4Reader) Position() int64 { return m.pos }

// Next returns the next header or fragment. What was left unread of the previous fragment is skipped. A header sent again
// unchanged is the same *Init as before.
//
// It returns io.EOF when the body ended between boxes, ErrTruncated when inside one, ErrMalformed, ErrTooLarge,
// ErrUnsupported, ErrNoInit when a fragment comes without its header, or the error of the underlying reader. After an
// error it returns that again.
func (m *MP4Reader) Next() (Event, error) {
	if m.err != nil {
		return Event{}, m.err
	}
	ev, err := m.next()
	if err != nil {
		m.err = err
		m.pending = nil
	}
	return ev, err
}

func (m *MP4Reader) next() (Event, error) {
	if len(m.pending) > 0 {
		ev := m.pending[0]
		m.pending = m.pending[1:]
		return ev, nil
	}
	if err := m.finish(); err != nil {
		return Event{}, err
	}
	for {
		m.give()
		h, err := m.header()
		if err != nil {
			return Event{}, err
		}
		m.closing = h.name == "mfra"
		switch h.name {
		case "ftyp", "styp", "moov", "moof", uuidBox:
			if h.name == uuidBox && !m.begins(uuidManifest, h) {
				if err := m.skip(h); err != nil {
					return Event{}, err
				}
				continue
			}
			b, err := m.hold(h)
			if err != nil {
				return Event{}, err
			}
			ev, err := m.handle(b)
			if err != nil || ev.Init != nil {
				return ev, err
			}
		case "mdat":
			if !m.moofs {
				return Event{}, fmt.Errorf("%w: mdat without moof, at %d", ErrMalformed, h.pos)
			}
			ev, err := m.mdat(h)
			if err != nil || ev.Fragment != nil {
				return ev, err
			}
		default:
			if err := m.skip(h); err != nil {
				return Event{}, err
			}
		}
	}
}

// boxHead is the header of a box in the stream.
type boxHead struct {
	name string
	pos  int64
	raw  []byte // 8 or 16 bytes
	body int64  // bytes that follow, endless for size 0
}

// header reads the next box header (ISO/IEC 14496-12 4.2.2).
func (m *MP4Reader) header() (h boxHead, err error) {
	h.pos, h.raw = m.pos, make([]byte, 8, 16)
	n, err := io.ReadFull(m.r, h.raw)
	m.pos += int64(n)
	if err == io.EOF && n == 0 {
		if m.trafs != nil {
			return h, fmt.Errorf("%w: moof without mdat, at %d", ErrTruncated, m.pos)
		}
		return h, io.EOF
	}
	if err != nil {
		return h, m.ended(err, "box header", h.pos)
	}
	h.name = string(h.raw[4:])
	for _, c := range h.raw[4:] {
		if c < 0x20 || c > 0x7e && c != 0xa9 { // the one other character that box types are made of
			return h, fmt.Errorf("%w: no box type but % x, at %d", ErrMalformed, h.raw[4:], h.pos)
		}
	}
	size := uint64(binary.BigEndian.Uint32(h.raw))
	switch size {
	case 0:
		h.body = endless
		return h, nil
	case 1:
		h.raw = h.raw[:16]
		n, err := io.ReadFull(m.r, h.raw[8:])
		m.pos += int64(n)
		if err != nil {
			return h, m.ended(err, h.name, h.pos)
		}
		size = binary.BigEndian.Uint64(h.raw[8:])
	}
	if size < uint64(len(h.raw)) || size > maxTicks {
		return h, fmt.Errorf("%w: box %q of size %d, at %d", ErrMalformed, h.name, size, h.pos)
	}
	h.body = int64(size) - int64(len(h.raw))
	return h, nil
}

// ended turns the end of the body inside a box into ErrTruncated; other errors pass.
func (m *MP4Reader) ended(err error, where string, pos int64) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the body ends in %s, at %d", ErrTruncated, where, m.pos)
	}
	return fmt.Errorf("reading %s at %d: %w", where, pos, err)
}

// hold reads a box whole. Memory grows with the bytes that arrive, not with the size that the box claims.
func (m *MP4Reader) hold(h boxHead) (box, error) {
	if h.body == endless {
		return box{}, fmt.Errorf("%w: box %q without size, at %d", ErrMalformed, h.name, h.pos)
	}
	if h.body > m.lim.Header {
		return box{}, fmt.Errorf("%w: box %q of %d bytes, at %d", ErrTooLarge, h.name, h.body, h.pos)
	}
	raw, err := m.read(h.raw, h.body, h)
	if err != nil {
		return box{}, err
	}
	return box{name: h.name, raw: raw, body: raw[len(h.raw):], pos: h.pos}, nil
}

// read appends n bytes to b.
func (m *MP4Reader) read(b []byte, n int64, h boxHead) ([]byte, error) {
	buf := bytes.NewBuffer(b)
	buf.Grow(int(min(n, 64<<10)))
	got, err := io.CopyN(buf, held{m}, n)
	m.pos += got
	if err != nil {
		return nil, m.ended(err, h.name, h.pos)
	}
	return buf.Bytes(), nil
}

// discard drops n bytes, or all when n is endless.
func (m *MP4Reader) discard(n int64, where string) error {
	if n == endless {
		got, err := io.Copy(io.Discard, m.r)
		m.pos += got
		if err != nil {
			return m.ended(err, where, m.pos)
		}
		return nil
	}
	got, err := io.CopyN(io.Discard, m.r, n)
	m.pos += got
	if err != nil {
		return m.ended(err, where, m.pos)
	}
	return nil
}

// begins reports whether the body of a uuid box is that of a user type.
func (m *MP4Reader) begins(t userType, h boxHead) bool {
	if h.body < int64(len(t)) {
		return false
	}
	got, _ := m.r.Peek(len(t))
	return bytes.Equal(got, t[:])
}

func (m *MP4Reader) skip(h boxHead) error {
	if h.body != endless && h.body > m.lim.Fragment {
		return fmt.Errorf("%w: box %q of %d bytes, at %d", ErrTooLarge, h.name, h.body, h.pos)
	}
	return m.discard(h.body, h.name)
}

func (m *MP4Reader) handle(b box) (Event, error) {
	switch b.name {
	case "ftyp":
		m.ftyp, m.live = b, box{}
	case uuidBox:
		m.live = b
	case "styp":
		m.brands = brandsOf(b.body)
		for _, t := range m.tracks {
			t.seen = false
		}
	case "moov":
		init, err := parseMoov(m.ftyp, m.live, b)
		if err != nil {
			return Event{}, err
		}
		if m.init == nil || !bytes.Equal(init.Raw, m.init.Raw) {
			m.init = init
			clear(m.tracks)
		}
		return Event{Init: m.init}, nil
	case "moof":
		if m.init == nil {
			return Event{}, fmt.Errorf("%w before moof at %d", ErrNoInit, b.pos)
		}
		if m.trafs != nil {
			return Event{}, b.malformed("the one before has no mdat")
		}
		m.moofs = true
		trafs, err := m.init.parseMoof(b, m.lim)
		if err != nil {
			return Event{}, err
		}
		for _, t := range trafs {
			if t.track != nil && len(t.samples) > 0 {
				m.trafs = append(m.trafs, t)
			}
		}
	}
	return Event{}, nil
}

// brandsOf returns the compatible brands of a styp or ftyp, and its major brand first.
func brandsOf(body []byte) []string {
	const most = 64
	var out []string
	for i := 0; i+4 <= len(body) && len(out) < most; i += 4 {
		if i != 4 { // minor_version
			out = append(out, string(body[i:i+4]))
		}
	}
	return out
}

// event makes the fragment of t: fills in a missing time and normalises composition.
func (m *MP4Reader) event(t *traf) (Event, error) {
	st := m.tracks[t.track.Source]
	if st == nil {
		st = &trackState{next: t.timing.shift}
		m.tracks[t.track.Source] = st
	}
	if !t.timed {
		t.time = st.next
	}
	st.next = t.time + t.duration()
	if !st.shifted {
		st.shift, st.shifted = t.composition()
	}
	f, err := t.fragment(st.shift)
	if err != nil {
		return Event{}, err
	}
	if t.track.Kind == media.Video {
		f.Reorder = st.reorder(f)
	}
	ev := Event{Fragment: f, First: !st.seen, Brands: m.brands}
	st.seen = true
	for _, b := range m.brands {
		ev.Last = ev.Last || b == "lmsg"
		f.Slate = f.Slate || b == "slat"
	}
	return ev, nil
}

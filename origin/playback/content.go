package playback

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"headwater/origin/reply"
	"headwater/packager/cmaf"
	"headwater/storage"
)

// content is the body of an answer: bytes from memory, stretches of stored objects and what is made on the way, end to end.
// It is read by one request at a time; send does not gather it.
type content struct {
	pieces []piece
	size   int64
	at     int64 // where Read and send go on
}

// piece is a stretch of content that begins at from: bytes, as many bytes of an object, or what a maker writes.
type piece struct {
	from   int64
	bytes  []byte
	object *storage.Object
	offset int64 // in object
	made   io.WriterTo
	size   int64
}

// addMade appends size bytes that are written when they are sent. Such content cannot be read, nor sent in parts.
func (c *content) addMade(made io.WriterTo, size int64) {
	c.pieces = append(c.pieces, piece{from: c.size, made: made, size: size})
	c.size += size
}

func (c *content) addBytes(b []byte) {
	c.pieces = append(c.pieces, piece{from: c.size, bytes: b, size: int64(len(b))})
	c.size += int64(len(b))
}

func (c *content) addObject(o *storage.Object, offset, size int64) {
	c.pieces = append(c.pieces, piece{from: c.size, object: o, offset: offset, size: size})
	c.size += size
}

// addSpan appends what lies in s of another content.
func (c *content) addSpan(of *content, s cmaf.Span) {
	for _, p := range of.overlapping(s) {
		if p.object == nil {
			c.addBytes(p.bytes)
			continue
		}
		c.addObject(p.object, p.offset, p.size)
	}
}

// overlapping returns the pieces that lie in s, cut to it.
func (c *content) overlapping(s cmaf.Span) (cut []piece) {
	i, _ := slices.BinarySearchFunc(c.pieces, s.From, func(p piece, at int64) int {
		if p.from+p.size <= at {
			return -1
		}
		return 1
	})
	for ; i < len(c.pieces) && c.pieces[i].from < s.From+s.Size; i++ {
		p := c.pieces[i]
		skip := max(0, s.From-p.from)
		p.size = min(p.size, s.From+s.Size-p.from) - skip
		p.from += skip
		switch {
		case p.object != nil:
			p.offset += skip
		case p.made == nil:
			p.bytes = p.bytes[skip : skip+p.size]
		}
		cut = append(cut, p)
	}
	return cut
}

// ReadAt implements io.ReaderAt.
func (c *content) ReadAt(b []byte, at int64) (n int, err error) {
	for _, p := range c.overlapping(cmaf.Span{From: at, Size: int64(len(b))}) {
		if p.made != nil {
			return n, errors.ErrUnsupported
		}
		if p.object == nil {
			n += copy(b[n:], p.bytes)
			continue
		}
		got, err := p.object.Body.ReadAt(b[n:n+int(p.size)], p.offset)
		n += got
		if int64(got) < p.size {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// Read implements io.Reader.
func (c *content) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := c.ReadAt(b, c.at)
	c.at += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Seek implements io.Seeker.
func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.at
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	c.at = offset
	return offset, nil
}

// send writes the next size bytes to w: files by sendfile where the connection can. What is made while it is sent can only
// be sent whole.
func (c *content) send(w http.ResponseWriter, size int64) (sent int64, err error) {
	to := newStrider(w)
	for _, p := range c.overlapping(cmaf.Span{From: c.at, Size: size}) {
		var n int64
		switch {
		case p.made != nil:
			n, err = p.made.WriteTo(to)
		case p.object == nil:
			var m int
			m, err = to.Write(p.bytes)
			n = int64(m)
		default:
			if _, err = p.object.Body.Seek(p.offset, io.SeekStart); err == nil {
				n, err = to.copy(p.object.Body, p.size)
			}
		}
		sent += n
		c.at += n
		if err != nil {
			break
		}
	}
	return sent, err
}

// A client that takes no stride of an answer within strideTimeout has stalled: it holds files open and memory, and would
// hold up the end of the server. There is no limit to how long it may take for all of them.
const (
	stride        = 256 << 10
	strideTimeout = time.Minute
)

// strider writes an answer a stride at a time.
type strider struct {
	w   http.ResponseWriter
	ctl *http.ResponseController
}

func newStrider(w http.ResponseWriter) *strider { return &strider{w, http.NewResponseController(w)} }

// begin gives the next stride its time. A writer without deadlines (in tests) has none to set.
func (s *strider) begin() { _ = s.ctl.SetWriteDeadline(time.Now().Add(strideTimeout)) }

// Write implements io.Writer.
func (s *strider) Write(b []byte) (written int, err error) {
	for err == nil && written < len(b) {
		s.begin()
		var n int
		n, err = s.w.Write(b[written:min(written+stride, len(b))])
		written += n
	}
	return written, err
}

// copy writes size bytes of r.
func (s *strider) copy(r io.Reader, size int64) (written int64, err error) {
	for err == nil && written < size {
		s.begin()
		var n int64
		n, err = io.CopyN(s.w, r, min(stride, size-written))
		written += n
	}
	return written, err
}

// sender is a ResponseWriter for http.ServeContent: what that copies from content, content sends itself, and what it refuses is
// answered as everywhere.
type sender struct {
	http.ResponseWriter
	request *http.Request
	content *content
	refused bool
	err     error // the first one
}

// WriteHeader implements http.ResponseWriter.
func (s *sender) WriteHeader(status int) {
	var err error
	switch status {
	case http.StatusRequestedRangeNotSatisfiable:
		err = fmt.Errorf("%w: %q of %d bytes", reply.ErrRange, s.request.Header.Get("Range"), s.content.size)
	case http.StatusPreconditionFailed:
		err = reply.ErrPrecondition
	default:
		s.ResponseWriter.WriteHeader(status)
		return
	}
	s.refused = true
	reply.WriteError(s.ResponseWriter, s.request, err)
}

// Write implements http.ResponseWriter. It drops what http.ServeContent says of a refusal.
func (s *sender) Write(b []byte) (int, error) {
	if s.refused {
		return len(b), nil
	}
	return s.ResponseWriter.Write(b)
}

// ReadFrom implements io.ReaderFrom.
func (s *sender) ReadFrom(src io.Reader) (n int64, err error) {
	if limited, ok := src.(*io.LimitedReader); ok && limited.R == io.Reader(s.content) {
		n, err = s.content.send(s.ResponseWriter, limited.N)
		limited.N -= n
	} else { // several ranges
		n, err = io.Copy(newStrider(s.ResponseWriter), src)
	}
	if s.err == nil {
		s.err = err
	}
	return n, err
}

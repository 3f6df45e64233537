package playback

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"headwater/packager/cmaf"
	"headwater/storage"
)

// content is the body of an answer: bytes from memory and stretches of stored objects, end to end. It is read by one
// request at a time; serve sends it without gathering it.
type content struct {
	pieces []piece
	size   int64
	at     int64 // where Read and send go on
}

// piece is a stretch of content that begins at from: bytes, or as many bytes of an object.
type piece struct {
	from   int64
	bytes  []byte
	object *storage.Object
	offset int64 // in object
	size   int64
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
		if p.object != nil {
			p.offset += skip
		} else {
			p.bytes = p.bytes[skip : skip+p.size]
		}
		cut = append(cut, p)
	}
	return cut
}

// ReadAt implements io.ReaderAt.
func (c *content) ReadAt(b []byte, at int64) (n int, err error) {
	for _, p := range c.overlapping(cmaf.Span{From: at, Size: int64(len(b))}) {
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

// A client that takes no stride of an answer within strideTimeout has stalled: it holds files open and memory, and would
// hold up the end of the server. There is no limit to how long it may take for all of them.
const (
	stride        = 256 << 10
	strideTimeout = time.Minute
)

// send writes the next size bytes to w, a stride at a time.
func (c *content) send(w http.ResponseWriter, size int64) (sent int64, err error) {
	ctl := http.NewResponseController(w)
	for sent < size && err == nil {
		// A writer without deadlines (in tests) has none to set.
		_ = ctl.SetWriteDeadline(time.Now().Add(strideTimeout))
		var n int64
		n, err = c.sendStride(w, min(stride, size-sent))
		if sent += n; n == 0 {
			break // size is more than there is
		}
	}
	return sent, err
}

// sendStride writes the next size bytes to w: memory in one piece, files by sendfile where the connection can.
func (c *content) sendStride(w io.Writer, size int64) (sent int64, err error) {
	for _, p := range c.overlapping(cmaf.Span{From: c.at, Size: size}) {
		var n int64
		if p.object == nil {
			var m int
			m, err = w.Write(p.bytes)
			n = int64(m)
		} else if _, err = p.object.Body.Seek(p.offset, io.SeekStart); err == nil {
			n, err = io.CopyN(w, p.object.Body, p.size)
		}
		sent += n
		c.at += n
		if err != nil {
			break
		}
	}
	return sent, err
}

// sender is a ResponseWriter for http.ServeContent: what that copies from content, content sends itself.
type sender struct {
	http.ResponseWriter
	content *content
	err     error // the first one
}

// ReadFrom implements io.ReaderFrom.
func (s *sender) ReadFrom(src io.Reader) (n int64, err error) {
	if limited, ok := src.(*io.LimitedReader); ok && limited.R == io.Reader(s.content) {
		n, err = s.content.send(s.ResponseWriter, limited.N)
		limited.N -= n
	} else { // several ranges
		n, err = io.Copy(struct{ io.Writer }{s.ResponseWriter}, src)
	}
	if s.err == nil {
		s.err = err
	}
	return n, err
}

package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"headwater/origin/access"
	"headwater/origin/channel"
	"headwater/origin/ingest/demux"
	"headwater/origin/reply"
)

// This file is where uploads become one that are pieces of a growing file: GStreamer's souphttpclientsink sends what its
// buffers hold, cut anywhere, each to the same URL, from the second on with a Content-Range (reference ingest.md 13). The
// first one, its header, has none and is a file like any other.

// maxJoined is how many growing files a channel may have at a time.
const maxJoined = 64

// joined is a growing file: an upload whose body is made of pieces.
type joined struct {
	mu   sync.Mutex // held by the piece that is being added
	next int64      // offset of the piece that follows
	in   net.Conn   // where pieces go
	out  *pieceWriter
	done chan struct{} // closed when the upload has ended
}

// pieceWriter takes the answer of the upload that pieces make, and sets the deadlines of its body.
type pieceWriter struct {
	net.Conn // the other end of joined.in
	header   http.Header
	status   int
	body     bytes.Buffer
}

func (w *pieceWriter) Header() http.Header         { return w.header }
func (w *pieceWriter) WriteHeader(status int)      { w.status = status }
func (w *pieceWriter) Write(p []byte) (int, error) { return w.body.Write(p) }

// joining is the growing files of all channels.
type joining struct {
	mu   sync.Mutex
	open map[string]*joined // by channel, input and name
}

// piece receives a part of a growing file that begins at an offset.
func (h *Handler) piece(w http.ResponseWriter, r *http.Request, id channel.ID, by access.Door, name string) {
	from, to, err := contentRange(r.Header.Get("Content-Range"))
	if err == nil && r.ContentLength >= 0 && r.ContentLength != to-from+1 {
		err = fmt.Errorf("%w: Content-Range has %d bytes, the body %d", reply.ErrBadRequest, to-from+1, r.ContentLength)
	}
	if err != nil {
		h.refusePiece(w, r, id, by.Input, name, err)
		return
	}
	key := fmt.Sprintf("%s/%d/%s", id, by.Input, name)
	j, err := h.growing(r, id, by, name, key, from)
	if err != nil {
		h.refusePiece(w, r, id, by.Input, name, err)
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if from != j.next {
		h.refusePiece(w, r, id, by.Input, name, fmt.Errorf("%w: the piece begins at byte %d, the one before ended at %d", reply.ErrBadRequest, from, j.next))
		return
	}
	body := h.body(w, r, id)
	_ = j.in.SetWriteDeadline(time.Now().Add(body.idle))
	n, err := io.Copy(j.in, io.LimitReader(body, to-from+1))
	j.next += n
	switch {
	case n == to-from+1:
		w.WriteHeader(http.StatusOK)
	case err != nil && body.err == nil: // the upload has ended, or takes no more
		_ = j.in.Close()
		select {
		case <-j.done:
		case <-r.Context().Done():
			return
		}
		for name, values := range j.out.header {
			w.Header()[name] = values
		}
		w.WriteHeader(j.out.status)
		_, _ = w.Write(j.out.body.Bytes()) // a client that has left is nobody's error
	default:
		_ = j.in.Close()
		h.refusePiece(w, r, id, by.Input, name, errors.Join(fmt.Errorf("%w: %d of %d bytes of the piece", demux.ErrTruncated, n, to-from+1), err))
	}
}

func (h *Handler) refusePiece(w http.ResponseWriter, r *http.Request, id channel.ID, input int, name string, err error) {
	reason := reply.Describe(r.Context(), err).Reason
	h.seen.Rejected(id, reason)
	h.rejected(id, input, refusal(name, reason, err, h.opt.Now()))
	reply.WriteError(w, r, err)
}

// growing returns the growing file of key that a piece at an offset belongs to. Where none is, or another begins, it is
// opened, behind the header that came before under this name.
func (h *Handler) growing(r *http.Request, id channel.ID, by access.Door, name, key string, from int64) (*joined, error) {
	ctx := context.WithoutCancel(r.Context())
	t, err := h.intake(ctx, id)
	if err != nil {
		return nil, err
	}
	in, err := t.input(ctx, by.Input)
	if err != nil {
		return nil, err
	}
	h.joins.mu.Lock()
	defer h.joins.mu.Unlock()
	if have := h.joins.open[key]; have != nil {
		if from != 0 {
			return have, nil
		}
		_ = have.in.Close()
	}
	count := 0
	for k := range h.joins.open {
		if strings.HasPrefix(k, id.String()+"/") {
			count++
		}
	}
	if count >= maxJoined {
		return nil, fmt.Errorf("%w: more than %d growing files (Content-Range) of one channel", reply.ErrThrottled, maxJoined)
	}
	near, far := net.Pipe()
	j := &joined{next: from, in: near, out: &pieceWriter{Conn: far, header: http.Header{}, status: http.StatusOK}, done: make(chan struct{})}
	h.joins.open[key] = j
	whole := r.Clone(ctx)
	whole.Header.Del("Content-Range")
	whole.ContentLength, whole.TransferEncoding, whole.Body = -1, []string{"chunked"}, far
	if init := in.names.inited(name); init != nil && from > 0 {
		whole.Body = io.NopCloser(io.MultiReader(bytes.NewReader(init.Raw), far))
	}
	go func() {
		body := h.body(j.out, whole, id)
		body.gate = nil // which has counted the pieces
		h.upload(j.out, whole, id, by, name, body)
		_, _ = far.Close(), near.Close()
		h.joins.mu.Lock()
		if h.joins.open[key] == j {
			delete(h.joins.open, key)
		}
		h.joins.mu.Unlock()
		close(j.done)
	}()
	return j, nil
}

// contentRange parses "bytes 893-1792/*" (RFC 9110 14.4): offsets of the first and the last byte.
func contentRange(value string) (from, to int64, err error) {
	rest, ok := strings.CutPrefix(value, "bytes ")
	span, _, whole := strings.Cut(rest, "/")
	first, last, two := strings.Cut(span, "-")
	if ok && whole && two {
		from, err = strconv.ParseInt(first, 10, 64)
		if err == nil {
			to, err = strconv.ParseInt(last, 10, 64)
		}
	}
	if !ok || !whole || !two || err != nil || from < 0 || to < from || to == math.MaxInt64 {
		return 0, 0, fmt.Errorf("%w: Content-Range %q", reply.ErrBadRequest, value)
	}
	return from, to, nil
}

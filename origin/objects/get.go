package objects

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"headwater/origin/inflight"
	"headwater/origin/reply"
	"headwater/storage"
)

// get answers GetObject and DescribeObject.
func (h *Handler) get(w http.ResponseWriter, q *request) error {
	if growing, ok := h.opt.InFlight.Open(q.key()); ok {
		defer func() { _ = growing.Close() }() // what was read cannot be lost by it
		q.seen.Streaming = true
		if err := h.within(w, q, true); err != nil {
			return err
		}
		return h.follow(w, q, growing)
	}
	if err := h.within(w, q, false); err != nil {
		return err
	}
	obj, err := h.opt.Store.Open(q.Context(), q.key())
	if err != nil {
		return err
	}
	defer obj.Body.Close()
	q.seen.of(q.container, obj.Info)
	if err := h.expired(q, obj.Info); err != nil {
		return err
	}
	describe(w.Header(), obj.Attrs, obj.Modified)
	if h.opt.Conditional && notModified(q.Header, obj.Info) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	r := q.unconditional()
	if spec := q.Header.Get("Range"); q.op == GetObject && single(spec) {
		if beyond(spec, obj.Size) {
			w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(obj.Size, 10))
			return fmt.Errorf("%w: %s of %d bytes", reply.ErrRange, spec, obj.Size)
		}
		r.Header.Set("Range", spec)
	}
	http.ServeContent(w, r, "", time.Time{}, obj.Body)
	return nil
}

// describe sets the headers that say what an object is. The ETag is bare, as MediaStore sent it (reference 1.3).
func describe(h http.Header, a storage.Attrs, modified time.Time) {
	kind := a.ContentType
	if kind == "" {
		kind = "application/octet-stream" // a gap of the reference
	}
	h["Content-Type"] = []string{kind}
	h["Etag"] = []string{a.ETag}
	h["Last-Modified"] = []string{modified.UTC().Format(http.TimeFormat)}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	h["Accept-Ranges"] = []string{"bytes"}
	if a.CacheControl != "" {
		h["Cache-Control"] = []string{a.CacheControl}
	}
	if encoding := a.Meta[encodingMeta]; encoding != "" {
		h["Content-Encoding"] = []string{encoding}
	}
}

// unconditional returns the request without what net/http would make conditional or partial: MediaStore's answer to
// If-None-Match and the like was the object (reference 1.3).
func (q *request) unconditional() *http.Request {
	r := *q.Request
	r.Header = http.Header{}
	return &r
}

// notModified reports whether the client has the object already (RFC 9110, 13.2.2).
func notModified(h http.Header, info storage.Info) bool {
	if match := h.Get("If-None-Match"); match != "" {
		for tag := range strings.SplitSeq(match, ",") {
			tag = strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
			if tag == "*" || tag == info.Attrs.ETag {
				return true
			}
		}
		return false
	}
	since, err := http.ParseTime(h.Get("If-Modified-Since"))
	return err == nil && !info.Modified.Truncate(time.Second).After(since)
}

// single reports whether a Range is one range of the form that MediaStore's model has: a-b, a- or -n. Any other is ignored, as
// RFC 9110 (14.2) permits.
func single(spec string) bool {
	from, to, ok := strings.Cut(strings.TrimPrefix(spec, "bytes="), "-")
	if !ok || !strings.HasPrefix(spec, "bytes=") || from == "" && to == "" {
		return false
	}
	a, fromOK := number(from)
	b, toOK := number(to)
	return fromOK && toOK && (from == "" || to == "" || a <= b)
}

func number(s string) (n int64, ok bool) {
	if s == "" {
		return 0, true
	}
	if strings.ContainsFunc(s, func(c rune) bool { return c < '0' || c > '9' }) {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// beyond reports whether a range has no byte of an object.
func beyond(spec string, size int64) bool {
	from, to, _ := strings.Cut(strings.TrimPrefix(spec, "bytes="), "-")
	if from == "" {
		n, _ := number(to)
		return n == 0 || size == 0
	}
	n, _ := number(from)
	return n >= size
}

// slowReader is how long a reader that follows a writer may take for what it was sent.
const slowReader = 30 * time.Second

// follow sends an object that is still being written, from its first byte on, as it comes. A range is ignored then. When the
// writer gives up the answer breaks off, so that no cache takes it for whole.
func (h *Handler) follow(w http.ResponseWriter, q *request, growing *inflight.Reader) error {
	describe(w.Header(), growing.Attrs, h.opt.Now())
	w.Header().Del("Accept-Ranges")
	ctl := http.NewResponseController(w)
	if q.op == DescribeObject {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	for {
		n, err := growing.Read(q.Context(), *buf)
		if n > 0 {
			_ = ctl.SetWriteDeadline(time.Now().Add(slowReader))
			if _, err := w.Write((*buf)[:n]); err != nil {
				q.seen.ErrorCode = CodeClientGone
				panic(http.ErrAbortHandler)
			}
			_ = ctl.Flush()
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, inflight.ErrBroken):
			q.seen.ErrorCode = CodeIncomplete
			panic(http.ErrAbortHandler)
		default:
			q.seen.failed(err)
			panic(http.ErrAbortHandler)
		}
	}
}

package objects

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"headwater/origin/container"
	"headwater/origin/reply"
	"headwater/storage"
)

// temporal is the only storage class there is (reference 1.2).
const temporal = "TEMPORAL"

// encodingMeta is where a Content-Encoding is kept, which MediaStore's model does not have (a gap of the reference).
const encodingMeta = "content-encoding"

// stored is the answer to PutObject.
type stored struct{ ContentSHA256, ETag, StorageClass string }

// put stores the body as an object: all of it or nothing. It is complete with its last byte: ffmpeg does not wait for an
// answer (reference 1.11).
func (h *Handler) put(w http.ResponseWriter, q *request) error {
	attrs, streaming, err := attributes(q.Header)
	if err != nil {
		return err
	}
	q.seen.Streaming = streaming
	if err := h.within(w, q, streaming); err != nil {
		return err
	}
	limit := h.opt.MaxObject
	if streaming {
		limit = h.opt.MaxStreaming
	}
	if q.ContentLength > limit {
		return fmt.Errorf("%w: %d bytes, at most %d are taken", reply.ErrTooLarge, q.ContentLength, limit)
	}
	if err := h.free(q); err != nil {
		return err
	}
	upload, err := h.opt.Store.Create(q.Context(), q.key(), attrs)
	if err != nil {
		return err
	}
	if streaming {
		upload = h.opt.InFlight.Begin(q.key(), attrs, upload)
	}
	defer upload.Abort() // after Commit it does nothing
	digest, err := h.copy(upload, q, w, limit)
	if err != nil {
		return err
	}
	if q.requester.Digest != "" && q.requester.Digest != digest {
		return fmt.Errorf("%w: the body has not the SHA-256 that was signed", container.ErrInvalid)
	}
	ctx := context.WithoutCancel(q.Context())
	info, err := upload.Commit(ctx)
	if err != nil {
		return err
	}
	q.seen.of(q.container, info)
	if !h.opt.Exists(q.container) {
		return errors.Join(container.ErrNotFound, h.opt.Store.Delete(ctx, q.key()))
	}
	if h.opt.Observer != nil {
		h.opt.Observer.Committed(q.container, q.path, func() (*storage.Object, error) { return h.opt.Store.Open(ctx, q.key()) })
	}
	answer, err := json.Marshal(stored{digest, attrs.ETag, temporal})
	if err != nil {
		return err
	}
	w.Header()["Content-Type"] = []string{"application/json"}
	_, _ = w.Write(answer) // the client may have gone; the object stays
	return nil
}

// attributes reads what is to be kept of an object's headers, and whether it is to be read while it is written.
func attributes(h http.Header) (a storage.Attrs, streaming bool, err error) {
	if class := h.Get("X-Amz-Storage-Class"); class != "" && class != temporal {
		return a, false, fmt.Errorf("%w: x-amz-storage-class is %s", container.ErrInvalid, temporal)
	}
	switch availability := h.Get("X-Amz-Upload-Availability"); strings.ToUpper(availability) {
	case "", "STANDARD":
	case "STREAMING": // with a Content-Length too, which is a gap of the reference
		streaming = true
	default:
		return a, false, fmt.Errorf("%w: x-amz-upload-availability is STANDARD or STREAMING", container.ErrInvalid)
	}
	a.ContentType, a.CacheControl = h.Get("Content-Type"), h.Get("Cache-Control")
	if len(a.ContentType) > 255 || strings.ContainsFunc(a.ContentType, unprintable) {
		return a, false, fmt.Errorf("%w: Content-Type has at most 255 characters of ASCII", container.ErrInvalid)
	}
	if strings.ContainsFunc(a.CacheControl, unprintable) {
		return a, false, fmt.Errorf("%w: Cache-Control is of ASCII", container.ErrInvalid)
	}
	if encoding := h.Get("Content-Encoding"); encoding != "" && encoding != "aws-chunked" {
		if len(encoding) > 100 || strings.ContainsFunc(encoding, unprintable) {
			return a, false, fmt.Errorf("%w: Content-Encoding has at most 100 characters of ASCII", container.ErrInvalid)
		}
		a.Meta = map[string]string{encodingMeta: encoding}
	}
	a.ETag, err = newETag()
	return a, streaming, err
}

func unprintable(c rune) bool { return c < ' ' || c > '~' }

// newETag returns one for an object that does not exist yet, whose readers may come before its last byte: 64 hexadecimal
// digits that are no other object's.
func newETag() (string, error) {
	var b [sha256.Size]byte
	_, err := rand.Read(b[:])
	return hex.EncodeToString(b[:]), err
}

// free reports whether a path can be an object's: no folder has its name, and no object that of one of its folders (a gap of
// the reference). What is there already may be replaced.
func (h *Handler) free(q *request) error {
	if _, err := h.opt.Store.Stat(q.Context(), q.key()); err == nil || !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	for i, c := range q.path {
		if c != '/' {
			continue
		}
		key := storage.Key{Container: q.container.ID, Path: q.path[:i]}
		switch _, err := h.opt.Store.Stat(q.Context(), key); {
		case err == nil:
			return fmt.Errorf("%w: %s is an object, so that it cannot be a folder", container.ErrInvalid, key.Path)
		case !errors.Is(err, storage.ErrNotFound):
			return err
		}
	}
	for _, err := range h.opt.Index.Attributed(q.Context(), q.container.ID, q.path+"/", "") {
		if err != nil {
			return err
		}
		return fmt.Errorf("%w: %s is a folder, so that it cannot be an object", container.ErrInvalid, q.path)
	}
	return nil
}

// copyBuffers hold what is copied at once: few enough bytes that those who read along get them soon.
var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// copy writes the body to an upload and returns its SHA-256.
func (h *Handler) copy(upload io.Writer, q *request, w http.ResponseWriter, limit int64) (digest string, err error) {
	sum := sha256.New()
	body := &patientBody{Reader: q.Body, ctl: http.NewResponseController(w), idle: h.opt.Idle, left: limit}
	_ = body.ctl.SetWriteDeadline(time.Time{}) // an upload may take longer than an answer; it is small
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	// The reader's and the writer's own methods would copy otherwise.
	_, err = io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(upload, sum)}, struct{ io.Reader }{body}, *buf)
	return hex.EncodeToString(sum.Sum(nil)), err
}

// ErrStalled refuses a body of which nothing came for too long.
var ErrStalled = errors.New("the upload stalled")

// patientBody is a body that must not be silent for longer than idle, nor longer than left bytes.
type patientBody struct {
	io.Reader
	ctl  *http.ResponseController
	idle time.Duration
	left int64
}

func (b *patientBody) Read(p []byte) (int, error) {
	_ = b.ctl.SetReadDeadline(time.Now().Add(b.idle)) // a writer without deadlines (in tests) has none to set
	n, err := b.Reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%w: more than the container takes", reply.ErrTooLarge)
	}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return n, fmt.Errorf("%w: nothing came for %s", ErrStalled, b.idle)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return n, fmt.Errorf("%w: the body broke off", container.ErrInvalid)
	}
	return n, err
}

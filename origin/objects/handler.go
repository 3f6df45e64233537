// Package objects is MediaStore's data plane: PutObject, GetObject, DescribeObject, DeleteObject and ListItems on the objects
// of a container (reference/mediastore.md, 1).
//
// It does not find the container of a request or say who may do what (Authorizer does), and keeps no bytes by itself: they are
// in storage, and while they are written in inflight. handler.go is where a request enters.
package objects

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"headwater/origin/container"
	"headwater/origin/inflight"
	"headwater/origin/reply"
	"headwater/storage"
)

// Operation of the data plane, as MediaStore calls it.
type Operation string

// The operations.
const (
	PutObject      Operation = "PutObject"
	GetObject      Operation = "GetObject"
	DescribeObject Operation = "DescribeObject"
	DeleteObject   Operation = "DeleteObject"
	ListItems      Operation = "ListItems"
)

// Authorizer decides who may.
type Authorizer interface {
	// Authorize returns who sent a request that is an operation on a path of a container, or an error that refuses it. The body
	// has not been touched then.
	Authorize(r *http.Request, c *container.Container, op Operation, path string) (Requester, error)
}

// Observer is told of what is put.
type Observer interface {
	// Committed is called when an object is complete and can be read, before its upload is answered: it must not wait for
	// anything but open, which gives the object as it is now. What becomes of it changes nothing for the upload.
	Committed(c *container.Container, path string, open func() (*storage.Object, error))
}

// Requester is who sent a request.
type Requester struct {
	Name   string // ARN, or "anonymous"
	Digest string // SHA-256 that the body must have, in lower-case hexadecimal digits; "": any
}

// Default limits. MediaStore's object sizes are its quotas (reference 1.2, 1.9; a MB is taken to be a MiB, which is a gap).
const (
	MaxObject    = 25 << 20
	MaxStreaming = 10 << 20
	// Idle is the longest silence of a body. MediaStore cancelled uploads that took 30 s in all; here they may take any time
	// while bytes come, since encoders open an upload when its segment begins.
	Idle = 30 * time.Second
)

// Options of a Handler. All fields but those with defaults are required.
type Options struct {
	Store    *storage.Store
	Index    storage.Index // of the same engine
	InFlight *inflight.Objects
	Access   Authorizer
	Exists   func(*container.Container) bool // whether the container is still there
	Now      func() time.Time

	MaxObject    int64 // bytes of an object; 0: MaxObject
	MaxStreaming int64 // bytes of one that is readable while it is written; 0: MaxStreaming
	Idle         time.Duration
	Observe      func(*Record)              // told of each request when it has ended; it must not wait. May be nil
	Source       func(*http.Request) string // the client's address, for records; nil: who has connected
	Quotas       *Limiter                   // nil: requests are not limited
	Observer     Observer                   // told of what was put; nil: nobody
	Conditional  bool                       // answer If-None-Match and If-Modified-Since with 304, which MediaStore did not
}

// Handler serves the objects of containers. Create with New.
type Handler struct{ opt Options }

// New returns a Handler.
func New(opt Options) *Handler {
	if opt.MaxObject == 0 {
		opt.MaxObject = MaxObject
	}
	if opt.MaxStreaming == 0 {
		opt.MaxStreaming = MaxStreaming
	}
	if opt.Idle == 0 {
		opt.Idle = Idle
	}
	if opt.Observe == nil {
		opt.Observe = func(*Record) {}
	}
	if opt.Source == nil {
		opt.Source = remoteHost
	}
	return &Handler{opt}
}

// ErrObjectNotFound is for what is not there, has expired, or could not be there.
var ErrObjectNotFound = fmt.Errorf("%w in the container", storage.ErrNotFound)

// request is a request for an object.
type request struct {
	*http.Request
	container *container.Container
	op        Operation
	path      string // clean; of ListItems the folder
	requester Requester
	seen      *observation
}

func (q *request) key() storage.Key { return storage.Key{Container: q.container.ID, Path: q.path} }

// Serve answers a request for the object at path in c, decoded; "" is the container itself.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, c *container.Container, path string) {
	w, r, seen := h.watch(w, r, c, path)
	defer seen.end()
	if err := h.answer(w, r, c, path, seen); err != nil {
		seen.failed(err)
		reply.WriteError(w, r, err)
	}
}

func (h *Handler) answer(w http.ResponseWriter, r *http.Request, c *container.Container, path string, seen *observation) error {
	if preflight, allowed := c.AllowCORS(w.Header(), r); preflight {
		if !allowed {
			return fmt.Errorf("%w: no CORS rule of the container allows it", ErrNoCORS)
		}
		w.WriteHeader(http.StatusOK)
		return nil
	}
	q, err := h.read(w, r, c, path)
	q.seen = seen
	seen.is(q)
	if err != nil {
		return err
	}
	if q.requester, err = h.opt.Access.Authorize(r, c, q.op, q.path); err != nil {
		return err
	}
	seen.is(q)
	return h.serve(w, q)
}

// ErrNoCORS refuses a preflight.
var ErrNoCORS = errors.New("not allowed for pages of other origins")

// read tells what a request is.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, c *container.Container, path string) (q *request, err error) {
	q = &request{Request: r, container: c}
	if strings.Trim(path, "/") == "" {
		if r.Method != http.MethodGet {
			w.Header().Set("Allow", "GET")
			return q, reply.ErrMethod
		}
		q.op = ListItems
		q.path, err = container.CleanFolder(r.URL.Query().Get("Path"))
		return q, err
	}
	switch r.Method {
	case http.MethodPut:
		q.op = PutObject
	case http.MethodGet:
		q.op = GetObject
	case http.MethodHead:
		q.op = DescribeObject
	case http.MethodDelete:
		q.op = DeleteObject
	default:
		w.Header().Set("Allow", "GET, HEAD, PUT, DELETE")
		return q, reply.ErrMethod
	}
	if q.path, err = container.CleanPath(path); err != nil && strings.HasSuffix(path, "/") && q.op != PutObject {
		err = fmt.Errorf("%w: a folder is none", ErrObjectNotFound) // a gap of the reference
	}
	return q, err
}

func (h *Handler) serve(w http.ResponseWriter, q *request) error {
	switch q.op {
	case PutObject:
		return h.put(w, q)
	case DeleteObject:
		return h.delete(w, q)
	case ListItems:
		return h.list(w, q)
	default:
		return h.get(w, q)
	}
}

// find returns what storage knows of an object that has not expired.
func (h *Handler) find(q *request) (storage.Info, error) {
	info, err := h.opt.Store.Stat(q.Context(), q.key())
	if err != nil {
		return info, err
	}
	q.seen.of(q.container, info)
	return info, h.expired(q, info)
}

func (h *Handler) expired(q *request, info storage.Info) error {
	if fate := q.container.Fate(q.path, info.Modified); fate.Expires && !h.opt.Now().Before(fate.At) {
		return fmt.Errorf("%w: it has expired", ErrObjectNotFound)
	}
	return nil
}

// delete removes an object. Encoders send a body with it, which is empty.
func (h *Handler) delete(w http.ResponseWriter, q *request) error {
	if err := h.within(w, q, false); err != nil {
		return err
	}
	if _, err := h.find(q); err != nil {
		return err
	}
	if err := h.opt.Store.Delete(q.Context(), q.key()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

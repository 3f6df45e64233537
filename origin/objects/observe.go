package objects

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/felixge/httpsnoop"

	"headwater/origin/container"
	"headwater/origin/reply"
	"headwater/storage"
)

// Record is what was observed of one request (reference/mediastore.md, 7.2).
type Record struct {
	Container  *container.Container
	Operation  Operation // "": no operation of the data plane, as a preflight is none
	Streaming  bool      // of an object that is, or was, read while it was written
	Path       string    // clean, without a slash at its beginning; of ListItems the folder
	Requester  string    // ARN, or "anonymous"; "" when authorisation did not finish
	RequestID  string
	Source     string // address of the client; "": unknown
	Status     int    // 0: nothing was answered
	ErrorCode  string // "": none. Beside a status of 200 it tells why the answer broke off
	Received   time.Time
	Total      time.Duration // from the head of the request to the last byte of the answer
	Turnaround time.Duration // from the last byte of the request to the first of the answer
	BytesIn    int64         // of the request's body
	BytesOut   int64         // of the answer's
	Expires    time.Time     // of an object with a lifetime by seconds; zero: it has none
}

// Codes of answers that broke off after their status was sent, for which MediaStore's are not known.
const (
	CodeClientGone = "ClientDisconnected" // the client left, or took too long
	CodeIncomplete = "IncompleteObject"   // the writer of an object that was read along gave up
)

// observation watches one request. It is for the goroutine of the request.
type observation struct {
	Record
	now              func() time.Time
	request          *http.Request
	header           http.Header // of the answer
	lastIn, firstOut time.Time   // of the request, of the answer (zero: nothing was answered)
	observe          func(*Record)
}

// watch returns the request and answer to use in place of r and w, and what observes them.
func (h *Handler) watch(w http.ResponseWriter, r *http.Request, c *container.Container, path string) (http.ResponseWriter, *http.Request, *observation) {
	o := &observation{now: h.opt.Now, request: r, header: w.Header(), observe: h.opt.Observe}
	o.Received = o.now()
	o.lastIn = o.Received
	o.Container, o.Path, o.RequestID = c, strings.TrimLeft(path, "/"), reply.RequestID(r.Context())
	o.Source = h.opt.Source(r)
	watched := *r
	watched.Body = &watchedBody{r.Body, o}
	return httpsnoop.Wrap(w, o.hooks()), &watched, o
}

// remoteHost returns the address from which a request came.
func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// hooks watch an answer and leave it all that its writer can do, sendfile and flushing too.
func (o *observation) hooks() httpsnoop.Hooks {
	return httpsnoop.Hooks{
		WriteHeader: func(next httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
			return func(status int) {
				if status >= http.StatusOK {
					o.begin(status)
				}
				next(status)
			}
		},
		Write: func(next httpsnoop.WriteFunc) httpsnoop.WriteFunc {
			return func(p []byte) (int, error) {
				o.begin(http.StatusOK)
				n, err := next(p)
				o.BytesOut += int64(n)
				return n, err
			}
		},
		ReadFrom: func(next httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc {
			return func(src io.Reader) (int64, error) {
				o.begin(http.StatusOK)
				n, err := next(src)
				o.BytesOut += n
				return n, err
			}
		},
		WriteString: func(next httpsnoop.WriteStringFunc) httpsnoop.WriteStringFunc {
			return func(s string) (int, error) {
				o.begin(http.StatusOK)
				n, err := next(s)
				o.BytesOut += int64(n)
				return n, err
			}
		},
	}
}

// begin notes the first byte of the answer.
func (o *observation) begin(status int) {
	if o.Status == 0 {
		o.Status, o.firstOut = status, o.now()
	}
}

// is notes what the request was found to be.
func (o *observation) is(q *request) {
	o.Operation, o.Requester = q.op, q.requester.Name
	if q.path != "" || q.op == ListItems {
		o.Path = q.path
	}
}

// of notes which object it is about.
func (o *observation) of(c *container.Container, info storage.Info) {
	if fate := c.Fate(info.Key.Path, info.Modified); fate.Transient && fate.Expires {
		o.Expires = fate.At
	}
}

// failed notes the error that is, or would be, answered.
func (o *observation) failed(err error) {
	if o.ErrorCode = reply.Describe(o.request.Context(), err).Type; o.ErrorCode == "" {
		o.ErrorCode = CodeClientGone // nobody is answered
	}
}

// end hands out the record: also when the answer is broken off by a panic, which goes on.
func (o *observation) end() {
	now := o.now()
	o.Total = now.Sub(o.Received)
	if o.firstOut.IsZero() {
		o.firstOut = now
	}
	o.Turnaround = max(0, o.firstOut.Sub(o.lastIn)) // an answer may come before the end of the body
	switch {
	case o.ErrorCode != "":
	case o.Status == 0 && o.request.Context().Err() == nil: // a defect, which whoever recovers answers so
		o.ErrorCode, o.Status = "InternalServerError", http.StatusInternalServerError
	case o.Status == 0 || o.short():
		o.ErrorCode = CodeClientGone
	}
	o.observe(&o.Record)
}

// short reports whether less was sent than was promised, which http.ServeContent does not tell.
func (o *observation) short() bool {
	if o.request.Method != http.MethodGet {
		return false
	}
	promised, err := strconv.ParseInt(o.header.Get("Content-Length"), 10, 64)
	return err == nil && o.BytesOut < promised
}

// watchedBody counts a request's body.
type watchedBody struct {
	io.ReadCloser
	o *observation
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.o.BytesIn += int64(n)
	b.o.lastIn = b.o.now()
	return n, err
}

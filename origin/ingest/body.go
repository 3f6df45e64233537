package ingest

import (
	"io"
	"net/http"
	"time"
)

// patientBody reads a request's body with an idle deadline for every read and no total one.
type patientBody struct {
	r     io.Reader
	ctl   *http.ResponseController
	idle  time.Duration
	limit int64 // bytes; 0: none
	count int64
	err   error // that ended the body, io.EOF included
}

// newPatientBody leaves the deadline in force when the body is done with: what net/http still reads of it has no other, and it
// sets its own for the next request.
func newPatientBody(w http.ResponseWriter, r *http.Request, opt Options) *patientBody {
	return &patientBody{r: r.Body, ctl: http.NewResponseController(w), idle: opt.Idle, limit: opt.MaxUpload}
}

func (b *patientBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	// A writer without deadlines (in tests) has none to set.
	_ = b.ctl.SetReadDeadline(time.Now().Add(b.idle))
	n, err := b.r.Read(p)
	b.count += int64(n)
	if b.limit > 0 && b.count > b.limit && err == nil {
		err = &http.MaxBytesError{Limit: b.limit}
	}
	b.err = err
	return n, err
}

// maxDrain is how much of a body is read after its fate is known, so that the answer is not lost to a reset connection.
const maxDrain = 8 << 20

func (b *patientBody) drain() {
	if b.err == nil {
		_, _ = io.CopyN(io.Discard, b, maxDrain)
	}
}

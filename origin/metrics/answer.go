package metrics

import (
	"io"
	"net/http"
)

// Answer is a ResponseWriter that knows what was answered. It keeps ReadFrom, without which files are not sent by sendfile.
type Answer struct {
	http.ResponseWriter
	Status int   // 0 until the answer has begun; informational ones do not count
	Bytes  int64 // of the body
}

// Watch returns w as an Answer; it is w itself where that is one already.
func Watch(w http.ResponseWriter) *Answer {
	if a, ok := w.(*Answer); ok {
		return a
	}
	return &Answer{ResponseWriter: w}
}

// WriteHeader implements http.ResponseWriter.
func (a *Answer) WriteHeader(status int) {
	if a.Status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		a.Status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *Answer) Write(p []byte) (int, error) {
	a.begin()
	n, err := a.ResponseWriter.Write(p)
	a.Bytes += int64(n)
	return n, err
}

// ReadFrom implements io.ReaderFrom.
func (a *Answer) ReadFrom(src io.Reader) (n int64, err error) {
	a.begin()
	if to, ok := a.ResponseWriter.(io.ReaderFrom); ok {
		n, err = to.ReadFrom(src)
	} else {
		n, err = io.Copy(struct{ io.Writer }{a.ResponseWriter}, src)
	}
	a.Bytes += n
	return n, err
}

func (a *Answer) begin() {
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
}

// Unwrap serves http.ResponseController.
func (a *Answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

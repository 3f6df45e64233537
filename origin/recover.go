package origin

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"

	"headwater/origin/reply"
)

// recovered answers 500 where a handler panics, and keeps the server and other requests out of it. Where the answer had
// begun already, the connection is cut: the client must not take half of it for all.
func recovered(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		watched := &watchedWriter{ResponseWriter: w}
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			err := fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			if watched.began {
				reply.Logger(r.Context()).Error("panic in the middle of an answer", "path", r.URL.Path, "error", err)
				panic(http.ErrAbortHandler)
			}
			reply.WriteError(w, r, err)
		}()
		next(watched, r)
	}
}

// watchedWriter knows whether the answer has begun. It keeps ReadFrom, without which files are not sent by sendfile.
type watchedWriter struct {
	http.ResponseWriter
	began bool
}

// WriteHeader implements http.ResponseWriter.
func (w *watchedWriter) WriteHeader(status int) {
	w.began = w.began || status >= 200
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *watchedWriter) Write(p []byte) (int, error) {
	w.began = true
	return w.ResponseWriter.Write(p)
}

// ReadFrom implements io.ReaderFrom.
func (w *watchedWriter) ReadFrom(src io.Reader) (int64, error) {
	w.began = true
	if to, ok := w.ResponseWriter.(io.ReaderFrom); ok {
		return to.ReadFrom(src)
	}
	return io.Copy(struct{ io.Writer }{w.ResponseWriter}, src)
}

// Unwrap serves http.ResponseController.
func (w *watchedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

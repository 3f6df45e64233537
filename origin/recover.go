package origin

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"headwater/origin/metrics"
	"headwater/origin/reply"
)

// recovered answers 500 where a handler panics, and keeps the server and other requests out of it. Where the answer had
// begun already, the connection is cut: the client must not take half of it for all.
func recovered(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		watched := metrics.Watch(w)
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			err := fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			if watched.Status != 0 {
				reply.Logger(r.Context()).Error("panic in the middle of an answer", "path", r.URL.Path, "error", err)
				panic(http.ErrAbortHandler)
			}
			reply.WriteError(w, r, err)
		}()
		next(watched, r)
	}
}

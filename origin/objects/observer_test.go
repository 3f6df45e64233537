package objects

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/origin/container"
	"headwater/storage"
)

// watcher keeps what was put, in the order in which it was.
type watcher struct{ seen []string }

func (w *watcher) Committed(c *container.Container, path string, open func() (*storage.Object, error)) {
	o, err := open()
	if err != nil {
		w.seen = append(w.seen, err.Error())
		return
	}
	defer o.Body.Close()
	body, _ := io.ReadAll(o.Body)
	w.seen = append(w.seen, c.Name+" "+path+" "+string(body))
}

func TestAnObserverIsToldOfObjectsThatAreWhole(t *testing.T) {
	w := &watcher{}
	g := newRig(t, onFiles, func(g *rig) { g.opt.Observer, g.opt.MaxObject = w, 5 })
	g.put("/live/a", "one")
	g.put("/live/a", "two", "X-Amz-Upload-Availability", "STREAMING")
	require.Equal(t, 413, g.do(http.MethodPut, "/live/b", strings.NewReader("too long")).StatusCode)
	g.deny = PutObject
	refused(t, g.do(http.MethodPut, "/live/c", strings.NewReader("x")), 403, "AccessDeniedException")
	require.Equal(t, []string{"blogdemo live/a one", "blogdemo live/a two"}, w.seen)
}

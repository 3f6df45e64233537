package ingest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
)

func TestARunningPushEndsWhenItMayNotGoOn(t *testing.T) {
	for what, tt := range map[string]struct {
		change func(g *rig)
		want   int
	}{
		"its channel is removed":      {func(g *rig) { g.gone = channel.ErrNotFound }, http.StatusNotFound},
		"its password is another now": {func(g *rig) { g.channel = guarded("new") }, http.StatusUnauthorized},
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v := video(50)
				r, w := io.Pipe()
				req := httptest.NewRequest(http.MethodPost, "/", r)
				req.URL, req.ContentLength = &url.URL{Path: "/Streams(v.cmfv)"}, -1
				req.SetBasicAuth("u", "old")
				rec, done := httptest.NewRecorder(), make(chan struct{})
				go func() { g.handler(1).ServeHTTP(rec, req); close(done) }()
				send := func(b []byte) { _, err := io.Copy(w, bytes.NewReader(b)); require.NoError(t, err); synctest.Wait() }
				send(v.init(t))
				for n := range 3 {
					time.Sleep(2 * time.Second)
					send(v.seconds(float64(2*n), float64(2*n+2)))
				}
				stored := len(g.segments("v"))
				g.mu.Lock()
				tt.change(g)
				g.mu.Unlock()
				send(v.seconds(6, 8))
				time.Sleep(drainGrace)
				go func() { _, _ = w.Write(v.seconds(8, 10)) }() // the encoder does not stop by itself
				<-done
				require.NoError(t, r.Close())
				require.Equal(t, tt.want, rec.Code)
				require.GreaterOrEqual(t, len(g.segments("v")), stored)
				require.Len(t, g.segments("v"), 3, "what came whole before is kept")
				g.clean()
			}, func(g *rig) { g.channel = guarded("old") })
		})
	}
}

func guarded(password string) *channel.Channel {
	return &channel.Channel{ID: chID, Ingest: channel.IngestAuth{Users: []channel.User{{Name: "u", Password: password}}}}
}

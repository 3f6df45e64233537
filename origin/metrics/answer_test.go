package metrics_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
	"headwater/origin/metrics"
)

func TestAnAnswerKnowsWhatWasAnswered(t *testing.T) {
	for _, c := range []struct {
		name   string
		handle http.HandlerFunc
		status int
		bytes  int64
	}{
		{"a body alone is 200", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "abc") }, 200, 3},
		{"the first status counts", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); _, _ = io.WriteString(w, "no") }, 404, 2},
		{"information is no answer", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(206) }, 206, 0},
		{"nothing has begun", func(http.ResponseWriter, *http.Request) {}, 0, 0},
		{"a copied body", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader("abcd")) }, 200, 4},
		{"a wrapper is not wrapped", func(w http.ResponseWriter, _ *http.Request) {
			require.Same(t, w, metrics.Watch(w))
			w.WriteHeader(204)
		}, 204, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			under := httptest.NewRecorder()
			a := metrics.Watch(under)
			c.handle(a, nil)
			require.Equal(t, c.status, a.Status)
			require.Equal(t, c.bytes, a.Bytes)
			require.Equal(t, http.ResponseWriter(under), a.Unwrap())
		})
	}
}

func TestRoutesCountStatusAndBytes(t *testing.T) {
	m := metrics.New(func(channel.ID) bool { return true })
	h := m.Route("hls", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			w.WriteHeader(410)
			return
		}
		_, _ = io.WriteString(w, "12345")
	})
	for _, path := range []string{"/", "/", "/gone"} {
		h(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Contains(t, w.Body.String(), `headwater_egress_requests_total{route="hls",status="200"} 2`)
	require.Contains(t, w.Body.String(), `headwater_egress_requests_total{route="hls",status="410"} 1`)
	require.Contains(t, w.Body.String(), `headwater_egress_bytes_total{route="hls"} 10`)
	require.Contains(t, w.Body.String(), `headwater_egress_duration_seconds_count{route="hls"} 3`)
}

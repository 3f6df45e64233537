//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lossy is a way to the server on which uploads of segments break off now and then.
type lossy struct {
	*httptest.Server
	share   atomic.Int64 // percent
	dropped atomic.Int64
}

func newLossy(t *testing.T, to string) *lossy {
	t.Helper()
	target, err := url.Parse(to)
	require.NoError(t, err)
	l := &lossy{}
	forward := httputil.NewSingleHostReverseProxy(target)
	forward.Transport = &http.Transport{DisableKeepAlives: true} // one that a server ends is no loss of ours
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Ext(r.URL.Path) == ".m4s" && rand.Int64N(100) < l.share.Load() && !strings.Contains(r.URL.Path, "init") {
			l.dropped.Add(1)
			panic(http.ErrAbortHandler)
		}
		// ffmpeg leaves after the last byte, without waiting for the answer: what came whole goes on. The proxy would look for
		// that in the context, and in the writer, which hides it behind the interface alone.
		forward.ServeHTTP(struct{ http.ResponseWriter }{w}, r.WithContext(context.WithoutCancel(r.Context())))
	}))
	t.Cleanup(l.Close)
	return l
}

// TestTwoEncodersWithUTCClocksLeaveNoHole pushes one programme with two ffmpeg processes whose timestamps are UTC. While 30
// of 100 uploads of the first one are lost, the server is restarted, and the second one is killed, no segment is missing.
// HEADWATER_REDUNDANT is how long that goes on, such as 5m.
func TestTwoEncodersWithUTCClocksLeaveNoHole(t *testing.T) {
	t.Parallel() // with the others that take minutes and little of the machine
	length := 40 * time.Second
	if long, err := time.ParseDuration(os.Getenv("HEADWATER_REDUNDANT")); err == nil {
		length = long
	}
	s := serveOnHeldSocket(t)
	const channel = "redundant"
	way := newLossy(t, "http://"+s.host())
	encode := func(name, to string) *process {
		p := push{"DASH with UTC timestamps", channel, encoder + fmt.Sprintf(" -output_ts_offset %d", time.Now().Unix()/2*2) +
			" -f dash -seg_duration 2 -window_size 3 -adaptation_sets id=0,streams=v|id=1,streams=a" +
			" -format_options movflags=frag_discont -ignore_io_errors 1 -method PUT IN/manifest.mpd"}
		return launch(t, name, nil, "ffmpeg", p.args(to)...)
	}
	encode("ffmpeg to input 1", way.URL+"/in/v1/default/1/"+channel)
	time.Sleep(700 * time.Millisecond) // encoders are not started at once
	second := encode("ffmpeg to input 2", "http://"+s.host()+"/in/v1/default/2/"+channel)
	multivariant := s.out(channel, hlsManifest)
	await(t, 20*time.Second, multivariant)
	begin := time.Now()

	way.share.Store(30)
	time.Sleep(length / 2)
	s.restart()
	time.Sleep(length / 2)
	way.share.Store(0)
	time.Sleep(6 * time.Second)
	second.kill()
	time.Sleep(10 * time.Second)

	end := time.Now()
	query := fmt.Sprintf("?start=%d&end=%d", begin.Unix(), end.Unix()-6)
	l, ok := list(t, multivariant+query)
	require.True(t, ok)
	for n, playlist := range playlistsOf(t, multivariant+query) {
		require.NotContains(t, playlist, "#EXT-X-GAP", "playlist %d", n)
		require.NotContains(t, playlist, "#EXT-X-DISCONTINUITY\n", "playlist %d", n)
	}
	require.GreaterOrEqual(t, len(l.segments), int(end.Sub(begin).Seconds()-8)/2)
	require.Positive(t, way.dropped.Load())
	t.Logf("%d segments, %d uploads of input 1 lost", len(l.segments), way.dropped.Load())
}

// playlistsOf returns the text of every media playlist that a multivariant one names.
func playlistsOf(t *testing.T, multivariant string) (all []string) {
	t.Helper()
	for _, u := range mediaPlaylists(t, multivariant) {
		status, body := fetch(u)
		require.Equal(t, http.StatusOK, status, u)
		all = append(all, string(body))
	}
	return all
}

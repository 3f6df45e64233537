package origin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
)

// flood sends to a channel, until ctx ends, all that it has limits for: requests one after another, large bodies, and bodies
// that do not come.
func flood(ctx context.Context, t *testing.T, srv *httptest.Server, path string) (done *sync.WaitGroup) {
	t.Helper()
	done = &sync.WaitGroup{}
	put := func(body io.Reader) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPut, srv.URL+path, body)
		if err != nil {
			return
		}
		if res, err := srv.Client().Do(r); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	}
	for range 300 {
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		_, err = fmt.Fprintf(c, "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n%s", path, make([]byte, 100))
		require.NoError(t, err)
	}
	for range 4 {
		done.Go(func() {
			for ctx.Err() == nil {
				put(bytes.NewReader([]byte("garbage")))
			}
		})
		done.Go(func() {
			for ctx.Err() == nil {
				put(bytes.NewReader(make([]byte, 3<<20)))
			}
		})
	}
	return done
}

func TestTheFloodOfOneChannelLeavesAnotherAlone(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	limits := channel.Limits{Bitrate: 20_000_000, RequestRate: 100, Concurrent: 40, Tracks: 10, Upload: 4 << 20, Idle: 5 * time.Second}
	_, err := g.server.cfg.Channels.Replace(channel.Set{Template: func(id channel.ID) channel.Channel {
		ch := channel.Default(id)
		ch.Limits = limits
		return ch
	}})
	require.NoError(t, err)
	srv := httptest.NewServer(g.public)
	defer srv.Close()
	ctx, stop := context.WithCancel(t.Context())
	flooding := flood(ctx, t, srv, "/in/v1/default/1/flooded/x.ts")
	defer flooding.Wait()
	defer stop()
	wild := channel.ID{Group: "default", Name: "flooded"}
	use := func(name string) int64 {
		for _, l := range g.server.ingest.Report(wild).Limits {
			if l.Name == name {
				return l.Use
			}
		}
		return 0
	}
	require.Eventually(t, func() bool { return use("max_concurrent") == 40 }, 5*time.Second, time.Millisecond)

	var took []time.Duration
	video := g.tracks["video"]
	for k := range 25 {
		g.at(noon.Add(time.Duration(k+1) * segmentLength))
		began := time.Now()
		body := video.sized(t, noon.Add(time.Duration(k)*segmentLength), 100_000)
		if k == 0 {
			body = append(bytes.Clone(video.header), body...)
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPut, srv.URL+"/in/v1/default/1/ch/Streams(video.cmfv)", bytes.NewReader(body))
		require.NoError(t, err)
		res, err := srv.Client().Do(r)
		require.NoError(t, err)
		_ = res.Body.Close()
		require.Equal(t, http.StatusOK, res.StatusCode)
		took = append(took, time.Since(began))
		require.LessOrEqual(t, use("max_concurrent"), int64(40))
	}
	slices.Sort(took)
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	t.Logf("an upload took %v, at most %v; %d MiB in use", took[len(took)/2], took[len(took)-1], memory.HeapInuse>>20)
	require.Less(t, took[len(took)/2], time.Second)
	require.Less(t, took[len(took)-1], 5*time.Second)
	require.Less(t, memory.HeapInuse, uint64(256<<20))
	tl, ok := g.server.timelineOf(chID)
	require.True(t, ok)
	require.Len(t, tl.Following("video", 0, 0, 100), 25)
	report := g.server.ingest.Report(wild)
	require.Greater(t, report.Inputs[0].Rejected, 250)
}

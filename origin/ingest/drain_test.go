package ingest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
	"headwater/origin/reply"
)

// chunked begins an upload of unknown length and returns what sends more of it, ends it, and reads the answer.
func chunked(t *testing.T, srv *httptest.Server, name string, parts ...[]byte) (send func(...[]byte), end func(), answer func() *http.Response) {
	t.Helper()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = fmt.Fprintf(c, "POST /%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", name)
	require.NoError(t, err)
	send = func(parts ...[]byte) {
		for _, p := range parts {
			_, err := fmt.Fprintf(c, "%x\r\n%s\r\n", len(p), p)
			require.NoError(t, err)
		}
	}
	send(parts...)
	end = func() {
		_, err := io.WriteString(c, "0\r\n\r\n")
		require.NoError(t, err)
	}
	return send, end, func() *http.Response {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		require.NoError(t, err)
		return res
	}
}

// watched waits until the server has read so much of a number of bodies of unknown length that it waits for more.
func (g *rig) watched(n int, begun func(*patientBody) bool) {
	g.tb.Helper()
	require.Eventually(g.tb, func() bool {
		g.h.drains.mu.Lock()
		defer g.h.drains.mu.Unlock()
		for b := range g.h.drains.open {
			b.mu.Lock()
			ok := begun(b)
			b.mu.Unlock()
			if !ok {
				return false
			}
		}
		return len(g.h.drains.open) == n
	}, 5*time.Second, time.Millisecond)
}

func TestDrainEndsEndlessUploadsAndKeepsWhatCameWhole(t *testing.T) {
	g, _ := serve(t, func(g *rig) { g.options.Idle = 10 * time.Second })
	var log bytes.Buffer
	srv := httptest.NewServer(reply.Requests(slog.New(slog.NewTextHandler(&log, nil)), table())(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			g.h.Serve(w, r, chID, 1, strings.TrimPrefix(r.URL.Path, "/"))
		})))
	defer srv.Close()
	v := video(50)
	_, _, answer := chunked(t, srv, "Streams(v.cmfv)", v.init(t), v.seconds(0, 2), v.seconds(2, 3), v.seconds(3, 4)[:2000])
	_, _, other := chunked(t, srv, "live.mp4", v.init(t))
	_, _, silent := chunked(t, srv, "Streams(w.cmfv)")
	waiting := 0
	g.watched(3, func(b *patientBody) bool { return b.lifted || b.stream })
	require.Eventually(t, func() bool { return len(g.segments("v")) == 1 }, 5*time.Second, time.Millisecond)
	time.Sleep(50 * time.Millisecond) // all of them wait for more
	began := time.Now()
	g.h.Drain()
	g.h.Drain() // once more is nothing
	for _, answer := range []func() *http.Response{answer, other, silent} {
		res := answer()
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
		require.True(t, res.Close, "the connection is closed")
		waiting++
	}
	require.Less(t, time.Since(began), 2*time.Second)
	segs := g.segments("v")
	require.Len(t, segs, 2)
	require.Len(t, g.stored("v", segs[1])[0].Samples, 25, "the fragment that came whole, and nothing of the one that did not")
	_, _, answer = chunked(t, srv, "Streams(v.cmfv)", v.init(t))
	require.Equal(t, http.StatusServiceUnavailable, answer().StatusCode, "one that comes later ends too")
	g.watched(0, func(*patientBody) bool { return false })
	g.clean()
	require.Zero(t, g.counted("rejected stopping"), "it is nobody's mistake")
	st, _ := g.h.Status(chID)
	require.Zero(t, st.Rejected)
	srv.Close()
	require.Equal(t, waiting+1, strings.Count(log.String(), `level=INFO msg="upload ended: the server is stopping"`))
	require.NotContains(t, log.String(), "level=WARN")
	require.NotContains(t, log.String(), "level=ERROR")
}

func TestDrainLetsFilesEnd(t *testing.T) {
	g, srv := serve(t)
	v := video(50)
	g.accept("v/init.cmfv", v.init(t))
	g.accept("Streams(s.cmfv)", v.init(t))
	seg := v.seconds(0, 2)
	sendFile, endFile, file := chunked(t, srv, "v/0.cmfv", seg[:2000])
	sendPart, endPart, part := chunked(t, srv, "Streams(s.cmfv)", seg[:2000]) // a segment in an upload of its own
	g.watched(2, func(b *patientBody) bool { return b.begun })
	g.h.Drain()
	time.Sleep(50 * time.Millisecond)
	sendFile(seg[2000:])
	endFile()
	sendPart(seg[2000:])
	endPart()
	require.Equal(t, http.StatusOK, file().StatusCode)
	require.Equal(t, http.StatusOK, part().StatusCode)
	require.Len(t, g.segments("v"), 1)
	require.Len(t, g.segments("s"), 1)
}

func TestAStreamWithoutItsHeaderEndsSoonAfterDrain(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("Streams(s.cmfv)", v.init(t))
		r, w := io.Pipe()
		status := make(chan int, 1)
		go func() { status <- g.request(http.MethodPost, 1, "Streams(s.cmfv)", r).Code }()
		_, err := w.Write(v.seconds(0, 2))
		require.NoError(t, err)
		g.h.Drain()
		time.Sleep(segmentGrace)
		go func() { _, _ = w.Write(v.seconds(2, 4)) }()
		require.Equal(t, http.StatusServiceUnavailable, <-status)
		require.NoError(t, r.Close())
		require.Empty(t, g.segments("s"), "it may have been half a segment")
		g.clean()
	})
}

func TestALengthOverTheLimitIsRefusedUnread(t *testing.T) {
	_, srv := serve(t, func(g *rig) { g.options.MaxUpload = 10_000 })
	head := []string{"Host: x", "Content-Length: 10001", "Expect: 100-continue"}
	status, _ := say(t, srv, append([]string{"PUT /v/0.cmfv HTTP/1.1"}, head...)...)
	require.Contains(t, status, "413")
	status, _ = say(t, srv, append([]string{"PUT /Streams(v.cmfv) HTTP/1.1"}, head...)...)
	require.Contains(t, status, "100 Continue", "a stream may say any length")
}

// meter is a body of n bytes that looks at the budget whenever it is read.
type meter struct {
	of   *budget
	n    int
	mu   *sync.Mutex
	most *int64
}

func (m *meter) Read(p []byte) (int, error) {
	m.of.mu.Lock()
	used := m.of.used
	m.of.mu.Unlock()
	m.mu.Lock()
	*m.most = max(*m.most, used)
	m.mu.Unlock()
	if m.n == 0 {
		return 0, io.EOF
	}
	n := min(len(p), m.n, 32<<10)
	m.n -= n
	return n, nil
}

func TestTransportStreamsAreHeldWithinABudget(t *testing.T) {
	const limit = 4 << 20
	g := newRig(t, func(g *rig) { g.options.HeldBytes = limit })
	put := func(id channel.ID, body io.Reader) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPut, "/0.ts", body)
		r.ContentLength = -1
		w := httptest.NewRecorder()
		reply.Requests(slog.New(slog.DiscardHandler), table())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			g.h.Serve(w, r, id, 1, "0.ts")
		})).ServeHTTP(w, r)
		return w
	}
	// One that goes slowly holds what its channel may.
	r, slow := io.Pipe()
	var all sync.WaitGroup
	all.Go(func() { put(chID, r) })
	_, err := slow.Write(make([]byte, limit/2-100))
	require.NoError(t, err)

	var mu sync.Mutex
	var most int64
	body := func(n int) io.Reader { return &meter{of: g.h.held, n: n, mu: &mu, most: &most} }
	for range 12 {
		all.Go(func() {
			w := put(chID, body(3<<20))
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
			require.Contains(t, w.Body.String(), `"Reason":"memory"`)
		})
	}
	other := channel.ID{Group: "g", Name: "other"}
	w := put(other, body(1<<20))
	require.NotEqual(t, http.StatusServiceUnavailable, w.Code, "the other channel's is read to its end: %s", w.Body)
	require.NoError(t, slow.Close())
	all.Wait()
	require.LessOrEqual(t, most, int64(limit))
	require.Greater(t, most, int64(1<<20))
	require.GreaterOrEqual(t, g.counted("rejected memory"), 12, "the slow one may meet them at its limit")
	require.Zero(t, g.h.held.used)
	require.Empty(t, g.h.held.by)
	require.NotEqual(t, http.StatusServiceUnavailable, put(chID, body(1<<20)).Code, "what was held is free again")
}

package ingest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"headwater/origin/channel"
)

// serve runs the rig behind a real server, whose goroutines must end.
func serve(t *testing.T, change ...func(*rig)) (*rig, *httptest.Server) {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	g := newRig(t, change...)
	srv := httptest.NewServer(g.handler(1))
	t.Cleanup(srv.Close)
	return g, srv
}

// say writes lines to the server and returns the status line of its answer.
func say(t *testing.T, srv *httptest.Server, lines ...string) (status string, c net.Conn) {
	t.Helper()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = io.WriteString(c, strings.Join(lines, "\r\n")+"\r\n\r\n")
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
	status, err = bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(status), c
}

func TestCredentialsAreCheckedBeforeTheBodyIsAskedFor(t *testing.T) {
	_, srv := serve(t, func(g *rig) {
		g.channel = &channel.Channel{ID: chID, Ingest: channel.IngestAuth{Users: []channel.User{{Name: "u", Password: "p"}}}}
	})
	head := []string{"PUT /v/init.mp4 HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", "Expect: 100-continue"}
	status, _ := say(t, srv, head...)
	require.Contains(t, status, "401")
	status, _ = say(t, srv, append(head, "Authorization: Basic dTpw")...)
	require.Contains(t, status, "100 Continue")
}

func TestABodyThatGoesSilentEndsAndFreesEverything(t *testing.T) {
	g, srv := serve(t, func(g *rig) { g.options.Idle = 50 * time.Millisecond })
	v := video(50)
	g.accept("v/init.cmfv", v.init(t))
	half := string(v.seconds(0, 2)[:1000])
	for _, name := range []string{"v/1.cmfv", "v/1.ts", "v/x.m3u8", "v/other.vtt"} {
		status, _ := say(t, srv, "PUT /"+name+" HTTP/1.1", "Host: x", "Content-Length: 100000", "", half)
		require.Contains(t, status, "408", name)
	}
	status, _ := say(t, srv, "DELETE /v/1.cmfv HTTP/1.1", "Host: x", "Content-Length: 100000")
	require.Contains(t, status, "200")
	g.clean()
	require.Equal(t, 4, g.counted("rejected stalled"))
	require.Empty(t, g.segments("v"))
}

func TestAnEncoderThatDoesNotWaitForTheAnswerLosesNothing(t *testing.T) {
	g, srv := serve(t)
	v := video(50)
	v.size = 20
	seg := v.seconds(0, 2)
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	require.NoError(t, err)
	_, err = fmt.Fprintf(c, "PUT /v/1.cmfv HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(seg), seg)
	require.NoError(t, err)
	require.NoError(t, c.Close()) // before its init segment is there
	time.Sleep(50 * time.Millisecond)
	g.accept("v/init.cmfv", v.init(t))
	require.Eventually(t, func() bool { return g.counted("segment v") == 1 }, 5*time.Second, 10*time.Millisecond)
}

func TestABodyWithoutLengthOrChunksIsRefused(t *testing.T) {
	g, srv := serve(t)
	status, _ := say(t, srv, "PUT /index0.ts HTTP/1.1", "Host: x")
	require.Contains(t, status, "400")
	require.Equal(t, 1, g.counted("rejected bad_request"))
	status, _ = say(t, srv, "POST /Streams(v.cmfv) HTTP/1.1", "Host: x", "Content-Length: 0")
	require.Contains(t, status, "200", "a probe")
}

func TestMethodsAndNames(t *testing.T) {
	g, srv := serve(t)
	do := func(method, path string, body []byte) (int, http.Header, string) {
		t.Helper()
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		_, err = fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
		require.NoError(t, err)
		res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
		require.NoError(t, err)
		b, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, res.Header, string(b)
	}
	list := listing(time.Time{}, "", "a0.ts")
	for _, path := range []string{"/a.m3u8", "//a.m3u8", "/./a.m3u8", "/x?cid=1&copy=0&file=a.m3u8", "/%61.m3u8"} {
		status, _, _ := do(http.MethodPut, path, list)
		require.Equal(t, http.StatusOK, status, path)
		status, _, body := do(http.MethodGet, "/a.m3u8", nil)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, string(list), body)
	}
	status, header, body := do(http.MethodHead, "/a.m3u8", nil)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, fmt.Sprint(len(list)), header.Get("Content-Length"))
	require.Empty(t, body)
	status, header, _ = do(http.MethodOptions, "/a.m3u8", nil)
	require.Equal(t, http.StatusNoContent, status)
	require.Contains(t, header.Get("Allow"), "PUT")
	status, _, _ = do(http.MethodPatch, "/a.m3u8", nil)
	require.Equal(t, http.StatusMethodNotAllowed, status)
	status, _, _ = do(http.MethodGet, "/none.m3u8", nil)
	require.Equal(t, http.StatusNotFound, status)
	status, _, _ = do(http.MethodDelete, "/a.m3u8", nil)
	require.Equal(t, http.StatusOK, status)
	status, _, _ = do(http.MethodGet, "/a.m3u8", nil)
	require.Equal(t, http.StatusOK, status, "a hint")
	for _, path := range []string{"/../a.m3u8", "/x/%2e%2e/%2e%2e/a.m3u8", "/a%00.m3u8", "/a%5cb.m3u8", "/%ff.m3u8", "/x?file=../../a.m3u8",
		"/" + strings.Repeat("a", 700)} {
		status, _, _ = do(http.MethodPut, path, list)
		require.Equal(t, http.StatusBadRequest, status, path)
	}
	v := video(50)
	for _, path := range []string{"//Streams(a.cmfv)", "/Streams%28a.cmfv%29", "/point.isml/Streams(a)"} {
		status, _, _ = do(http.MethodPost, path, v.init(t))
		require.Equal(t, http.StatusOK, status, path)
	}
	status, _, _ = do(http.MethodPost, "/Streams(a.cmfv)", v.seconds(0, 2))
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, []string{"a"}, g.tracks())
}

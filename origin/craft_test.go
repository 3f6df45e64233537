package origin

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/playback"
	"headwater/origin/reply"
	"headwater/storage"
	"headwater/storage/fs"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// resources are one URL path of every kind of answer that succeeds.
func resources(g *rig) map[string]string {
	out := map[string]string{}
	for _, e := range entries {
		l, _ := g.play(host + e.path())
		for u := range l.answers {
			out[e.name+" manifest "+u[strings.LastIndexByte(u, '/'):]] = u
		}
		for _, tr := range l.tracks {
			for _, u := range tr.inits {
				out[e.name+" "+tr.kind+" init"] = u
			}
			out[e.name+" "+tr.kind+" segment"] = tr.segments[0].url
		}
	}
	return out
}

func TestHTTP(t *testing.T) {
	for _, joined := range []time.Duration{0, 4 * time.Second} {
		base := standard()
		base.SegmentDuration = joined
		g := newRig(t, nil, endpointsOf(base)...)
		g.push(0, 19)
		for name, u := range resources(g) {
			whole := g.get(u)
			etag := whole.Header().Get("Etag")
			t.Run(fmt.Sprintf("%s of %s", name, joined), func(t *testing.T) {
				require.Equal(t, 200, whole.Code)
				require.Regexp(t, `^"[0-9a-z]+"$`, etag, "a strong entity tag")
				require.Equal(t, !strings.Contains(name, "init"), whole.Header().Get("Last-Modified") != "", "a header has no time")
				testConditions(t, g, u, whole)
				testHead(t, g, u, whole)
				if strings.Contains(name, "manifest") {
					testGzip(t, g, u, whole)
				} else {
					testRanges(t, g, u, whole)
				}
			})
		}
	}
}

func testConditions(t *testing.T, g *rig, u string, whole *httptest.ResponseRecorder) {
	etag := whole.Header().Get("Etag")
	for _, inm := range []string{etag, "W/" + etag, `"other", ` + etag, "*"} {
		w := g.get(u, "If-None-Match", inm)
		require.Equal(t, 304, w.Code, inm)
		require.Empty(t, w.Body.String())
		require.Empty(t, w.Header().Get("Content-Length"))
		for _, h := range []string{"Etag", "Cache-Control", "Vary"} {
			require.Equal(t, whole.Header().Get(h), w.Header().Get(h), h)
		}
	}
	for _, inm := range []string{`"other"`, "garbage, " + etag[:len(etag)-1], ""} {
		require.Equal(t, 200, g.get(u, "If-None-Match", inm).Code, inm)
	}
}

func testHead(t *testing.T, g *rig, u string, whole *httptest.ResponseRecorder) {
	w := g.do(http.MethodHead, u)
	require.Equal(t, 200, w.Code)
	require.Empty(t, w.Body.String())
	for name := range whole.Header() {
		if name != reply.RequestIDHeader {
			require.Equal(t, whole.Header()[name], w.Header()[name], name)
		}
	}
	require.Equal(t, strconv.Itoa(whole.Body.Len()), w.Header().Get("Content-Length"))
}

func testGzip(t *testing.T, g *rig, u string, whole *httptest.ResponseRecorder) {
	require.Contains(t, whole.Header().Get("Vary"), "Accept-Encoding")
	require.Contains(t, whole.Header().Get("Vary"), "Origin")
	for _, accept := range []string{"gzip", "deflate, GZIP;q=0.5", "*", "br;q=1.0, *;q=0.1", "gzip;q=1, *;q=0"} {
		w := g.get(u, "Accept-Encoding", accept)
		require.Equal(t, "gzip", w.Header().Get("Content-Encoding"), accept)
		require.NotEqual(t, whole.Header().Get("Etag"), w.Header().Get("Etag"))
		require.Equal(t, strconv.Itoa(w.Body.Len()), w.Header().Get("Content-Length"))
		zip, err := gzip.NewReader(bytes.NewReader(w.Body.Bytes()))
		require.NoError(t, err)
		text, err := io.ReadAll(zip)
		require.NoError(t, err)
		require.Equal(t, whole.Body.String(), string(text))
		require.Equal(t, 304, g.get(u, "Accept-Encoding", accept, "If-None-Match", w.Header().Get("Etag")).Code)
		require.Equal(t, 200, g.get(u, "If-None-Match", w.Header().Get("Etag")).Code, "another encoding is another representation")
	}
	for _, accept := range []string{"", "identity", "br", "gzip;q=0", "gzip; q=0.000, *", "*;q=0"} {
		require.Empty(t, g.get(u, "Accept-Encoding", accept).Header().Get("Content-Encoding"), accept)
	}
	require.Equal(t, 200, g.get(u, "Range", "bytes=0-3").Code, "a manifest is sent whole")
}

func testRanges(t *testing.T, g *rig, u string, whole *httptest.ResponseRecorder) {
	data := whole.Body.String()
	n, etag := len(data), whole.Header().Get("Etag")
	require.Equal(t, "bytes", whole.Header().Get("Accept-Ranges"))
	for spec, want := range map[string]string{
		"bytes=0-0": data[:1], "bytes=5-24": data[5:25], fmt.Sprintf("bytes=%d-", n/2): data[n/2:], "bytes=-7": data[n-7:],
		fmt.Sprintf("bytes=%d-%d", n/3, 2*n/3): data[n/3 : 2*n/3+1], fmt.Sprintf("bytes=1-%d", 2*n): data[1:],
	} {
		w := g.get(u, "Range", spec, "If-Range", etag)
		require.Equal(t, 206, w.Code, spec)
		require.Equal(t, want, w.Body.String(), spec)
		require.Contains(t, w.Header().Get("Content-Range"), "/"+strconv.Itoa(n))
		require.Equal(t, "max-age=1209600, immutable", w.Header().Get("Cache-Control"))
	}
	w := g.get(u, "Range", "bytes=0-3", "If-Range", `"other"`)
	require.Equal(t, 200, w.Code)
	require.Equal(t, data, w.Body.String())
	w = g.get(u, "Range", fmt.Sprintf("bytes=%d-", n))
	require.Equal(t, 416, w.Code)
	require.Equal(t, fmt.Sprintf("bytes */%d", n), w.Header().Get("Content-Range"))
	requireRefused(t, w, "RequestedRangeNotSatisfiableException", "range")
	w = g.get(u, "Range", "bytes=7-3")
	require.Equal(t, 416, w.Code, "not a range at all")
	require.Empty(t, w.Header().Get("Content-Range"))
	requireRefused(t, w, "RequestedRangeNotSatisfiableException", "range")
	w = g.get(u, "If-Match", `"other"`)
	require.Equal(t, 412, w.Code)
	requireRefused(t, w, "PreconditionFailedException", "precondition")
	w = g.do(http.MethodHead, u, "Range", fmt.Sprintf("bytes=%d-", n))
	require.Equal(t, 416, w.Code)
	require.Empty(t, w.Body.String())
}

// requireRefused requires the body that says why, and that no cache keeps it for long.
func requireRefused(t *testing.T, w *httptest.ResponseRecorder, kind, reason string) {
	t.Helper()
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Equal(t, kind, w.Header().Get("X-Amzn-Errortype"))
	require.Empty(t, w.Header().Get("Cache-Control"))
	require.Empty(t, w.Header().Get("Etag"))
	var body struct{ Message, Reason, RequestId string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body), w.Body)
	require.Equal(t, reason, body.Reason)
	require.NotEmpty(t, body.Message)
	require.Equal(t, w.Header().Get("X-Amzn-Requestid"), body.RequestId)
}

func TestRefusalsSayHowLongTheyHold(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	require.Equal(t, "max-age=1", g.get(entries[0].path()).Header().Get("Cache-Control"), "a channel may come")
	g.push(0, 9)
	for path, cache := range map[string]string{
		"cmaf/segment_video_" + itoa(number(10)) + ".mp4":       "max-age=1",
		"cmaf/segment_video_" + itoa(number(-10)) + ".mp4":      "",
		"cmaf/segment_nothing_" + itoa(number(3)) + ".mp4":      "",
		"cmaf/segment_video_00000000_init.mp4":                  "",
		"cmaf/other.m3u8":                                       "",
		"cmaf/index_nothing.m3u8":                               "",
		"cmaf/index_video.audio.m3u8":                           "",
		"ts/segment_audio.video_" + itoa(number(3)) + ".ts":     "",
		"ts/segment_video.video_" + itoa(number(3)) + ".ts":     "",
		"ism/index.ism/QualityLevels(2000)/Fragments(video=20)": "",
		"none/index.m3u8":                                       "",
		"cmaf/":                                                 "",
	} {
		w := g.get("/out/v1/default/ch/" + path)
		require.Equal(t, 404, w.Code, "%s: %s", path, w.Body)
		require.Equal(t, cache, w.Header().Get("Cache-Control"), path)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"), path)
		require.Contains(t, w.Body.String(), `"Reason":"`)
		require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"), "players may read why")
	}
	require.Empty(t, g.get(entries[0].path()+"?start=x").Header().Get("Cache-Control"))
}

func TestMethodsAndCORS(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 9)
	for _, path := range []string{entries[0].path(), timePath} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "TRACE", "NONSENSE"} {
			w := g.do(method, path)
			require.Equal(t, 405, w.Code, method)
			require.Equal(t, "GET, HEAD, OPTIONS", w.Header().Get("Allow"))
		}
		w := g.get(path)
		require.Equal(t, 200, w.Code)
		require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"))
		require.Regexp(t, "^[A-Z0-9]{26}$", w.Header().Get("X-Amzn-RequestId"))
		w = g.get(path, "Origin", "https://player.example")
		require.Equal(t, "https://player.example", w.Header().Get("Access-Control-Allow-Origin"))
		require.Contains(t, w.Header().Get("Vary"), "Origin")
		require.Contains(t, w.Header().Get("Access-Control-Expose-Headers"), "Content-Range")
		w = g.do("OPTIONS", path, "Origin", "https://player.example", "Access-Control-Request-Method", "GET",
			"Access-Control-Request-Headers", "range, cmcd-session")
		require.Equal(t, 204, w.Code)
		require.Equal(t, "range, cmcd-session", w.Header().Get("Access-Control-Allow-Headers"))
		require.Equal(t, "GET, HEAD, OPTIONS", w.Header().Get("Access-Control-Allow-Methods"))
		require.Empty(t, w.Body.String())
	}
	require.Equal(t, "no-store", g.get(timePath).Header().Get("Cache-Control"))
}

func TestDASHTellsTheTimeAsTheClientReachedUs(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 9)
	require.Contains(t, g.get("http://a.example/out/v1/default/ch/cmaf/index.mpd").Body.String(), `value="http://a.example/time"`)
	require.Contains(t, g.get("http://b.example/out/v1/default/ch/cmaf/index.mpd").Body.String(), `value="http://b.example/time"`)
	r := httptest.NewRequest("GET", "http://a.example/out/v1/default/ch/cmaf/index.mpd", nil)
	r.RemoteAddr = "127.0.0.1:4"
	r.Header.Set("X-Forwarded-Proto", "https")
	w := httptest.NewRecorder()
	g.public.ServeHTTP(w, r)
	require.Contains(t, w.Body.String(), `value="https://a.example/time"`)

	for _, header := range []string{"Via", "X-Forwarded-For", "Forwarded", "X-Amz-Cf-Id"} {
		w := g.get("http://c.example/out/v1/default/ch/cmaf/index.mpd", header, "192.0.2.1")
		require.Contains(t, w.Body.String(), `value="/time"`, "what a viewer calls us is not for those who share a cache")
	}
	g.server.playback = playback.New(segments{g.server.cfg.Store}, playback.Options{Now: g.now, TimePath: timePath,
		PublicURL: "https://live.example/"})
	w = g.get("http://d.example/out/v1/default/ch/cmaf/index.mpd")
	require.Contains(t, w.Body.String(), `value="https://live.example/time"`)
}

// fileSink is a ResponseWriter that remembers what it was told to read from.
type fileSink struct {
	*httptest.ResponseRecorder
	from io.Reader
}

func (s *fileSink) ReadFrom(src io.Reader) (int64, error) {
	s.from = src
	return io.Copy(struct{ io.Writer }{s.ResponseRecorder}, src)
}

func TestStoredSegmentsAreSentAsFiles(t *testing.T) {
	g := newRig(t, func(now func() time.Time) (storage.Driver, storage.Journal) {
		e, err := fs.Open(t.TempDir(), fs.Options{NoSync: true, Now: now})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, e.Close()) })
		return e, e
	}, endpointsOf(standard())...)
	g.push(0, 9)
	l, _ := g.play(host + entries[0].path())
	s := &fileSink{ResponseRecorder: httptest.NewRecorder()}
	g.public.ServeHTTP(s, httptest.NewRequest("GET", l.video().segments[3].url, nil))
	require.Equal(t, 200, s.Code)
	limited, ok := s.from.(*io.LimitedReader)
	require.True(t, ok, "sendfile needs ReadFrom to reach the connection: %T", s.from)
	require.IsType(t, &os.File{}, limited.R)
}

func TestPanicsStopNothingElse(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 9)
	panics := func(began bool) http.Handler {
		return g.server.framed(recovered(func(w http.ResponseWriter, _ *http.Request) {
			if began {
				_, _ = io.WriteString(w, "half")
			}
			panic("on purpose")
		}))
	}
	w := httptest.NewRecorder()
	panics(false).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, 500, w.Code)
	require.Contains(t, w.Body.String(), `"Reason":"internal"`)
	require.NotContains(t, w.Body.String(), "on purpose")
	w = httptest.NewRecorder()
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { panics(true).ServeHTTP(w, httptest.NewRequest("GET", "/", nil)) })
	require.Equal(t, "half", w.Body.String(), "nothing is added to an answer that has begun")
	require.Equal(t, 200, g.get(entries[0].path()).Code)
}

func TestAClientThatLeavesFailsNoOther(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 9)
	l, _ := g.play(host + entries[3].path())
	u := l.video().segments[0].url
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			r := httptest.NewRequest("GET", u, nil)
			if i%2 == 0 {
				r = r.WithContext(gone)
			}
			w := httptest.NewRecorder()
			g.public.ServeHTTP(w, r)
			if i%2 == 1 && w.Code != 200 {
				t.Errorf("request %d: %d %s", i, w.Code, w.Body)
			}
		})
	}
	all.Wait()
}

func TestARealConnectionIsAnsweredAlike(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 9)
	s := httptest.NewServer(g.public)
	defer s.Close()
	l, _ := g.play(host + entries[0].path())
	for _, u := range l.urls() {
		resp, err := s.Client().Get(s.URL + strings.TrimPrefix(u, host))
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, g.get(u).Body.String(), string(body))
	}
	// A path that is not normal is not redirected.
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET //out/v1/default//ch/cmaf/%69ndex.m3u8 HTTP/1.0\r\n\r\n")
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), "200 OK")
}

package objects

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/container"
	"headwater/origin/inflight"
	"headwater/origin/reply"
	"headwater/storage"
	"headwater/storage/fs"
	"headwater/storage/mem"
)

// rig is a container behind a real listener.
type rig struct {
	t         *testing.T
	url       string
	container *container.Container
	registry  *container.Registry
	engine    engine
	now       time.Time
	deny      Operation // refused
	digest    string    // signed
	opt       Options
}

type engine interface {
	storage.Driver
	storage.Journal
	storage.Index
}

var errDenied = errors.New("denied")

func (g *rig) Authorize(_ *http.Request, _ *container.Container, op Operation, _ string) (Requester, error) {
	if op == g.deny {
		return Requester{}, errDenied
	}
	return Requester{Name: "anonymous", Digest: g.digest}, nil
}

func answers() reply.Table {
	line := func(err error, status int, kind string) reply.Rule {
		return reply.Rule{Err: err, Answer: reply.Answer{Status: status, Type: kind, Reason: "r", Text: kind, Detail: true}}
	}
	return reply.Table{line(container.ErrInvalid, 400, "ValidationException"), line(container.ErrNotFound, 404, "ContainerNotFoundException"),
		line(errDenied, 403, "AccessDeniedException"), line(ErrStalled, 408, "RequestTimeoutException"), line(ErrNoCORS, 403, "AccessDeniedException")}
}

func newRig(t *testing.T, change ...func(*rig)) *rig {
	t.Helper()
	g := &rig{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	g.engine = mem.New(func() time.Time { return g.now })
	for _, f := range change {
		f(g)
	}
	var err error
	g.registry, err = container.Open(t.Context(), g.engine, container.Options{Account: container.Account{ID: "123456789012", Region: "eu-west-1"},
		Now: func() time.Time { return g.now }})
	require.NoError(t, err)
	g.container, err = g.registry.Create(t.Context(), "blogdemo", nil)
	require.NoError(t, err)
	g.opt.Store, g.opt.Index, g.opt.InFlight, g.opt.Access = storage.New(g.engine, storage.Options{}), g.engine, &inflight.Objects{}, g
	g.opt.Now = func() time.Time { return g.now }
	g.opt.Exists = func(c *container.Container) bool { _, err := g.registry.Get(c.Name); return err == nil }
	h := New(g.opt)
	srv := httptest.NewServer(reply.Requests(slog.New(slog.DiscardHandler), answers())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.Serve(w, r, g.container, r.URL.Path)
	})))
	t.Cleanup(srv.Close)
	g.url = srv.URL
	return g
}

// onFiles has the rig use the file engine.
func onFiles(g *rig) {
	e, err := fs.Open(g.t.TempDir(), fs.Options{NoSync: true, Now: func() time.Time { return g.now }})
	require.NoError(g.t, err)
	g.t.Cleanup(func() { require.NoError(g.t, e.Close()) })
	g.engine = e
}

// answer is what came back.
type answer struct {
	*http.Response
	body string
}

func (g *rig) do(method, path string, body io.Reader, headers ...string) answer {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, body)
	require.NoError(g.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(g.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(g.t, err)
	return answer{res, string(b)}
}

func (g *rig) put(path, body string, headers ...string) stored {
	g.t.Helper()
	res := g.do(http.MethodPut, path, strings.NewReader(body), headers...)
	require.Equal(g.t, 200, res.StatusCode, res.body)
	var s stored
	require.NoError(g.t, json.Unmarshal([]byte(res.body), &s))
	return s
}

// refused requires an error of a status and kind in MediaStore's form.
func refused(t *testing.T, res answer, status int, kind string) {
	t.Helper()
	require.Equal(t, status, res.StatusCode, res.body)
	require.Equal(t, kind, res.Header.Get("X-Amzn-Errortype"))
	require.NotEmpty(t, res.Header.Get("X-Amzn-Requestid"))
	if res.Request.Method != http.MethodHead {
		var e struct{ Message string }
		require.NoError(t, json.Unmarshal([]byte(res.body), &e))
		require.NotEmpty(t, e.Message)
	}
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func TestAnObjectComesBackAsItWasPut(t *testing.T) {
	for name, change := range map[string]func(*rig){"in memory": func(*rig) {}, "in files": onFiles} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, change)
			res := g.do(http.MethodPut, "/live/index.m3u8", strings.NewReader("#EXTM3U"), "Content-Type", "application/x-mpegURL",
				"Cache-Control", "max-age=6, public", "X-Amz-Storage-Class", "TEMPORAL")
			require.Equal(t, 200, res.StatusCode)
			require.Len(t, res.body, 184, "as long as MediaStore's (reference 1.2)")
			var s stored
			require.NoError(t, json.Unmarshal([]byte(res.body), &s))
			require.Equal(t, sum("#EXTM3U"), s.ContentSHA256)
			require.Regexp(t, "^[0-9a-f]{64}$", s.ETag)
			require.NotEqual(t, s.ContentSHA256, s.ETag)
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				res := g.do(method, "/live/index.m3u8", nil)
				require.Equal(t, 200, res.StatusCode)
				require.Equal(t, s.ETag, res.Header.Get("ETag"), "bare")
				require.Equal(t, "application/x-mpegURL", res.Header.Get("Content-Type"))
				require.Equal(t, "max-age=6, public", res.Header.Get("Cache-Control"))
				require.Equal(t, "Sun, 01 Mar 2026 12:00:00 GMT", res.Header.Get("Last-Modified"))
				require.Equal(t, int64(7), res.ContentLength)
				require.Equal(t, map[string]string{http.MethodGet: "#EXTM3U", http.MethodHead: ""}[method], res.body)
			}
			require.Equal(t, 200, g.do(http.MethodDelete, "/live/index.m3u8", nil).StatusCode)
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete} {
				refused(t, g.do(method, "/live/index.m3u8", nil), 404, "ObjectNotFoundException")
			}
		})
	}
}

func TestWithoutHeadersThereAreDefaults(t *testing.T) {
	g := newRig(t)
	g.put("/a.ts", "x")
	res := g.do(http.MethodGet, "/a.ts", nil)
	require.Equal(t, "application/octet-stream", res.Header.Get("Content-Type"))
	require.NotContains(t, res.Header, "Cache-Control")
}

func TestSlashesAreCollapsed(t *testing.T) {
	g := newRig(t)
	g.put("//a///b", "x")
	require.Equal(t, "x", g.do(http.MethodGet, "/a/b", nil).body)
}

func TestARangeIsOne(t *testing.T) {
	g := newRig(t)
	g.put("/a", "0123456789")
	for spec, want := range map[string]struct {
		body, header string
	}{
		"bytes=0-3": {"0123", "bytes 0-3/10"}, "bytes=8-": {"89", "bytes 8-9/10"}, "bytes=-3": {"789", "bytes 7-9/10"}, "bytes=5-99": {"56789", "bytes 5-9/10"},
		"bytes=-99": {"0123456789", "bytes 0-9/10"},
	} {
		res := g.do(http.MethodGet, "/a", nil, "Range", spec)
		require.Equal(t, 206, res.StatusCode, spec)
		require.Equal(t, want.body, res.body)
		require.Equal(t, want.header, res.Header.Get("Content-Range"))
	}
	for _, spec := range []string{"bytes=0-1,3-4", "items=0-1", "bytes=", "bytes=-", "bytes=a-b", "bytes=3-1", "bytes=+1-2", "bytes=1-99999999999999999999"} {
		res := g.do(http.MethodGet, "/a", nil, "Range", spec)
		require.Equal(t, 200, res.StatusCode, spec)
		require.Equal(t, "0123456789", res.body)
	}
	for _, spec := range []string{"bytes=10-", "bytes=10-20", "bytes=-0"} {
		res := g.do(http.MethodGet, "/a", nil, "Range", spec)
		refused(t, res, 416, "RequestedRangeNotSatisfiableException")
		require.Equal(t, "bytes */10", res.Header.Get("Content-Range"))
	}
	require.Equal(t, 200, g.do(http.MethodHead, "/a", nil, "Range", "bytes=0-3").StatusCode)
}

func TestConditionalRequestsAreIgnoredUnlessAskedFor(t *testing.T) {
	g := newRig(t)
	s := g.put("/a", "x")
	require.Equal(t, 200, g.do(http.MethodGet, "/a", nil, "If-None-Match", s.ETag).StatusCode)
	require.Equal(t, 200, g.do(http.MethodGet, "/a", nil, "If-Match", `"other"`).StatusCode)

	g = newRig(t, func(g *rig) { g.opt.Conditional = true })
	s = g.put("/a", "x")
	for _, tag := range []string{s.ETag, `"` + s.ETag + `"`, `W/"` + s.ETag + `"`, "*", `"b", "` + s.ETag + `"`} {
		res := g.do(http.MethodGet, "/a", nil, "If-None-Match", tag)
		require.Equal(t, 304, res.StatusCode, tag)
		require.Empty(t, res.body)
	}
	require.Equal(t, 200, g.do(http.MethodGet, "/a", nil, "If-None-Match", `"b"`).StatusCode)
	require.Equal(t, 304, g.do(http.MethodGet, "/a", nil, "If-Modified-Since", "Sun, 01 Mar 2026 12:00:00 GMT").StatusCode)
	require.Equal(t, 200, g.do(http.MethodGet, "/a", nil, "If-Modified-Since", "Sun, 01 Mar 2026 11:59:59 GMT").StatusCode)
}

func TestBadRequestsNameTheirRule(t *testing.T) {
	g := newRig(t, func(g *rig) { g.opt.MaxObject, g.opt.MaxStreaming = 10, 5 })
	for name, tt := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		kind, text         string
	}{
		"a space":                     {"PUT", "/a%20b", "", nil, 400, "ValidationException", "letters, digits"},
		"too many folders":            {"PUT", "/" + strings.Repeat("a/", 11) + "b", "", nil, 400, "ValidationException", "10 folders"},
		"a path that is too long":     {"PUT", "/" + strings.Repeat("a", 901), "", nil, 400, "ValidationException", "900"},
		"a path that ends in a slash": {"PUT", "/a/", "", nil, 400, "ValidationException", "slash"},
		"a folder":                    {"GET", "/a/", "", nil, 404, "ObjectNotFoundException", ""},
		"another storage class":       {"PUT", "/a", "", []string{"X-Amz-Storage-Class", "STANDARD"}, 400, "ValidationException", "TEMPORAL"},
		"another availability":        {"PUT", "/a", "", []string{"X-Amz-Upload-Availability", "LATER"}, 400, "ValidationException", "STREAMING"},
		"a body that is too long":     {"PUT", "/a", "01234567890", nil, 413, "RequestEntityTooLargeException", ""},
		"a stream that is too long":   {"PUT", "/a", "012345", []string{"X-Amz-Upload-Availability", "streaming"}, 413, "RequestEntityTooLargeException", ""},
		"a method of no object":       {"POST", "/a", "", nil, 405, "MethodNotAllowedException", ""},
		"a method of no container":    {"PUT", "/", "", nil, 405, "MethodNotAllowedException", ""},
		"the head of a container":     {"HEAD", "/", "", nil, 405, "MethodNotAllowedException", ""},
		"a page of nothing":           {"GET", "/?MaxResults=0", "", nil, 400, "ValidationException", "MaxResults"},
		"a page that is too long":     {"GET", "/?MaxResults=1001", "", nil, 400, "ValidationException", "MaxResults"},
		"a token from nowhere":        {"GET", "/?NextToken=abc", "", nil, 400, "ValidationException", "NextToken"},
		"a list of a bad folder":      {"GET", "/?Path=a%20b", "", nil, 400, "ValidationException", "letters"},
	} {
		t.Run(name, func(t *testing.T) {
			res := g.do(tt.method, tt.path, strings.NewReader(tt.body), tt.headers...)
			refused(t, res, tt.status, tt.kind)
			require.Contains(t, res.body, tt.text)
		})
	}
	res := g.do(http.MethodPut, "/a", io.MultiReader(strings.NewReader("0123456789"), strings.NewReader("0")))
	refused(t, res, 413, "RequestEntityTooLargeException")
	refused(t, g.do(http.MethodGet, "/a", nil), 404, "ObjectNotFoundException")
}

func TestAPathIsAnObjectOrAFolder(t *testing.T) {
	g := newRig(t)
	g.put("/a/b/c", "x")
	for _, path := range []string{"/a", "/a/b", "/a/b/c/d"} {
		res := g.do(http.MethodPut, path, strings.NewReader("x"))
		refused(t, res, 400, "ValidationException")
		require.Contains(t, res.body, "cannot be")
	}
	g.put("/a/b/c", "again")
}

func TestWhatIsRefusedIsNotStored(t *testing.T) {
	g := newRig(t)
	g.deny = PutObject
	refused(t, g.do(http.MethodPut, "/a", strings.NewReader("x")), 403, "AccessDeniedException")
	refused(t, g.do(http.MethodGet, "/a", nil), 404, "ObjectNotFoundException")
	g.deny = DescribeObject
	refused(t, g.do(http.MethodHead, "/a", nil), 403, "AccessDeniedException")
}

func TestABodyThatIsNotTheSignedOneIsNotStored(t *testing.T) {
	g := newRig(t)
	g.put("/a", "old")
	g.digest = sum("x")
	refused(t, g.do(http.MethodPut, "/a", strings.NewReader("y")), 400, "ValidationException")
	g.digest = ""
	require.Equal(t, "old", g.do(http.MethodGet, "/a", nil).body)
	g.digest = sum("x")
	g.put("/a", "x")
}

func TestABodyThatBreaksOffLeavesWhatWasThere(t *testing.T) {
	g := newRig(t, func(g *rig) { g.opt.Idle = 50 * time.Millisecond })
	g.put("/a", "old")
	r, w := io.Pipe()
	defer w.Close()
	go func() { _, _ = w.Write([]byte("new")) }()
	res := g.do(http.MethodPut, "/a", r)
	refused(t, res, 408, "RequestTimeoutException")
	require.Equal(t, "old", g.do(http.MethodGet, "/a", nil).body)
}

func TestAListIsOneLevelDeep(t *testing.T) {
	for name, change := range map[string]func(*rig){"in memory": func(*rig) {}, "in files": onFiles} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, change)
			g.now = g.now.Add(379 * time.Millisecond)
			s := g.put("/b/index.m3u8", "12345", "Content-Type", "application/x-mpegURL")
			for _, p := range []string{"/a", "/b/seg/1", "/b/seg/2", "/b/seg/deep/3", "/b-2", "/b/zz"} {
				g.put(p, "")
			}
			require.JSONEq(t, `{"Items":[{"Name":"a","Type":"OBJECT"},{"Name":"b-2","Type":"OBJECT"},{"Name":"b","Type":"FOLDER"}]}`, g.names("/"))
			for _, path := range []string{"b", "b/", "/b", "/b/", "b%2F"} {
				res := g.do(http.MethodGet, "/?Path="+path, nil)
				require.Equal(t, "application/json", res.Header.Get("Content-Type"))
				require.Contains(t, res.body, fmt.Sprintf(`{"Name":"index.m3u8","Type":"OBJECT","ETag":%q,"LastModified":1772366400.379,`+
					`"ContentType":"application/x-mpegURL","ContentLength":5},{"Name":"seg","Type":"FOLDER"},`, s.ETag), path)
			}
			require.Equal(t, `{"Items":[]}`, g.do(http.MethodGet, "/?Path=none", nil).body)
		})
	}
}

// names lists a page, without what objects have.
func (g *rig) names(path string) string {
	var p struct {
		Items     []struct{ Name, Type string }
		NextToken string `json:",omitempty"`
	}
	require.NoError(g.t, json.Unmarshal([]byte(g.do(http.MethodGet, path, nil).body), &p))
	out, err := json.Marshal(p)
	require.NoError(g.t, err)
	return string(out)
}

func TestPagesAreOneAfterTheOther(t *testing.T) {
	g := newRig(t)
	var want []string
	for i := range 25 {
		g.put(fmt.Sprintf("/d/%02d/a", i), "")
		g.put(fmt.Sprintf("/d/%02d/b", i), "")
		want = append(want, fmt.Sprintf("%02d", i))
	}
	var got []string
	next := ""
	for pages := 0; ; pages++ {
		require.Less(t, pages, 5)
		var p page
		require.NoError(t, json.Unmarshal([]byte(g.do(http.MethodGet, "/?Path=d&MaxResults=7&NextToken="+url.QueryEscape(next), nil).body), &p))
		for _, it := range p.Items {
			got = append(got, it.Name)
		}
		if next = p.NextToken; next == "" {
			break
		}
		refused(t, g.do(http.MethodGet, "/?NextToken="+url.QueryEscape(next), nil), 400, "ValidationException")
	}
	require.Equal(t, want, got)
	var p page
	require.NoError(t, json.Unmarshal([]byte(g.do(http.MethodGet, "/?Path=d&MaxResults=25", nil).body), &p))
	require.Empty(t, p.NextToken, "nothing follows")
	require.NoError(t, json.Unmarshal([]byte(g.do(http.MethodGet, "/?Path=d&MaxResults=1", nil).body), &p))
	g.now = g.now.Add(16 * time.Minute)
	refused(t, g.do(http.MethodGet, "/?Path=d&NextToken="+url.QueryEscape(p.NextToken), nil), 400, "ValidationException")
}

func TestTransientObjectsAreInNoListAndGoOnTime(t *testing.T) {
	g := newRig(t)
	var err error
	g.container, err = g.registry.Change(t.Context(), "blogdemo", func(c *container.Container) error {
		c.Lifecycle = `{"rules":[{"definition":{"path":[{"wildcard":"*.m3u8"}],"seconds_since_create":[{"numeric":[">",15]}]},"action":"EXPIRE"}]}`
		return nil
	})
	require.NoError(t, err)
	g.put("/a.m3u8", "x")
	g.put("/a.ts", "x")
	require.JSONEq(t, `{"Items":[{"Name":"a.ts","Type":"OBJECT"}]}`, g.names("/"))
	g.now = g.now.Add(15 * time.Second)
	require.Equal(t, 200, g.do(http.MethodGet, "/a.m3u8", nil).StatusCode)
	g.now = g.now.Add(time.Second)
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete} {
		refused(t, g.do(method, "/a.m3u8", nil), 404, "ObjectNotFoundException")
	}
	g.put("/a.m3u8", "again")
	require.Equal(t, "again", g.do(http.MethodGet, "/a.m3u8", nil).body)
}

func TestCORSHeadersAreOnRefusalsToo(t *testing.T) {
	g := newRig(t)
	var err error
	g.container, err = g.registry.Change(t.Context(), "blogdemo", func(c *container.Container) error {
		c.CORS = []container.CORSRule{{AllowedOrigins: []string{"*"}, AllowedMethods: []string{"GET"}, AllowedHeaders: []string{"*"}}}
		return nil
	})
	require.NoError(t, err)
	res := g.do(http.MethodGet, "/none", nil, "Origin", "https://player.example")
	refused(t, res, 404, "ObjectNotFoundException")
	require.Equal(t, "*", res.Header.Get("Access-Control-Allow-Origin"))
	g.deny = GetObject
	res = g.do(http.MethodOptions, "/none", nil, "Origin", "https://player.example", "Access-Control-Request-Method", "GET")
	require.Equal(t, 200, res.StatusCode, "a preflight is answered by the CORS policy alone")
	refused(t, g.do(http.MethodOptions, "/none", nil, "Origin", "https://player.example", "Access-Control-Request-Method", "PUT"), 403, "AccessDeniedException")
}

func TestWhatIsPutIntoAContainerThatGoesIsNotKept(t *testing.T) {
	g := newRig(t)
	require.NoError(t, g.registry.Delete(t.Context(), "blogdemo", func(*container.Container) (bool, error) { return true, nil }))
	refused(t, g.do(http.MethodPut, "/a", strings.NewReader("x")), 404, "ContainerNotFoundException")
	for range g.engine.Attributed(t.Context(), g.container.ID, "", "") {
		require.Fail(t, "it is there")
	}
}

func TestAStreamIsReadWhileItIsWritten(t *testing.T) {
	for name, change := range map[string]func(*rig){"in memory": func(*rig) {}, "in files": onFiles} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, change)
			g.put("/a", "old")
			r, w := io.Pipe()
			done := make(chan stored)
			go func() { done <- g.put("/a", "", "X-Amz-Upload-Availability", "STREAMING") }() // replaced below
			<-done
			go func() {
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, g.url+"/a", r)
				req.Header.Set("X-Amz-Upload-Availability", "streaming")
				req.Header.Set("Content-Type", "video/mp4")
				res, err := http.DefaultTransport.RoundTrip(req)
				if err != nil {
					close(done)
					return
				}
				defer res.Body.Close()
				var s stored
				_ = json.NewDecoder(res.Body).Decode(&s)
				done <- s
			}()
			_, err := w.Write([]byte("one"))
			require.NoError(t, err)
			var res *http.Response
			require.Eventually(t, func() bool {
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+"/a", nil)
				req.Header.Set("Range", "bytes=1-2")
				res, err = http.DefaultTransport.RoundTrip(req)
				return err == nil && res.Header.Get("Content-Type") == "video/mp4"
			}, 5*time.Second, 5*time.Millisecond)
			defer res.Body.Close()
			require.Equal(t, 200, res.StatusCode, "a range is ignored")
			require.Equal(t, int64(-1), res.ContentLength)
			part := make([]byte, 3)
			_, err = io.ReadFull(res.Body, part)
			require.NoError(t, err)
			require.Equal(t, "one", string(part))
			_, err = w.Write([]byte("two"))
			require.NoError(t, err)
			_, err = io.ReadFull(res.Body, part)
			require.NoError(t, err)
			require.Equal(t, "two", string(part))
			require.NoError(t, w.Close())
			s := <-done
			rest, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.Empty(t, rest)
			require.Equal(t, s.ETag, res.Header.Get("ETag"))
			after := g.do(http.MethodGet, "/a", nil)
			require.Equal(t, "onetwo", after.body)
			require.Equal(t, int64(6), after.ContentLength)
			require.Equal(t, s.ETag, after.Header.Get("ETag"))
		})
	}
}

func TestReadersOfAStreamWhoseWriterDiesSeeABrokenAnswer(t *testing.T) {
	g := newRig(t, onFiles)
	g.put("/a", "old")
	r, w := io.Pipe()
	go func() {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, g.url+"/a", r)
		req.Header.Set("X-Amz-Upload-Availability", "STREAMING")
		if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
			res.Body.Close()
		}
	}()
	_, err := w.Write([]byte("half"))
	require.NoError(t, err)
	var res *http.Response
	require.Eventually(t, func() bool {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+"/a", nil)
		res, err = http.DefaultTransport.RoundTrip(req)
		return err == nil && res.ContentLength < 0
	}, 5*time.Second, 5*time.Millisecond)
	defer res.Body.Close()
	_ = w.CloseWithError(errors.New("gone"))
	got, err := io.ReadAll(res.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.True(t, bytes.HasPrefix([]byte("half"), got))
	require.Eventually(t, func() bool { return g.do(http.MethodGet, "/a", nil).body == "old" }, 5*time.Second, 5*time.Millisecond,
		"what was there before is there again")
}

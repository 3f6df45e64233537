package objects

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/container"
)

// records are those that a rig observed.
type records struct {
	mu  sync.Mutex
	all []Record
}

func (s *records) add(r *Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, *r)
}

// take returns the next record, once it is there: an answer is read before its end is observed.
func (s *records) take(t *testing.T) (r Record) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.all) == 0 {
			return false
		}
		r, s.all = s.all[0], s.all[1:]
		return true
	}, 5*time.Second, time.Millisecond)
	return r
}

// observed is a rig whose requests are observed.
func observed(t *testing.T, change ...func(*rig)) (*rig, *records) {
	t.Helper()
	s := &records{}
	return newRig(t, append(change, func(g *rig) { g.opt.Observe = s.add })...), s
}

// changeContainer changes the rig's container.
func (g *rig) changeContainer(change func(*container.Container)) {
	g.t.Helper()
	c, err := g.registry.Change(g.t.Context(), "blogdemo", func(c *container.Container) error { change(c); return nil })
	require.NoError(g.t, err)
	g.container = c
}

const transientPlaylists = `{"rules":[{"definition":{"path":[{"wildcard":"*.m3u8"}],"seconds_since_create":[{"numeric":[">=",15]}]},"action":"EXPIRE"}]}`

func TestEachRequestIsObservedOnce(t *testing.T) {
	g, seen := observed(t, onFiles)
	g.changeContainer(func(c *container.Container) { c.Lifecycle = transientPlaylists })
	body := strings.Repeat("x", 1000)
	for _, c := range []struct {
		method, path, body  string
		op                  Operation
		seenPath, errorCode string
		status              int
		in, out             int64
		expires             bool
		headers             []string
	}{
		{method: "PUT", path: "//a/b.m3u8", body: body, op: PutObject, seenPath: "a/b.m3u8", status: 200, in: 1000, out: 184, expires: true},
		{method: "PUT", path: "/a/b.ts", body: body, op: PutObject, seenPath: "a/b.ts", status: 200, in: 1000, out: 184},
		{method: "GET", path: "/a/b.m3u8", op: GetObject, seenPath: "a/b.m3u8", status: 200, out: 1000, expires: true},
		{method: "GET", path: "/a/b.ts", op: GetObject, seenPath: "a/b.ts", status: 206, out: 10, headers: []string{"Range", "bytes=0-9"}},
		{method: "HEAD", path: "/a/b.ts", op: DescribeObject, seenPath: "a/b.ts", status: 200},
		{method: "HEAD", path: "/none", op: DescribeObject, seenPath: "none", status: 404, errorCode: "ObjectNotFoundException"},
		{method: "GET", path: "/?Path=a/", op: ListItems, seenPath: "a", status: 200, out: -1},
		{method: "GET", path: "/", op: ListItems, seenPath: "", status: 200, out: -1},
		{method: "PUT", path: "/a/../b", body: body, op: PutObject, status: 400, errorCode: "ValidationException", seenPath: "a/../b", out: -1},
		{method: "DELETE", path: "/a/b.ts", op: DeleteObject, seenPath: "a/b.ts", status: 200},
		{method: "POST", path: "/a/b.ts", seenPath: "a/b.ts", status: 405, errorCode: "MethodNotAllowedException", out: -1},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			res := g.do(c.method, c.path, strings.NewReader(c.body), c.headers...)
			r := seen.take(t)
			require.Equal(t, c.status, r.Status)
			require.Equal(t, res.StatusCode, r.Status)
			require.Equal(t, c.op, r.Operation)
			require.Equal(t, c.seenPath, r.Path)
			require.Equal(t, c.errorCode, r.ErrorCode)
			require.Equal(t, c.in, r.BytesIn)
			require.Equal(t, int64(len(res.body)), r.BytesOut)
			if c.out >= 0 {
				require.Equal(t, c.out, r.BytesOut)
			}
			require.Equal(t, c.expires, !r.Expires.IsZero())
			require.Equal(t, res.Header.Get("X-Amzn-Requestid"), r.RequestID)
			require.Equal(t, "127.0.0.1", r.Source)
			require.Equal(t, "blogdemo", r.Container.Name)
			if c.errorCode == "" || c.status == 404 {
				require.Equal(t, "anonymous", r.Requester)
			} else {
				require.Empty(t, r.Requester, "authorisation did not finish")
			}
		})
	}
	require.Empty(t, seen.all)
}

func TestWhoIsRefusedIsObservedWithoutRequester(t *testing.T) {
	g, seen := observed(t, func(g *rig) { g.deny = GetObject })
	refused(t, g.do(http.MethodGet, "/a", nil), 403, "AccessDeniedException")
	r := seen.take(t)
	require.Empty(t, r.Requester)
	require.Equal(t, "AccessDeniedException", r.ErrorCode)
	require.Equal(t, GetObject, r.Operation)
}

func TestTimesAreOfTheFirstAndLastBytes(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	g, seen := observed(t)
	g.opt.Now = func() time.Time { return now }
	body := &stepping{step: func() { now = now.Add(time.Second) }, left: 3}
	w := httptest.NewRecorder()
	New(g.opt).Serve(w, httptest.NewRequest(http.MethodPut, "/a", body), g.container, "/a")
	require.Equal(t, 200, w.Code)
	r := seen.take(t)
	require.Equal(t, 4*time.Second, r.Total, "three reads and the end of the body")
	require.Zero(t, r.Turnaround)
	require.Equal(t, now.Add(-4*time.Second), r.Received)
}

// stepping is a body of single bytes, before each of which time passes.
type stepping struct {
	step func()
	left int
}

func (s *stepping) Read(p []byte) (int, error) {
	s.step()
	if s.left--; s.left < 0 {
		return 0, io.EOF
	}
	return copy(p, "x"), nil
}

// sending is a writer that knows which of its methods were used.
type sending struct {
	*httptest.ResponseRecorder
	readFrom int64
}

func (s *sending) ReadFrom(src io.Reader) (int64, error) {
	n, err := io.Copy(struct{ io.Writer }{s.ResponseRecorder}, src)
	s.readFrom += n
	return n, err
}

func TestFilesAreStillSentByReadFrom(t *testing.T) {
	g, _ := observed(t, onFiles)
	g.put("/a", "0123456789")
	w := &sending{ResponseRecorder: httptest.NewRecorder()}
	New(g.opt).Serve(w, httptest.NewRequest(http.MethodGet, "/a", nil), g.container, "/a")
	require.Equal(t, int64(10), w.readFrom)
}

func TestAReaderWhoseWriterDiesIsObservedWithBoth200AndAnError(t *testing.T) {
	g, seen := observed(t, onFiles)
	w, res := stream(g, "half")
	_ = w.CloseWithError(io.ErrClosedPipe)
	_, err := io.ReadAll(res.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	ops := map[Operation]Record{}
	for len(ops) < 2 {
		r := seen.take(t)
		if r.Streaming {
			ops[r.Operation] = r
		}
	}
	require.Equal(t, 200, ops[GetObject].Status)
	require.Equal(t, CodeIncomplete, ops[GetObject].ErrorCode)
	require.Equal(t, int64(4), ops[GetObject].BytesOut)
	require.NotEmpty(t, ops[PutObject].ErrorCode)
	require.Equal(t, int64(4), ops[PutObject].BytesIn)
}

func TestAReaderWhoLeavesIsObserved(t *testing.T) {
	for name, put := range map[string]func(*rig) *http.Response{
		"a stored object": func(g *rig) *http.Response {
			g.put("/a", strings.Repeat("x", 20<<20))
			req, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.url+"/a", nil)
			require.NoError(g.t, err)
			res, err := http.DefaultTransport.RoundTrip(req)
			require.NoError(g.t, err)
			return res
		},
		"a growing one": func(g *rig) *http.Response {
			w, res := stream(g, "first")
			g.t.Cleanup(func() { _ = w.Close() })
			return res
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, seen := observed(t, onFiles)
			res := put(g)
			require.Equal(t, 200, res.StatusCode)
			res.Body.Close()
			for {
				if r := seen.take(t); r.Operation == GetObject && r.Status == 200 {
					require.Equal(t, CodeClientGone, r.ErrorCode)
					return
				}
			}
		})
	}
}

// panicking is an Authorizer with a defect.
type panicking struct{}

func (panicking) Authorize(*http.Request, *container.Container, Operation, string) (Requester, error) {
	panic("a defect")
}

func TestAPanicIsObservedAndGoesOn(t *testing.T) {
	g, seen := observed(t)
	g.opt.Access = panicking{}
	require.PanicsWithValue(t, "a defect", func() {
		New(g.opt).Serve(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/a", nil), g.container, "/a")
	})
	r := seen.take(t)
	require.Equal(t, 500, r.Status)
	require.Equal(t, "InternalServerError", r.ErrorCode)
}

// stream begins to put an object at /a that is read while it is written, and to read it.
func stream(g *rig, first string) (*io.PipeWriter, *http.Response) {
	g.t.Helper()
	r, w := io.Pipe()
	go func() {
		req, _ := http.NewRequestWithContext(g.t.Context(), http.MethodPut, g.url+"/a", r)
		req.Header.Set("X-Amz-Upload-Availability", "STREAMING")
		if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
			res.Body.Close()
		}
	}()
	_, err := w.Write([]byte(first))
	require.NoError(g.t, err)
	var res *http.Response
	require.Eventually(g.t, func() bool {
		req, _ := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.url+"/a", nil)
		if res, err = http.DefaultTransport.RoundTrip(req); err == nil && res.StatusCode != 200 {
			res.Body.Close()
			return false
		}
		return err == nil
	}, 5*time.Second, 5*time.Millisecond)
	g.t.Cleanup(func() { res.Body.Close() })
	return w, res
}

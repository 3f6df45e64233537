package transfer

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/container"
	"headwater/origin/inflight"
	"headwater/origin/objects"
	"headwater/origin/reply"
	"headwater/storage"
	"headwater/storage/mem"
)

// rig is a server with a container, and what a run left out.
type rig struct {
	t        *testing.T
	url      string // of the container
	access   func(*http.Request) error
	requests map[string]int // by method
	mu       sync.Mutex
	left     map[string]string
	opt      objects.Options
}

func (g *rig) Authorize(r *http.Request, _ *container.Container, _ objects.Operation, _ string) (objects.Requester, error) {
	g.mu.Lock()
	g.requests[r.Method]++
	g.mu.Unlock()
	if g.access != nil {
		return objects.Requester{}, g.access(r)
	}
	return objects.Requester{Name: "anonymous"}, nil
}

func newRig(t *testing.T, change ...func(*rig)) *rig {
	t.Helper()
	g := &rig{t: t, requests: map[string]int{}, left: map[string]string{}}
	engine := mem.New(time.Now)
	for _, f := range change {
		f(g)
	}
	registry, err := container.Open(t.Context(), engine, container.Options{Account: container.Account{ID: "123456789012", Region: "eu-west-1"}, Now: time.Now})
	require.NoError(t, err)
	c, err := registry.Create(t.Context(), "blogdemo", nil)
	require.NoError(t, err)
	g.opt.Store, g.opt.Index, g.opt.InFlight, g.opt.Access = storage.New(engine, storage.Options{}), engine, &inflight.Objects{}, g
	g.opt.Now, g.opt.Exists = time.Now, func(*container.Container) bool { return true }
	h := objects.New(g.opt)
	line := func(err error, status int, kind string) reply.Rule {
		return reply.Rule{Err: err, Answer: reply.Answer{Status: status, Type: kind, Reason: "r", Text: kind, Detail: true}}
	}
	table := reply.Table{line(container.ErrInvalid, 400, "ValidationException"), line(errDenied, 403, "AccessDeniedException")}
	srv := httptest.NewServer(reply.Requests(slog.New(slog.DiscardHandler), table)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.Serve(w, r, c, strings.TrimPrefix(r.URL.Path, "/containers/blogdemo"))
	})))
	t.Cleanup(srv.Close)
	g.url = srv.URL + "/containers/blogdemo"
	return g
}

func (g *rig) container(folder string, login Login) *Container {
	g.t.Helper()
	c, err := NewContainer(g.url+folder, login, time.Now)
	require.NoError(g.t, err)
	g.t.Cleanup(c.Close)
	return c
}

func (g *rig) folder(dir string) *Folder {
	g.t.Helper()
	f, err := OpenFolder(dir, true)
	require.NoError(g.t, err)
	g.t.Cleanup(func() { f.Close() })
	return f
}

// copy runs a copy, and keeps in left what it left out.
func (g *rig) copy(from, to Place) (Counts, error) { return g.copyIn(g.t.Context(), from, to) }

func (g *rig) copyIn(ctx context.Context, from, to Place) (Counts, error) {
	clear(g.left)
	clear(g.requests)
	r := &Run{From: from, To: to, Parallel: 4, LeftOut: func(path string, err error) { g.left[path] = err.Error() }}
	err := r.Do(ctx)
	return r.Counts(), err
}

// put uploads an object; headers are names and values.
func (g *rig) put(path, body string, headers ...string) {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodPut, g.url+path, strings.NewReader(body))
	require.NoError(g.t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(g.t, err)
	resp.Body.Close()
	require.Equal(g.t, http.StatusOK, resp.StatusCode)
}

func (g *rig) get(path string) (*http.Response, string) {
	g.t.Helper()
	resp, err := http.Get(g.url + path)
	require.NoError(g.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(g.t, err)
	return resp, string(body)
}

// files writes files of a folder; each has its name and content.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		full := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o755))
		require.NoError(t, os.WriteFile(full, []byte(text), 0o644))
	}
	return dir
}

// read returns the files of a folder.
func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(full string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, full)
		text, err := os.ReadFile(full)
		all[filepath.ToSlash(name)] = string(text)
		return err
	}))
	return all
}

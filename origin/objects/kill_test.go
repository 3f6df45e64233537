package objects

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/container"
	"headwater/origin/inflight"
	"headwater/origin/reply"
	"headwater/storage"
	"headwater/storage/fs"
)

// childDir is the environment variable that makes the test binary the server that is killed.
const childDir = "HEADWATER_OBJECTS_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, serveDir(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// everybody may do all.
type everybody struct{}

func (everybody) Authorize(*http.Request, *container.Container, Operation, string) (Requester, error) {
	return Requester{Name: "anonymous"}, nil
}

// serveDir serves a container of a directory, synced as in production, and prints its address.
func serveDir(dir string) error {
	e, err := fs.Open(dir, fs.Options{})
	if err != nil {
		return err
	}
	h := New(Options{Store: storage.New(e, storage.Options{}), Index: e, InFlight: &inflight.Objects{}, Access: everybody{},
		Exists: func(*container.Container) bool { return true }, Now: time.Now})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	c := &container.Container{ID: "killed", Name: "killed"}
	return http.Serve(l, reply.Requests(slog.New(slog.DiscardHandler), answers())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.Serve(w, r, c, r.URL.Path)
	})))
}

const (
	killRounds  = 20
	killWrites  = 1000 // acknowledged, at least
	killWriters = 8
	killPaths   = 5 // of a writer
)

// history is what one writer knows of one path: the version that was acknowledged last, and what may have taken its place since.
type history struct {
	acknowledged int // 0: there is none
	since        int // put, or (deletion) deleted, without an answer; 0: nothing
}

const deletion = -1

// versionOf is the content of a version of an object; it tells which it is.
func versionOf(path string, n int) []byte {
	head := fmt.Sprintf("%s %d\n", path, n)
	return append([]byte(head), bytes.Repeat([]byte{byte(n), byte(n >> 8), 'x'}, n*7919%70_000)...)
}

// killed is a server that is killed and started again, and what its clients know.
type killed struct {
	t     *testing.T
	dir   string
	url   string
	cmd   *exec.Cmd
	http  *http.Client
	acked atomic.Int64
	known [killWriters]map[string]*history
	next  [killWriters]int
}

func (k *killed) start() {
	k.t.Helper()
	binary, err := os.Executable()
	require.NoError(k.t, err)
	k.cmd = exec.Command(binary)
	k.cmd.Env = append(os.Environ(), childDir+"="+k.dir)
	k.cmd.Stderr = os.Stderr
	out, err := k.cmd.StdoutPipe()
	require.NoError(k.t, err)
	require.NoError(k.t, k.cmd.Start())
	var address string
	_, err = fmt.Fscanln(out, &address)
	require.NoError(k.t, err)
	k.url = "http://" + address
	k.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: killWriters}, Timeout: 30 * time.Second}
}

func (k *killed) kill() {
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()
	k.http.CloseIdleConnections()
}

// do sends a request; ok is false when the server died before it answered.
func (k *killed) do(method, path string, body []byte, headers ...string) (status int, got []byte, ok bool) {
	req, err := http.NewRequest(method, k.url+path, io.MultiReader(bytes.NewReader(body)))
	if err != nil {
		return 0, nil, false
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := k.http.Do(req)
	if err != nil {
		return 0, nil, false
	}
	defer res.Body.Close()
	got, err = io.ReadAll(res.Body)
	return res.StatusCode, got, err == nil
}

// write puts, overwrites and deletes the objects of a writer until the server dies. Every third is streamed.
func (k *killed) write(w int) error {
	for {
		k.next[w]++
		n := k.next[w]
		path := fmt.Sprintf("w%d/%d/object", w, rand.N(killPaths))
		h := k.known[w][path]
		if h == nil {
			h = &history{}
			k.known[w][path] = h
		}
		method, body, headers := http.MethodPut, versionOf(path, n), []string{"Content-Type", fmt.Sprint("v/", n)}
		h.since = n
		if n%5 == 0 && h.acknowledged > 0 {
			method, body, headers, h.since = http.MethodDelete, nil, nil, deletion
		} else if n%3 == 0 {
			headers = append(headers, "X-Amz-Upload-Availability", "STREAMING")
		}
		status, got, ok := k.do(method, "/"+path, body, headers...)
		if !ok {
			return nil
		}
		if status != http.StatusOK {
			return fmt.Errorf("%s %s: %d %s", method, path, status, got)
		}
		k.acked.Add(1)
		if h.acknowledged, h.since = h.since, 0; h.acknowledged == deletion {
			h.acknowledged = 0
		}
	}
}

// check compares what the server has with what it acknowledged, and its lists with its objects.
func (k *killed) check() {
	t := k.t
	listed := map[string]item{}
	k.list("", listed)
	for w := range k.known {
		for path, h := range k.known[w] {
			status, body, ok := k.do(http.MethodGet, "/"+path, nil)
			require.True(t, ok)
			found := 0
			if status != http.StatusNotFound {
				require.Equal(t, 200, status, "%s: %s", path, body)
				var name string
				_, err := fmt.Sscanf(string(body[:min(len(body), 100)]), "%s %d\n", &name, &found)
				require.NoError(t, err, "%s is torn", path)
				require.True(t, bytes.Equal(versionOf(path, found), body), "%s is torn", path)
			}
			switch {
			case found == h.acknowledged:
			case h.since == deletion && found == 0, h.since > 0 && found == h.since: // it was not answered any more
			default:
				t.Fatalf("%s is version %d: %d was acknowledged, then %d was under way", path, found, h.acknowledged, h.since)
			}
			h.acknowledged, h.since = found, 0
			line, inList := listed[path]
			require.Equal(t, found > 0, inList, "%s: the list and the object differ", path)
			if inList {
				require.Equal(t, int64(len(body)), *line.ContentLength)
				require.Equal(t, fmt.Sprint("v/", found), line.ContentType)
			}
			delete(listed, path)
		}
	}
	require.Empty(t, listed, "nobody has put it")
}

// list adds the objects in a folder, and below, to all.
func (k *killed) list(folder string, all map[string]item) {
	status, body, ok := k.do(http.MethodGet, "/?Path="+folder, nil)
	require.True(k.t, ok)
	require.Equal(k.t, 200, status)
	var p page
	require.NoError(k.t, json.Unmarshal(body, &p))
	for _, i := range p.Items {
		path := strings.TrimPrefix(folder+"/"+i.Name, "/")
		if i.Type == "FOLDER" {
			k.list(path, all)
			continue
		}
		all[path] = i
	}
}

func TestKilledAtAnyMomentNothingAcknowledgedIsLost(t *testing.T) {
	k := &killed{t: t, dir: t.TempDir()}
	for w := range k.known {
		k.known[w] = map[string]*history{}
	}
	k.start()
	defer func() { k.kill() }()
	rounds := 0
	for ; rounds < killRounds || k.acked.Load() < killWrites; rounds++ {
		var wg sync.WaitGroup
		errs := make([]error, killWriters)
		for w := range killWriters {
			wg.Go(func() { errs[w] = k.write(w) })
		}
		enough, patience := k.acked.Load()+rand.N[int64](2*killWrites/killRounds), time.Now().Add(10*time.Second)
		for k.acked.Load() < enough && time.Now().Before(patience) {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(rand.N(10 * time.Millisecond))
		k.kill()
		wg.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		k.start()
		k.check()
	}
	t.Logf("%d writes acknowledged over %d kills", k.acked.Load(), rounds)
}

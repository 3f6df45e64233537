//go:build bench

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// connections is how many clients ask at once in every row.
const connections = 16

// cost is what a server spent on one kind of request.
type cost struct {
	cpu      time.Duration // user and system time of the server per request
	p99      time.Duration
	rate     float64 // requests per second
	requests int
}

// clockTick is the unit of process times in /proc, fixed on Linux for programs.
const clockTick = 10 * time.Millisecond

// processTime returns the user and system time that a process and its children have used.
func processTime(t testing.TB, pid int) (total time.Duration) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+2:]))
	for _, f := range fields[11:13] { // utime, stime: fields 14 and 15 of proc(5)
		n, err := strconv.Atoi(f)
		require.NoError(t, err)
		total += time.Duration(n) * clockTick
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	require.NoError(t, err)
	for _, f := range tasks {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, child := range strings.Fields(string(b)) {
			n, err := strconv.Atoi(child)
			require.NoError(t, err)
			total += processTime(t, n)
		}
	}
	return total
}

var (
	wrkRate     = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	wrkRequests = regexp.MustCompile(`(\d+) requests in`)
	wrkP99      = regexp.MustCompile(`99%\s+([\d.]+)(us|ms|s|m)`)
	wrkRefused  = regexp.MustCompile(`Non-2xx or 3xx responses|Socket errors`)
)

// load asks for url with wrk and returns what that cost the process pid: the median of three runs.
func load(t testing.TB, pid int, url string, headers ...string) cost {
	t.Helper()
	runs := make([]cost, 3)
	for i := range runs {
		args := []string{"-t2", fmt.Sprintf("-c%d", connections), "-d3s", "--latency"}
		for _, h := range headers {
			args = append(args, "-H", h)
		}
		before := processTime(t, pid)
		out, err := exec.Command("wrk", append(args, url)...).CombinedOutput()
		spent := processTime(t, pid) - before
		require.NoError(t, err, "%s", out)
		require.NotRegexp(t, wrkRefused, string(out), url)
		rate, n, p99 := wrkRate.FindSubmatch(out), wrkRequests.FindSubmatch(out), wrkP99.FindSubmatch(out)
		require.True(t, rate != nil && n != nil && p99 != nil, "%s", out)
		runs[i].requests, err = strconv.Atoi(string(n[1]))
		require.NoError(t, err)
		runs[i].rate, err = strconv.ParseFloat(string(rate[1]), 64)
		require.NoError(t, err)
		runs[i].p99, err = time.ParseDuration(string(p99[1]) + string(p99[2]))
		require.NoError(t, err)
		runs[i].cpu = spent / time.Duration(runs[i].requests)
	}
	sort.Slice(runs, func(i, j int) bool { return runs[i].cpu < runs[j].cpu })
	return runs[1]
}

// once asks for each URL one time, at 16 connections, and returns what that cost the process pid.
func once(t testing.TB, pid int, urls []string, header http.Header) cost {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport}
	queue := make(chan string)
	var together sync.WaitGroup
	var mu sync.Mutex
	var took []time.Duration
	before, began := processTime(t, pid), time.Now()
	for range connections {
		together.Go(func() {
			for url := range queue {
				req, err := http.NewRequest(http.MethodGet, url, nil)
				if err != nil {
					t.Error(err)
					return
				}
				req.Header = header.Clone()
				at := time.Now()
				res, err := c.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK {
					t.Errorf("%s: %d %v", url, res.StatusCode, err)
				}
				mu.Lock()
				took = append(took, time.Since(at))
				mu.Unlock()
			}
		})
	}
	for _, u := range urls {
		queue <- u
	}
	close(queue)
	together.Wait()
	wall := time.Since(began)
	spent := processTime(t, pid) - before
	require.Len(t, took, len(urls))
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	return cost{spent / time.Duration(len(urls)), took[len(took)*99/100], float64(len(urls)) / wall.Seconds(), len(urls)}
}

// nginx serves a directory with one worker per core and returns its base URL and process.
func nginx(t testing.TB, root string, sendfile bool) (string, *process) {
	t.Helper()
	dir := t.TempDir()
	address := "127.0.0.1:" + strconv.Itoa(freePort(t))
	mode := map[bool]string{true: "on", false: "off"}[sendfile]
	config := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(config, []byte(`
daemon off; pid `+dir+`/pid; error_log `+dir+`/error.log; worker_processes auto; user root;
events { worker_connections 1024; }
http {
  access_log off; sendfile `+mode+`; tcp_nopush on; keepalive_requests 1000000000;
  client_body_temp_path `+dir+`; proxy_temp_path `+dir+`; fastcgi_temp_path `+dir+`; uwsgi_temp_path `+dir+`; scgi_temp_path `+dir+`;
  server { listen `+address+`; root `+root+`; }
}
`), 0o600))
	p := launch(t, "nginx", nil, lookPath("nginx"), "-p", dir, "-c", config)
	require.Eventually(t, func() bool { status, _ := fetch("http://" + address + "/"); return status != 0 }, 10*time.Second, 50*time.Millisecond)
	return "http://" + address, p
}

// bareEnv makes the test's own program serve one answer from memory: the least that a net/http server can do.
const bareEnv = "HEADWATER_BENCH_BARE"

// serveBare is that server; it does not return. spec is "address file", where the file holds header lines, an empty line and
// the body.
func serveBare(spec string) error {
	address, file, _ := strings.Cut(spec, " ")
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	lines, body, _ := bytes.Cut(b, []byte("\n\n"))
	header := http.Header{}
	for line := range strings.Lines(string(lines)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		header[name] = []string{value}
	}
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), header)
		_, _ = w.Write(body)
	}))
}

// bare starts it with a body and the header lines of an answer, and returns its URL and process.
func bare(t testing.TB, header http.Header, body []byte) (string, *process) {
	t.Helper()
	var b bytes.Buffer
	for name := range header {
		if name != "Date" { // which every server sets
			fmt.Fprintf(&b, "%s: %s\n", name, header.Get(name))
		}
	}
	b.WriteByte('\n')
	b.Write(body)
	file := filepath.Join(t.TempDir(), "answer")
	require.NoError(t, os.WriteFile(file, b.Bytes(), 0o600))
	address := "127.0.0.1:" + strconv.Itoa(freePort(t))
	p := launch(t, "bare server", []string{bareEnv + "=" + address + " " + file}, os.Args[0], "-test.run=^TestBare$")
	require.Eventually(t, func() bool { return answers("http://" + address + "/") }, 10*time.Second, 20*time.Millisecond)
	return "http://" + address + "/", p
}

// few are the header lines of an answer that says no more than it must.
func few(length int) http.Header {
	return http.Header{"Content-Type": {"application/octet-stream"}, "Content-Length": {strconv.Itoa(length)},
		"Cache-Control": {"max-age=1"}, "Etag": {`"0123456789abcdef"`}}
}

// TestBare is the other process of bare; in the bench itself it does nothing.
func TestBare(t *testing.T) {
	if spec := os.Getenv(bareEnv); spec != "" {
		require.NoError(t, serveBare(spec))
	}
}

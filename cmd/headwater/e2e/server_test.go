//go:build e2e || conformance || bench

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// program is the server under test, built once by TestMain unless HEADWATER_BIN names it.
var program = os.Getenv("HEADWATER_BIN")

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if program == "" {
			dir, err := os.MkdirTemp("", "headwater-e2e")
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			defer os.RemoveAll(dir)
			program = filepath.Join(dir, "headwater")
			build := exec.Command("go", "build", "-o", program, "headwater/cmd/headwater")
			build.Stdout, build.Stderr = os.Stdout, os.Stderr
			if err := build.Run(); err != nil {
				fmt.Fprintln(os.Stderr, "building the server:", err)
				return 1
			}
		}
		return m.Run()
	}())
}

// process is a program under the test's control. Its output goes to a file that is printed when the test fails.
type process struct {
	t    testing.TB
	name string
	log  string // path
	cmd  *exec.Cmd
	done chan struct{} // closed when the program has ended
	err  error         // how it ended; read after done
}

// launch starts a program in a process group of its own; whatever is left of it dies with the test.
func launch(t testing.TB, name string, env []string, program string, args ...string) *process {
	t.Helper()
	return launchWith(t, name, env, nil, program, args...)
}

// launchWith hands files on, as descriptor 3 and those that follow.
func launchWith(t testing.TB, name string, env []string, files []*os.File, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, done: make(chan struct{})}
	f, err := os.CreateTemp(t.TempDir(), strings.ReplaceAll(name, " ", "-")+"-*.log")
	require.NoError(t, err)
	p.log = f.Name()
	p.cmd = exec.Command(program, args...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.ExtraFiles = f, f, files
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, p.cmd.Start(), "starting %s", name)
	f.Close()
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s: %s\n%s", name, strings.Join(p.cmd.Args, " "), tail(p.output(), 6000))
		}
	})
	return p
}

// kill ends the program and its children at once and waits for the end.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// interrupt asks the program to end, as a user does, and waits; a program that does not listen is killed.
func (p *process) interrupt() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.kill()
	}
}

// running reports whether the program has not ended yet.
func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// output returns what the program has printed so far.
func (p *process) output() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// tail returns the last n bytes of s, from the beginning of a line.
func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	s = s[len(s)-n:]
	return "...\n" + s[strings.IndexByte(s, '\n')+1:]
}

// handed holds the ports that this run has given away, so that two servers never get the same.
var handed = struct {
	sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// freePort returns a loopback port on which nobody listens.
func freePort(t testing.TB) int {
	t.Helper()
	handed.Lock()
	defer handed.Unlock()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if !handed.ports[port] {
			handed.ports[port] = true
			return port
		}
	}
}

// server is a Headwater with ports and a data directory of its own.
type server struct {
	*process
	t      testing.TB
	verb   string // serve or demo
	port   int    // public listener
	admin  int    // admin listener
	data   string
	config string   // path of the configuration, or ""
	public *os.File // the public listener's socket where the test holds it, as a service manager does
}

// serve starts `headwater serve` with a configuration (YAML; "" for none) and waits until it is ready.
func serve(t testing.TB, config string) *server {
	t.Helper()
	s := &server{t: t, verb: "serve", port: freePort(t), admin: freePort(t), data: t.TempDir()}
	if config != "" {
		s.config = filepath.Join(t.TempDir(), "headwater.yaml")
		require.NoError(t, os.WriteFile(s.config, []byte(config), 0o600))
	}
	s.start()
	return s
}

// start runs the program, for the first time or again over the same data, and waits until it is ready.
func (s *server) start() {
	s.t.Helper()
	args := []string{s.verb, "--listen", s.host(), "--admin", "127.0.0.1:" + strconv.Itoa(s.admin), "--data", s.data}
	if s.config != "" {
		args = append(args, "--config", s.config)
	}
	if s.public != nil {
		handOn := []string{"-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"`, program}
		s.process = launchWith(s.t, "headwater", nil, []*os.File{s.public}, "sh", append(handOn, args...)...)
	} else {
		s.process = launch(s.t, "headwater", nil, program, args...)
	}
	deadline := time.Now().Add(15 * time.Second)
	for !answers(s.adminURL("/readyz")) {
		require.True(s.t, s.running(), "the server ended while starting:\n%s", tail(s.output(), 3000))
		require.True(s.t, time.Now().Before(deadline), "the server is not ready within 15 s:\n%s", tail(s.output(), 3000))
		time.Sleep(20 * time.Millisecond)
	}
}

// serveOnHeldSocket is serve, with a public listener that outlives the program.
func serveOnHeldSocket(t testing.TB) *server {
	t.Helper()
	s := &server{t: t, verb: "serve", port: freePort(t), admin: freePort(t), data: t.TempDir()}
	l, err := net.Listen("tcp", s.host())
	require.NoError(t, err)
	s.public, err = l.(*net.TCPListener).File()
	require.NoError(t, err)
	require.NoError(t, l.Close())
	t.Cleanup(func() { s.public.Close() })
	s.start()
	return s
}

// restart ends the program as a service manager does, and starts it again over the same data.
func (s *server) restart() {
	s.t.Helper()
	require.NoError(s.t, s.process.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-s.process.done:
	case <-time.After(20 * time.Second):
		require.Fail(s.t, "the server does not end", tail(s.output(), 3000))
	}
	s.start()
}

func (s *server) host() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// in returns the URL below which an encoder pushes to a channel of the default group.
func (s *server) in(channel string) string {
	return "http://" + s.host() + "/in/v1/default/1/" + channel
}

// out returns the URL of what a channel of the default group offers.
func (s *server) out(channel, rest string) string {
	return "http://" + s.host() + "/out/v1/default/" + channel + "/" + rest
}

func (s *server) adminURL(path string) string {
	return "http://127.0.0.1:" + strconv.Itoa(s.admin) + path
}

// Entry points of the endpoints that a channel has by default, below the channel's URL.
const (
	hlsManifest  = "cmaf/index.m3u8"
	dashManifest = "cmaf/index.mpd"
	tsManifest   = "ts/index.m3u8"
	mssManifest  = "ism/index.ism/Manifest"
)

// client gives up early, so that a server that hangs is noticed.
var client = &http.Client{Timeout: 15 * time.Second}

// answers reports whether a GET is answered with 200.
func answers(url string) bool {
	status, _ := fetch(url)
	return status == http.StatusOK
}

// fetch returns the status and the body of a GET; status 0 when there was no answer, with the error as the body.
func fetch(url string) (int, []byte) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return send(req)
}

// send returns the status and the body of the answer to a request; status 0 when there was none.
func send(req *http.Request) (int, []byte) {
	res, err := client.Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return res.StatusCode, b
}

// upload PUTs a body and returns the status and the body of the answer.
func upload(url string, body []byte) (int, []byte) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		return 0, []byte(err.Error())
	}
	return send(req)
}

// await polls URLs until each answers with 200.
func await(t testing.TB, within time.Duration, urls ...string) {
	t.Helper()
	deadline := time.Now().Add(within)
	for _, url := range urls {
		for {
			status, body := fetch(url)
			if status == http.StatusOK {
				break
			}
			require.True(t, time.Now().Before(deadline), "%s: %d after %v: %s", url, status, within, tail(string(body), 500))
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// resolve returns the URL that a reference in a manifest means.
func resolve(t testing.TB, base, reference string) string {
	t.Helper()
	b, err := url.Parse(base)
	require.NoError(t, err)
	u, err := b.Parse(reference)
	require.NoError(t, err)
	return u.String()
}

// lookPath finds a program of Debian that may be in a directory for administrators.
func lookPath(name string) string {
	if p := filepath.Join("/usr/sbin", name); exists(p) {
		return p
	}
	return name
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

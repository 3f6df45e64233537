package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"headwater/origin/channel"
	"headwater/origin/container"
)

// parseServe parses a command line as the program does, and returns serve's flags.
func parseServe(t *testing.T, args ...string) flags {
	t.Helper()
	var c cli
	parser, err := kong.New(&c, kong.PostBuild(ignoreEmpty))
	require.NoError(t, err)
	_, err = parser.Parse(args)
	require.NoError(t, err)
	return c.Serve.flags
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// fake is an application whose public handler the test chooses.
type fake struct {
	public  http.HandlerFunc
	drained chan struct{}
}

func (f *fake) Public() http.Handler { return f.public }
func (f *fake) Admin() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-f.drained:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
		}
	})
}
func (f *fake) Run(ctx context.Context) { <-ctx.Done() }
func (f *fake) Drain()                  { close(f.drained) }

func (f *fake) Declare([]container.Declaration) error { return nil }

// running is a server under test.
type running struct {
	*server
	public, admin string // URLs
	out, log      *buffer
	hup           chan os.Signal
	done          chan struct{} // one value for each reload
	stop          context.CancelFunc
	ended         chan error
}

// start runs a server with a configuration file that may change, over app or, when that is nil, the real origin.
func start(t *testing.T, fl flags, app *fake) *running {
	t.Helper()
	r := &running{out: &buffer{}, log: &buffer{}, hup: make(chan os.Signal), done: make(chan struct{}, 1), ended: make(chan error, 1)}
	r.server = newServer(fl, console{r.out, r.log})
	r.server.hup = r.hup
	r.server.reloaded = func() { r.done <- struct{}{} }
	if app != nil {
		app.drained = make(chan struct{})
		r.server.open = func(context.Context, *Config, parts, string) (application, func() error, error) {
			return app, func() error { return nil }, nil
		}
	}
	ready := make(chan struct{})
	r.server.ready = func(public, admin string) {
		r.public, r.admin = public, admin
		close(ready)
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	t.Cleanup(r.stop)
	go func() { r.ended <- r.run(ctx) }()
	select {
	case <-ready:
	case err := <-r.ended:
		t.Fatalf("it ended at once: %v\n%s", err, r.log)
	}
	return r
}

// reload sends SIGHUP and waits until it has been dealt with.
func (r *running) reload(t *testing.T) {
	t.Helper()
	r.hup <- syscall.SIGHUP
	<-r.done
}

// end stops the server and waits for its orderly end.
func (r *running) end(t *testing.T) {
	t.Helper()
	r.stop()
	require.NoError(t, <-r.ended)
}

func get(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestServeRunsTheOrigin(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	defer http.DefaultClient.CloseIdleConnections()
	fl := yamlFile(t, "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ndata: "+filepath.Join(t.TempDir(), "data")+"\n")
	r := start(t, fl, nil)
	require.Contains(t, r.out.String(), r.public+"/in/v1/default/1/{channel}/")
	require.Contains(t, r.out.String(), r.admin+"/console/")
	require.Equal(t, 200, get(t, r.admin+"/readyz"))
	require.Equal(t, 404, get(t, r.public+"/out/v1/default/none/cmaf/index.m3u8"))
	r.end(t)
	require.Contains(t, r.log.String(), "msg=stopping")
}

func TestStoppingLetsAnUploadFinish(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	got := make(chan string, 1)
	reading := make(chan struct{})
	app := &fake{public: func(w http.ResponseWriter, r *http.Request) {
		close(reading)
		body, err := io.ReadAll(r.Body)
		if err == nil {
			got <- string(body)
		}
		w.WriteHeader(http.StatusCreated)
	}}
	r := start(t, yamlFile(t, "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n"), app)
	body, upload := io.Pipe()
	answered := make(chan int, 1)
	go func() {
		req, _ := http.NewRequest(http.MethodPut, r.public+"/in/v1/default/1/one/a.ts", body)
		if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
			resp.Body.Close()
			answered <- resp.StatusCode
		}
		close(answered)
	}()
	_, err := upload.Write([]byte("first "))
	require.NoError(t, err)
	<-reading
	r.stop()
	<-app.drained
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.public, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	}, 5*time.Second, time.Millisecond, "no new connections are accepted")
	require.Equal(t, 503, get(t, r.admin+"/readyz"), "the admin listener tells of it")
	_, err = upload.Write([]byte("second"))
	require.NoError(t, err)
	require.NoError(t, upload.Close())
	require.Equal(t, 201, <-answered)
	require.Equal(t, "first second", <-got)
	http.DefaultClient.CloseIdleConnections()
	require.NoError(t, <-r.ended)
}

func TestStoppingCutsAnEndlessUploadAfterTheGrace(t *testing.T) {
	reading, cut := make(chan struct{}), make(chan error, 1)
	app := &fake{public: func(_ http.ResponseWriter, r *http.Request) {
		close(reading)
		_, err := io.Copy(io.Discard, r.Body)
		cut <- err
	}}
	r := start(t, yamlFile(t, "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nshutdown_grace: 50ms\n"), app)
	body, upload := io.Pipe()
	defer upload.Close()
	go func() {
		req, _ := http.NewRequest(http.MethodPost, r.public+"/x", body)
		if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
			resp.Body.Close()
		}
	}()
	<-reading
	r.end(t)
	require.Error(t, <-cut)
	require.Contains(t, r.log.String(), "cutting off")
}

func TestStoppingDoesNotWaitForAnEndlessUpload(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	defer http.DefaultClient.CloseIdleConnections()
	r := start(t, yamlFile(t, "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ndata: "+filepath.Join(t.TempDir(), "data")+"\n"), nil)
	header := mp4.CreateEmptyInit()
	header.AddEmptyTrack(48_000, "audio", "eng")
	require.NoError(t, header.Moov.Trak.SetAACDescriptor(2, 48_000))
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.public, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /in/v1/default/1/one/Streams(a.cmfa) HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", header.Size())
	require.NoError(t, err)
	require.NoError(t, header.Encode(conn))
	_, err = io.WriteString(conn, "\r\n")
	require.NoError(t, err)
	time.Sleep(200 * time.Millisecond) // the upload is under way
	began := time.Now()
	r.end(t)
	require.Less(t, time.Since(began), 4*time.Second, "the grace is longer")
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(5*time.Second)))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.NotContains(t, r.log.String(), "cutting off")
	require.NotContains(t, r.log.String(), "level=ERROR")
}

func TestReloadPutsAGoodFileInForceAndABadOneNot(t *testing.T) {
	fl := yamlFile(t, "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nchannels: [{name: one}]\n")
	r := start(t, fl, &fake{})
	names := func() (out []string) {
		for _, ch := range r.parts.registry.List() {
			out = append(out, ch.Name)
		}
		return out
	}
	require.Equal(t, []string{"one"}, names())

	write := func(text string) { require.NoError(t, os.WriteFile(fl.Config, []byte(text), 0o600)) }
	write("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {level: loud}\nchannels: [{name: two, nmae: x}]\n")
	r.reload(t)
	require.Equal(t, []string{"one"}, names(), "a bad file changes nothing")
	require.Contains(t, r.log.String(), "log.level", "and all its problems are logged")
	require.Contains(t, r.log.String(), "unknown key")

	write("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ndata: elsewhere\nlog: {level: debug}\ntrusted_proxies: [192.0.2.1]\nchannels: [{name: two}]\n")
	r.reload(t)
	require.Equal(t, []string{"two"}, names())
	require.Contains(t, r.log.String(), "need a restart")
	require.Contains(t, r.log.String(), "[data]")
	require.True(t, slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: &r.level})).Enabled(t.Context(), slog.LevelDebug))
	_, err := r.parts.registry.Create(channel.ID{Group: "default", Name: "three"})
	require.NoError(t, err)
	r.end(t)
}

func TestReloadSaysWhichNumberingsNeedARestart(t *testing.T) {
	const listeners = "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n"
	fl := yamlFile(t, listeners+"channels: [{name: one}, {name: two}]\n")
	r := start(t, fl, &fake{})
	_, err := r.parts.registry.Create(channel.ID{Group: "default", Name: "pushed"})
	require.NoError(t, err)
	reload := func(channels string) {
		require.NoError(t, os.WriteFile(fl.Config, []byte(listeners+"channels: ["+channels+"]\n"), 0o600))
		r.reload(t)
	}

	reload("{name: one}, {name: new, numbering: counter}")
	require.NotContains(t, r.log.String(), "need a restart", "a new channel begins as it is configured")
	reload("{name: one, numbering: counter}, {name: pushed, numbering: epoch}, {name: new, numbering: epoch}")
	require.Contains(t, r.log.String(), `"[numbering of default/new numbering of default/one numbering of default/pushed]"`)
	reload("{name: one}, {name: two, numbering: epoch}, {name: new, numbering: counter}")
	require.Contains(t, r.log.String(), `"[numbering of default/two]"`, "a channel that comes back goes on as it began, too")
	r.end(t)
}

func TestReloadDoesNotLetEveryonePushToAnAddressThatOthersReach(t *testing.T) {
	fl := yamlFile(t, "listen: :0\nadmin: 127.0.0.1:0\ningest: {tokens: [t]}\n")
	r := start(t, fl, &fake{})
	write := func(text string) { require.NoError(t, os.WriteFile(fl.Config, []byte(text), 0o600)) }
	tokens := func() []string {
		ch, err := r.parts.registry.Resolve(channel.ID{Group: "default", Name: "new"})
		require.NoError(t, err)
		return ch.Ingest.Tokens
	}

	write("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nchannels: [{name: one}]\n")
	r.reload(t)
	require.Equal(t, []string{"t"}, tokens(), "the socket stays where it is, so the credentials stay as well")
	require.Empty(t, r.parts.registry.List())
	require.Contains(t, r.log.String(), "listen: :0, in force until a restart, can be reached from other machines")
	require.Contains(t, r.log.String(), "the channel default/one")

	write("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ninsecure: true\n")
	r.reload(t)
	require.Empty(t, tokens(), "insecure says that it is meant")
	r.end(t)
}

func TestServeSaysWhyItCannotStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	out := console{&buffer{}, &buffer{}}
	taken := yamlFile(t, "listen: 127.0.0.1:0\nadmin: "+l.Addr().String()+"\n")
	require.ErrorContains(t, newServer(taken, out).run(t.Context()), "listening")
	require.ErrorContains(t, newServer(yamlFile(t, "listn: x\n"), out).run(t.Context()), ":1: unknown key")
	data := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(data, nil, 0o600))
	noDir := yamlFile(t, "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ndata: "+data+"\n")
	require.ErrorContains(t, newServer(noDir, out).run(t.Context()), "open storage")
}

// issue writes a self-signed certificate for 127.0.0.1 with a serial number.
func issue(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "headwater test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	when := time.Unix(1_700_000_000+serial, 0) // so that every issue is a change
	require.NoError(t, os.Chtimes(cert, when, when))
	require.NoError(t, os.Chtimes(key, when, when))
}

func TestTLSFollowsItsFilesWithoutDroppingConnections(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	issue(t, cert, key, 1)
	app := &fake{public: func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }}
	r := start(t, yamlFile(t, "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ntls: {cert: "+cert+", key: "+key+"}\n"), app)
	require.True(t, strings.HasPrefix(r.public, "https://"))

	client := func(protocols ...string) *http.Client {
		tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr}
	}
	ask := func(c *http.Client) (proto string, serial int64) {
		resp, err := c.Get(r.public)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(body), resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	old := client()
	proto, serial := ask(old)
	require.Equal(t, "HTTP/2.0", proto)
	require.Equal(t, int64(1), serial)

	issue(t, cert, key, 2)
	r.reload(t)
	_, serial = ask(client())
	require.Equal(t, int64(2), serial, "a new connection gets the new certificate")
	_, serial = ask(old)
	require.Equal(t, int64(1), serial, "an old connection is not dropped")

	require.NoError(t, os.WriteFile(key, []byte("garbage"), 0o600))
	r.reload(t)
	_, serial = ask(client())
	require.Equal(t, int64(2), serial, "a bad file leaves the last good certificate in force")
	require.Contains(t, r.log.String(), "certificate is bad")

	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	defer tr.CloseIdleConnections()
	proto, _ = ask(&http.Client{Transport: tr})
	require.Equal(t, "HTTP/1.1", proto)
	r.end(t)
}

func TestCertificateIsLookedAtNowAndThen(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	issue(t, cert, key, 1)
	now := time.Unix(1_700_000_000, 0)
	c, err := newCertificate(cert, key, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	serial := func() int64 {
		pair, err := c.config().GetCertificate(nil)
		require.NoError(t, err)
		return pair.Leaf.SerialNumber.Int64()
	}
	issue(t, cert, key, 2)
	now = now.Add(certificateInterval - 1)
	require.Equal(t, int64(1), serial())
	now = now.Add(1)
	require.Equal(t, int64(2), serial())
	_, err = newCertificate(cert, filepath.Join(dir, "none"), time.Now, slog.New(slog.DiscardHandler))
	require.Error(t, err)
}

func TestTheConsoleSendsViewersAndEncodersToHTTPSWithTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	issue(t, cert, key, 1)
	r := start(t, yamlFile(t, "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ndata: "+dir+"\ntls: {cert: "+cert+", key: "+key+"}\n"), nil)
	resp, err := http.Get(r.admin + "/console/api/channels")
	require.NoError(t, err)
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(said), `"public":"`+r.public+`","ingest":"`+r.public+`"`)
	require.Contains(t, resp.Header.Get("Content-Security-Policy"), "connect-src 'self' "+r.public+";")
	http.DefaultClient.CloseIdleConnections()
	r.end(t)
}

package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"headwater/origin/channel"
)

func TestDemoIsPlayableInEveryFormat(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	defer http.DefaultClient.CloseIdleConnections()
	fl := yamlFile(t, "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ningest: {tokens: [demo-token]}\ndata: "+
		filepath.Join(t.TempDir(), "data")+"\n")
	out := &buffer{}
	ctx, cancel := context.WithCancel(t.Context())
	s := newServer(fl, console{out, &buffer{}})
	wait := pushDemo(ctx, s)
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()

	var urls []string
	require.Eventually(t, func() bool {
		urls = nil
		for line := range strings.Lines(out.String()) {
			if i := strings.Index(line, "http://"); strings.HasPrefix(line, "demo, ") {
				urls = append(urls, strings.TrimSpace(line[i:]))
			}
		}
		return len(urls) == 4
	}, 10*time.Second, 20*time.Millisecond)
	for _, url := range urls {
		require.Eventually(t, func() bool { return get(t, url) == http.StatusOK }, 30*time.Second, 50*time.Millisecond, url)
	}
	cancel()
	wait()
	require.NoError(t, <-ended)
}

func TestTheDemosEncoderShowsWhatItIsAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		auth channel.IngestAuth
		want string
	}{
		"nothing":  {channel.IngestAuth{}, ""},
		"a token":  {channel.IngestAuth{Tokens: []string{"a", "b"}}, "Bearer a"},
		"a user":   {channel.IngestAuth{Users: []channel.User{{Name: "u", Password: "p"}}}, "Basic dTpw"},
		"any will": {channel.IngestAuth{Tokens: []string{"a"}, Users: []channel.User{{Name: "u", Password: "p"}}}, "Bearer a"},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, authorization(c.auth)) })
	}
}

func TestHealthcheckSaysWhetherTheServerIsReady(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "/readyz", r.URL.Path)
		http.Error(w, "so it is", status)
	}))
	defer server.Close()
	check := func(admin string) (string, error) {
		var out buffer
		err := execute([]string{"healthcheck", "--admin", admin}, console{&out, &out}, func(int) {})
		return out.String(), err
	}
	addr := server.Listener.Addr().(*net.TCPAddr)
	text, err := check(addr.String())
	require.NoError(t, err)
	require.Equal(t, "so it is\n", text)

	status = http.StatusServiceUnavailable
	_, err = check(addr.String())
	require.ErrorContains(t, err, "503 Service Unavailable: so it is")

	server.Close()
	_, err = check(addr.String())
	require.ErrorContains(t, err, "health check")
	_, err = check("nonsense")
	require.ErrorContains(t, err, "admin address")
}

package main

import (
	"context"
	"net/http"
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

package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"headwater/cmd/headwater/demo"
	"headwater/origin/channel"
)

// demoCmd is "headwater demo": serve, and a synthetic encoder that pushes to it.
type demoCmd struct {
	flags
}

// Run serves and pushes until the process is told to stop.
func (c *demoCmd) Run(out console) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop)
	s := newServer(c.flags, out)
	wait := pushDemo(ctx, s)
	err := untilSignal(s)
	stop()
	wait()
	return err
}

// pushDemo makes the server, once it is ready, print what to play and receive the demo's programme until ctx ends. The
// returned function waits for the encoder to end.
func pushDemo(ctx context.Context, s *server) (wait func()) {
	var pushing sync.WaitGroup
	s.ready = func(publicURL, _ string) {
		shown := strings.NewReplacer("[::]", "localhost", "0.0.0.0", "localhost").Replace(publicURL)
		for _, p := range []struct{ what, path string }{
			{"HLS", "cmaf/index.m3u8"}, {"DASH", "cmaf/index.mpd"}, {"HLS with TS", "ts/index.m3u8"}, {"Smooth", "ism/index.ism/Manifest"},
		} {
			fmt.Fprintf(s.stdout, "%-20s %s/out/v1/%s/%s/%s\n", "demo, "+p.what, shown, demo.DefaultGroup, demo.DefaultChannel, p.path)
		}
		opt := demo.Options{BaseURL: publicURL, Now: s.now, Logger: s.log, Authorization: authorization(s.config.Ingest),
			// To ourselves, directly: no proxy, and our certificate need not name the address that we listen on.
			Client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}}
		pushing.Go(func() {
			if err := demo.Run(ctx, opt); err != nil {
				s.log.Error("demo: the encoder has ended", "error", err)
			}
			opt.Client.CloseIdleConnections()
		})
	}
	return pushing.Wait
}

// authorization returns the Authorization header of an encoder that may push, "" when anyone may.
func authorization(auth channel.IngestAuth) string {
	switch {
	case len(auth.Tokens) > 0:
		return "Bearer " + auth.Tokens[0]
	case len(auth.Users) > 0:
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(auth.Users[0].Name+":"+auth.Users[0].Password))
	}
	return ""
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"headwater/auth"
	"headwater/auth/iprange"
	"headwater/origin/access"
	"headwater/origin/channel"
)

// Bounds of the listeners. There is no ReadTimeout: a push may last for days; writeTimeout is put off by what takes longer.
// Encoders leave connections idle for minutes between manifests (reference/ingest.md, section 11).
const (
	readHeaderTimeout = 10 * time.Second
	writeTimeout      = time.Minute
	idleTimeout       = 6 * time.Minute
	maxHeaderBytes    = 64 << 10
	adminGrace        = 2 * time.Second
	sourcesInterval   = 30 * time.Second
)

// server is one run of the program: what serve and its tests share.
type server struct {
	stdout   io.Writer                        // for people: the URLs
	stderr   io.Writer                        // logs
	load     func(string) (*Config, error)    // reads the configuration, at start and again for each reload: see loadFor
	hup      <-chan os.Signal                 // each value asks for a reload
	now      func() time.Time                 // for the certificate
	open     opener                           // makes the application
	ready    func(publicURL, adminURL string) // called once both listeners serve; may be nil; must not block
	reloaded func()                           // called after each reload; may be nil; must not block

	level    slog.LevelVar
	started  *Config                          // what this run began with
	config   *Config                          // what is in force, as far as a running program can have it
	numbered map[channel.ID]channel.Numbering // of every channel that a reload has found: how it began, and goes on
	parts    parts
	app      application // nil until it is open
	cert     *certificate
	log      *slog.Logger
	servers  [2]*http.Server // public, admin
	urls     [2]string
}

// run serves until ctx ends, then lets running uploads finish for a while. It returns nil after an orderly end.
func (s *server) run(ctx context.Context) error {
	cfg, err := s.load("")
	if err != nil {
		return err
	}
	if err := s.prepare(cfg); err != nil {
		return err
	}
	listeners, err := s.listen()
	if err != nil {
		return err
	}
	app, closeStorage, err := s.open(ctx, cfg, s.parts, s.urls[0])
	if err != nil {
		return errors.Join(err, closeAll(listeners))
	}
	s.app = app
	s.servers[0].Handler, s.servers[1].Handler = app.Public(), app.Admin()
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	failed := make(chan error, len(listeners))
	wg.Go(func() { app.Run(background) })
	wg.Go(func() { s.parts.sources.Run(background, sourcesInterval) })
	for i, l := range listeners {
		wg.Go(func() {
			if err := s.servers[i].Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serving %s: %w", s.urls[i], err)
			}
		})
	}
	s.announce()
	err = s.wait(ctx, failed)
	s.drain(app)
	stop()
	wg.Wait()
	return errors.Join(err, closeStorage())
}

// prepare makes what lasts as long as the run, and puts the first configuration in force.
func (s *server) prepare(cfg *Config) error {
	options := &slog.HandlerOptions{Level: &s.level}
	if cfg.LogJSON {
		s.log = slog.New(slog.NewJSONHandler(s.stderr, options))
	} else {
		s.log = slog.New(slog.NewTextHandler(s.stderr, options))
	}
	s.parts = parts{registry: channel.NewRegistry(), sources: iprange.NewSources(s.log), log: s.log,
		callers: access.NewIdentities(cfg.MediaStore.Account.ID)}
	s.numbered = make(map[channel.ID]channel.Numbering)
	s.parts.access = access.NewChecker(iprange.Prefixes{}, s.parts.sources)
	if cfg.TLSCert != "" {
		cert, err := newCertificate(cfg.TLSCert, cfg.TLSKey, s.now, s.log)
		if err != nil {
			return err
		}
		s.cert = cert
	}
	s.started = cfg
	return s.apply(cfg)
}

// apply puts a configuration in force as far as a running program can. On error nothing has changed.
func (s *server) apply(cfg *Config) error {
	if err := s.parts.sources.Set(cfg.IPSources); err != nil {
		return err
	}
	if s.app != nil {
		if err := s.app.Declare(cfg.MediaStore.Containers); err != nil {
			return errors.Join(err, s.parts.sources.Set(s.sourcesInForce()))
		}
	}
	changes, err := s.parts.registry.Replace(cfg.Set())
	if err != nil {
		err = errors.Join(err, s.parts.sources.Set(s.sourcesInForce()))
		if s.app != nil {
			err = errors.Join(err, s.app.Declare(s.config.MediaStore.Containers))
		}
		return err
	}
	s.identify(cfg)
	s.parts.access.Trust(cfg.TrustedProxies)
	s.level.Set(cfg.LogLevel)
	s.config = cfg
	s.log.Info("configuration in force", "file", cfg.File, "added", changes.Added, "changed", changes.Changed,
		"removed", changes.Removed)
	if !cfg.Insecure && !loopback(s.started.Admin) {
		s.log.Warn("the admin listener can be reached from other machines and asks for no credentials", "admin", s.started.Admin)
	}
	return nil
}

// identify puts the credentials of the object store in force. Where none are configured and only this machine reaches the
// addresses that are listened on, whatever the configuration says by now, any signature will do.
func (s *server) identify(cfg *Config) {
	credentials := cfg.MediaStore.Credentials
	credentials.Open = credentials.Open && loopback(s.started.Listen) && loopback(s.started.Admin)
	s.parts.callers.Set(credentials)
	if credentials.Open && credentials.Empty() && (s.config == nil || !s.config.MediaStore.Credentials.Empty()) {
		s.log.Info("the object store takes any AWS credentials as the account's root: none are configured, and only this machine can reach it",
			"account", cfg.MediaStore.Account.ID)
	}
}

func (s *server) sourcesInForce() []iprange.Source {
	if s.config == nil {
		return nil
	}
	return s.config.IPSources
}

// reload reads the configuration again. A bad one leaves the running one in force.
func (s *server) reload() {
	if s.reloaded != nil {
		defer s.reloaded()
	}
	s.noteNumbering()
	cfg, err := s.load(s.started.Listen)
	if err == nil {
		err = s.apply(cfg)
	}
	if err != nil {
		for _, problem := range problemList(err) {
			s.log.Error("configuration is bad, the running one stays in force", "problem", problem)
		}
		return
	}
	if names := append(s.started.needsRestart(cfg), s.renumbered()...); len(names) > 0 {
		s.log.Warn("some changed settings need a restart", "settings", names)
	}
}

// noteNumbering notes how the channels number their segments that exist before a reload: those that were configured, and
// those that have appeared since.
func (s *server) noteNumbering() {
	for _, ch := range s.parts.registry.List() {
		if _, noted := s.numbered[ch.ID]; !noted {
			s.numbered[ch.ID] = ch.Numbering
		}
	}
}

// renumbered lists the channels that a reload has given another numbering. A timeline keeps the one that it was opened with.
func (s *server) renumbered() (names []string) {
	for _, ch := range s.parts.registry.List() {
		if was, noted := s.numbered[ch.ID]; noted && was != ch.Numbering {
			names = append(names, "numbering of "+ch.ID.String())
		}
	}
	return names
}

// listen opens both addresses, or takes over the sockets of a service manager that are bound to them, and makes their
// servers, which have no handlers yet.
func (s *server) listen() (listeners []net.Listener, err error) {
	inherited, err := inheritedSockets(os.Getenv, os.Getpid())
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, l := range inherited {
			s.log.Warn("a socket was handed on that is neither listen nor admin: closed", "address", l.Addr().String())
			err = errors.Join(err, l.Close())
		}
	}()
	for i, addr := range []string{s.config.Listen, s.config.Admin} {
		var l net.Listener
		if l, inherited, err = bind(addr, inherited); err != nil {
			return nil, errors.Join(fmt.Errorf("listening: %w", err), closeAll(listeners))
		}
		s.servers[i] = &http.Server{
			ReadHeaderTimeout: readHeaderTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ConnContext:       auth.Connected,
			ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		}
		s.urls[i] = "http://" + l.Addr().String()
		if i == 0 && s.cert != nil {
			s.servers[i].TLSConfig = s.cert.config()
			s.urls[i] = "https://" + l.Addr().String()
			l = tls.NewListener(l, s.servers[i].TLSConfig)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func closeAll(listeners []net.Listener) (err error) {
	for _, l := range listeners {
		err = errors.Join(err, l.Close())
	}
	return err
}

// announce tells people where to go. An unspecified address is written as localhost, which works on this machine.
func (s *server) announce() {
	var shown [2]string
	for i, u := range s.urls {
		shown[i] = strings.NewReplacer("[::]", "localhost", "0.0.0.0", "localhost").Replace(u)
	}
	fmt.Fprintf(s.stdout, "ingest and playback  %s/in/v1/default/1/{channel}/  %s/out/v1/default/{channel}/cmaf/index.m3u8\n",
		shown[0], shown[0])
	fmt.Fprintf(s.stdout, "console and metrics  %s/console/  %s/metrics\n", shown[1], shown[1])
	s.log.Info("serving", "public", s.urls[0], "admin", s.urls[1], "data", s.config.Data)
	if s.ready != nil {
		s.ready(s.urls[0], s.urls[1])
	}
}

// wait returns when ctx ends (nil) or something failed, and reloads when asked to.
func (s *server) wait(ctx context.Context, failed <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-s.hup:
			if s.cert != nil {
				s.cert.reload()
			}
			s.reload()
		}
	}
}

// drain ends the servers: not ready, no new connections, a while for requests under way, then the rest is cut. The admin
// listener goes last, so that the end can be watched.
func (s *server) drain(app application) {
	grace := s.config.ShutdownGrace
	s.log.Info("stopping", "grace", grace)
	app.Drain()
	for i, wait := range []time.Duration{grace, adminGrace} {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		if err := s.servers[i].Shutdown(ctx); err != nil {
			s.log.Warn("cutting off what is still running", "server", s.urls[i], "error", err)
			_ = s.servers[i].Close() // the listener is closed already; nothing else can fail
		}
		cancel()
	}
}

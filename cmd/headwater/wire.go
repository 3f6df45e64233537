package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"headwater/auth/iprange"
	"headwater/origin"
	"headwater/origin/access"
	"headwater/origin/channel"
	"headwater/origin/container"
	"headwater/origin/metrics"
	"headwater/origin/objects"
	"headwater/storage"
	"headwater/storage/fs"
)

// application is what serve runs: the origin with its handlers and background work.
type application interface {
	// Public serves ingest and playback.
	Public() http.Handler
	// Admin serves console, metrics, health and control.
	Admin() http.Handler
	// Run does the background work until ctx ends.
	Run(ctx context.Context)
	// Drain makes the application not ready, so that load balancers send nothing more. It returns at once.
	Drain()
	// Declare puts the containers of another configuration in force. On error nothing has changed.
	Declare([]container.Declaration) error
}

// parts are what serve keeps in force across reloads; the application reads them.
type parts struct {
	registry *channel.Registry
	access   *access.Checker
	sources  *iprange.Sources
	callers  *access.Identities // of the object store
	log      *slog.Logger
}

// opener makes the application for a configuration and the address that the public listener got, with its scheme. The
// function it returns closes what the application stores in, after everything else has ended.
type opener func(ctx context.Context, c *Config, p parts, publicAddr string) (application, func() error, error)

// openOrigin opens the storage engine and the origin over it, with everything that was stored before.
func openOrigin(ctx context.Context, c *Config, p parts, publicAddr string) (application, func() error, error) {
	engine, err := fs.Open(c.Data, fs.Options{NoSync: !c.StorageSync, Logger: p.log})
	if err != nil {
		return nil, nil, err
	}
	m := metrics.New(func(id channel.ID) bool { _, ok := p.registry.Get(id); return ok })
	containers, err := container.Open(ctx, engine, c.MediaStore.Registry(time.Now))
	if err == nil {
		err = containers.Declare(c.MediaStore.Containers)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("starting the object store: %w", err), engine.Close())
	}
	closeAll := engine.Close
	var accessLog *objects.AccessLog
	if name := c.MediaStore.AccessLog; name != "" {
		if accessLog, err = objects.OpenAccessLog(name); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("starting the object store: %w", err), engine.Close())
		}
		closeAll = func() error { return errors.Join(accessLog.Close(), engine.Close()) }
	}
	var quotas *objects.Limiter
	if c.MediaStore.Quotas {
		quotas = objects.NewLimiter(objects.FaithfulQuotas(), time.Now)
	}
	s, err := origin.New(origin.Config{
		Channels:   p.registry,
		Store:      storage.New(engine, storage.Options{Observe: m.Stored}),
		Journal:    engine,
		Access:     p.access,
		Metrics:    m,
		Logger:     p.log,
		Now:        time.Now,
		Grace:      c.ExpiryGrace,
		PublicURL:  c.PublicURL,
		PublicAddr: publicAddr,
		Version:    version,
		MediaStore: &origin.MediaStore{
			Containers: containers,
			Index:      engine,
			Identities: p.callers,
			Endpoint:   origin.Endpoints(cmp.Or(c.PublicURL, publicAddr), c.MediaStore.Account.Region, c.MediaStore.Domain),
			PermitHTTP: c.MediaStore.PermitHTTP, Conditional: c.MediaStore.Conditional,
			MaxObject: c.MediaStore.MaxObject, MaxStreaming: c.MediaStore.MaxStreaming,
			Remover: engine, AccessLog: accessLog, Quotas: quotas,
		},
	})
	if err == nil {
		err = s.Recover(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("starting the origin: %w", err), closeAll())
	}
	return s, closeAll, nil
}

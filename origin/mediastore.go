package origin

import (
	"fmt"
	"net"
	"net/http"
	"strings"

	"headwater/origin/access"
	"headwater/origin/container"
	"headwater/origin/control"
	"headwater/origin/inflight"
	"headwater/origin/objects"
	"headwater/origin/reply"
	"headwater/storage"
)

// MediaStore is what the object store is made of: containers, who may use them, and how. Containers, Index and Identities are
// required.
type MediaStore struct {
	Containers *container.Registry
	Index      storage.Index // of the engine that Config.Store is over
	Identities *access.Identities
	Endpoint   func(id string) string // scheme://host[:port] of a container's objects, by Container.ID

	PermitHTTP              bool  // policies may allow PutObject without HTTPS
	Conditional             bool  // see objects.Options, as the next two
	MaxObject, MaxStreaming int64 // bytes

	Remover   storage.Remover    // of the same engine
	AccessLog *objects.AccessLog // nil: there is none
	Quotas    *objects.Limiter   // nil: requests are not limited
}

// store serves the object store: its data plane on the public listener, its control plane on the admin listener.
type store struct {
	cfg     *MediaStore
	objects *objects.Handler
	control *control.Handler
	sweep   *objects.Sweep
	feed    *Feed
}

// newStore returns what serves the object store of a configuration, nil where it has none.
func newStore(s *Server) *store {
	cfg, m := &s.cfg, s.cfg.MediaStore
	if m == nil {
		return nil
	}
	may := newPermits(cfg)
	measured := objects.NewMetrics(m.Containers.List)
	cfg.Metrics.Register(measured)
	observe := measured.Observe
	if m.AccessLog != nil {
		cfg.Metrics.Register(m.AccessLog)
		observe = func(r *objects.Record) {
			measured.Observe(r)
			m.AccessLog.Observe(r)
		}
	}
	feed := s.Feed(s.sourceOf)
	return &store{
		cfg:  m,
		feed: feed,
		sweep: objects.NewSweep(objects.SweepOptions{Containers: m.Containers.List, Index: m.Index, Remover: m.Remover,
			Expired: measured.Expired, Now: cfg.Now, Log: cfg.Logger}),
		objects: objects.New(objects.Options{
			Store: cfg.Store, Index: m.Index, InFlight: &inflight.Objects{}, Access: dataPlane{may}, Now: cfg.Now,
			Exists: func(c *container.Container) bool {
				have, ok := m.Containers.ByID(c.ID)
				return ok && have.Status == container.Active
			},
			MaxObject: m.MaxObject, MaxStreaming: m.MaxStreaming, Conditional: m.Conditional,
			Observer: feed, Observe: observe, Quotas: m.Quotas, Source: func(r *http.Request) string {
				client, ok := cfg.Access.Client(r)
				if !ok {
					return ""
				}
				return client.String()
			},
		}),
		control: control.New(control.Options{
			Registry: m.Containers, Store: cfg.Store, Index: m.Index, Access: controlPlane{may}, Now: cfg.Now,
			Endpoint: m.Endpoint, PermitHTTP: m.PermitHTTP,
		}),
	}
}

// dataHost is what follows the first label, a container's ID, in the host of a container's endpoint. What follows itself,
// the region and a domain, does not matter: names that people had before may lead here too.
const dataHost = "data.mediastore."

// endpointID returns the ID of the container that a request's host names; ok is false when it is the host of no container.
func endpointID(r *http.Request) (id string, ok bool) {
	id, rest, _ := strings.Cut(r.Host, ".")
	if len(rest) < len(dataHost) || !strings.EqualFold(rest[:len(dataHost)], dataHost) {
		return "", false
	}
	return strings.ToLower(id), true
}

// byHost hands requests for the endpoint of a container to the data plane, and all others on.
func (s *Server) byHost(serve http.HandlerFunc, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := endpointID(r); ok {
			serve(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// sourceOf returns the channel whose source has an object: see channel.Channel.
func (s *Server) sourceOf(name, path string) (src Source, ok bool) {
	at := "container/" + name + "/" + path
	for _, ch := range s.cfg.Channels.List() {
		if ch.Source == "" {
			continue
		}
		if rest, ok := strings.CutPrefix(at, ch.Source+"/"); ok {
			return Source{Channel: ch.ID, Input: 1, Rest: rest}, true
		}
	}
	return src, false
}

// containersPath is below what containers are by their names, for work without DNS.
const containersPath = "/containers/"

// serveObjects answers a request to the endpoint of a container, or below its path.
func (s *Server) serveObjects(w http.ResponseWriter, r *http.Request) {
	c, path, err := s.containerOf(r)
	if err == nil && r.Method == http.MethodPut && c.Status != container.Active {
		err = fmt.Errorf("%w: it is being deleted", container.ErrInUse)
	}
	if err != nil {
		reply.WriteError(w, r, err)
		return
	}
	s.uploading(w, r)
	s.store.objects.Serve(w, r, c, path)
}

// containerOf returns the container of a request, and the path of the object in it.
func (s *Server) containerOf(r *http.Request) (c *container.Container, path string, err error) {
	if id, ok := endpointID(r); ok {
		if c, ok = s.cfg.MediaStore.Containers.ByID(id); !ok {
			return nil, "", fmt.Errorf("%w at this endpoint", container.ErrNotFound)
		}
		return c, r.URL.Path, nil
	}
	name, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, containersPath), "/")
	c, err = s.cfg.MediaStore.Containers.Get(name)
	return c, path, err
}

// Declare puts the containers of the configuration in force, as container.Registry does, and opens the access log anew, which
// may have been moved.
func (s *Server) Declare(all []container.Declaration) error {
	if s.cfg.MediaStore == nil {
		return nil
	}
	if err := s.cfg.MediaStore.Containers.Declare(all); err != nil || s.cfg.MediaStore.AccessLog == nil {
		return err
	}
	return s.cfg.MediaStore.AccessLog.Reopen()
}

// Endpoints returns how the endpoints of containers are named: scheme and port as of base, a URL of the public listener, and a
// host below domain.
func Endpoints(base, region, domain string) func(id string) string {
	scheme, host, _ := strings.Cut(base, "://")
	host, _, _ = strings.Cut(host, "/")
	_, port, err := net.SplitHostPort(host)
	if err == nil && port != "" && !(scheme == "https" && port == "443") && !(scheme == "http" && port == "80") {
		domain += ":" + port
	}
	return func(id string) string { return scheme + "://" + id + "." + dataHost + region + "." + domain }
}

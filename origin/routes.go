package origin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"headwater/origin/channel"
	"headwater/origin/reply"
	"headwater/storage"
)

// This file is the whole URL surface: where every request enters.

const timePath = "/time"

// Public returns the handler of the public listener: what encoders push to and CDNs pull from.
func (s *Server) Public() http.Handler {
	r := chi.NewRouter()
	r.Use(anyMethod)
	count := func(route string, next http.HandlerFunc) http.HandlerFunc {
		return s.cfg.Metrics.Route(route, recovered(next))
	}
	receive := s.cfg.Metrics.Ingest(recovered(s.serveIngest))
	r.HandleFunc("/in/v1/{group}/{input}/{channel}", receive)
	r.HandleFunc("/in/v1/{group}/{input}/{channel}/*", receive)
	r.HandleFunc("/"+uploadHLS, s.cfg.Metrics.Ingest(recovered(s.serveUploadHLS)))
	receive = s.cfg.Metrics.Ingest(recovered(s.serveIngestV2))
	r.HandleFunc("/in/v2/{channel}/{input}", receive)
	r.HandleFunc("/in/v2/{channel}/{input}/*", receive)
	play := map[string]http.HandlerFunc{}
	for _, route := range playbackRoutes {
		play[route] = count(route, cors(s.play))
	}
	none := count("none", notFound)
	// One parameter and not four: chi makes a map for them.
	r.HandleFunc("/out/v1/*", func(w http.ResponseWriter, r *http.Request) {
		if p, ok := playbackPathOf(r); ok {
			play[playbackRoute(p.rest)](w, r)
			return
		}
		none(w, r)
	})
	r.HandleFunc(timePath, count("time", cors(s.serveTime)))
	r.NotFound(none)
	r.MethodNotAllowed(count("none", methodNotAllowed))
	if s.store == nil {
		return s.framed(r)
	}
	serve := count("objects", s.serveObjects)
	r.HandleFunc(containersPath+"{name}", serve)
	r.HandleFunc(containersPath+"{name}/*", serve)
	return s.framed(s.byHost(serve, r))
}

// anyMethod lets handlers answer whatever the method is: chi refuses those that it does not know, of WebDAV for example, and
// no route of the public listener is for one method only.
func anyMethod(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chi.RouteContext(r.Context()).RouteMethod = http.MethodGet
		next.ServeHTTP(w, r)
	})
}

// Admin returns the handler of the admin listener: for operators and their tools.
func (s *Server) Admin() http.Handler {
	r := chi.NewRouter()
	r.Get("/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/console/", http.StatusFound) })
	r.Handle("/console", s.console)
	r.Handle("/console/*", s.console)
	r.Method(http.MethodGet, "/metrics", s.cfg.Metrics.Handler())
	healthy := func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") }
	for _, method := range [...]string{http.MethodGet, http.MethodHead} {
		r.MethodFunc(method, "/healthz", healthy)
		r.MethodFunc(method, "/readyz", s.serveReady)
		r.MethodFunc(method, "/v1/channels/{group}/{channel}/ingest", s.servePushReport)
	}
	r.HandleFunc(activePath, s.serveActiveInput)
	if s.store != nil {
		r.Method(http.MethodPost, "/", s.store.control)
		r.HandleFunc("/v1/containers/{name}/policy/explain", func(w http.ResponseWriter, r *http.Request) {
			s.store.control.Explain(w, r, chi.URLParam(r, "name"))
		})
	}
	r.NotFound(notFound)
	r.MethodNotAllowed(methodNotAllowed)
	return s.framed(recovered(r.ServeHTTP))
}

// framed puts around all routes, from the outside in: the request's ID and logger, an end to bodies that nobody wants, and
// the normal form of its path. Panics are answered further in, where the public listener counts its answers.
func (s *Server) framed(next http.Handler) http.Handler {
	return reply.Requests(s.cfg.Logger, errorTable())(impatient(normalised(next)))
}

// unwanted is how long a body may take to come that no handler reads: net/http reads it before it goes on with the
// connection. Ingest, which wants its bodies, sets its own deadlines.
const unwanted = 5 * time.Second

func impatient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			// A writer without deadlines (in tests) has none to set.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unwanted))
		}
		next.ServeHTTP(w, r)
	})
}

// normalised gives routing a path of its own form: decoded, and without empty elements, since encoders write
// "//Streams(...)" and do not follow redirects.
func normalised(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawPath != "" || strings.Contains(r.URL.Path, "//") {
			u := *r.URL
			u.RawPath = ""
			for strings.Contains(u.Path, "//") {
				u.Path = strings.ReplaceAll(u.Path, "//", "/")
			}
			r2 := *r
			r2.URL = &u
			r = &r2
		}
		next.ServeHTTP(w, r)
	})
}

// cors answers for MediaPackage's CORS (reference mediapackage.md 3e): the origin echoed with Vary, else "*", and
// preflights for any header that players send. It covers refusals too, so that players can read why.
func cors(next http.HandlerFunc) http.HandlerFunc {
	vary, anyone, expose := []string{"Origin"}, []string{"*"}, []string{exposed} // shared by all answers, never changed
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Vary"], h["Access-Control-Allow-Origin"], h["Timing-Allow-Origin"] = vary, anyone, anyone
		h["Access-Control-Expose-Headers"] = expose
		if origin := r.Header.Get("Origin"); origin != "" {
			h["Access-Control-Allow-Origin"] = []string{origin}
		}
		if r.Method == http.MethodOptions {
			h["Access-Control-Allow-Methods"] = []string{"GET, HEAD, OPTIONS"}
			if want := r.Header.Get("Access-Control-Request-Headers"); want != "" {
				h["Access-Control-Allow-Headers"] = []string{want}
				h.Add("Vary", "Access-Control-Request-Headers")
			}
			h["Access-Control-Max-Age"] = []string{"86400"}
		}
		next(w, r)
	}
}

// exposed is what scripts may read of an answer.
const exposed = "Accept-Ranges, Age, Cache-Control, Content-Encoding, Content-Length, Content-Range, Date, ETag, Last-Modified, " +
	"X-Amzn-Errortype, X-Amzn-Mediapackage-Active-Input, X-Amzn-Requestid, X-Mediapackage-Manifest-Last-Sequence, X-Mediapackage-Manifest-Last-Updated"

func (s *Server) serveIngest(w http.ResponseWriter, r *http.Request) {
	id := channel.ID{Group: chi.URLParam(r, "group"), Name: chi.URLParam(r, "channel")}
	number := 0
	switch chi.URLParam(r, "input") {
	case "1":
		number = 1
	case "2":
		number = 2
	}
	if number == 0 {
		reply.WriteError(w, r, fmt.Errorf("%w: the input is 1 or 2", reply.ErrNoRoute))
		return
	}
	rest := chi.URLParam(r, "*")
	if rest == uploadHLS && number == 1 {
		number = copyOf(r)
	}
	s.uploading(w, r)
	s.ingest.Serve(w, r, id, number, rest)
}

// serveIngestV2 is serveIngest at the URLs of MediaPackage v1, which know inputs by their GUIDs.
func (s *Server) serveIngestV2(w http.ResponseWriter, r *http.Request) {
	guid := chi.URLParam(r, "input")
	ch, number, err := s.cfg.Channels.Find(chi.URLParam(r, "channel"), guid)
	if err != nil {
		reply.WriteError(w, r, err)
		return
	}
	s.uploading(w, r)
	s.ingest.ServeV2(w, r, ch.ID, number, guid, chi.URLParam(r, "*"))
}

// uploading prepares the connection for an upload.
func (s *Server) uploading(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut || r.Method == http.MethodPost {
		// Uploads may last for days, and what they are answered fits any buffer.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
	}
}

// playbackRoutes name playback requests for metrics: a few words, never a path.
var playbackRoutes = [...]string{"hls", "dash", "smooth", "init", "segment"}

func playbackRoute(rest string) string {
	switch {
	case strings.HasSuffix(rest, ".m3u8"):
		return "hls"
	case strings.HasSuffix(rest, ".mpd"):
		return "dash"
	case len(rest) > 9 && strings.EqualFold(rest[len(rest)-9:], "/manifest"):
		return "smooth"
	case strings.HasSuffix(rest, "_init.mp4"):
		return "init"
	}
	return "segment"
}

// played is what the path of a playback request names.
type played struct {
	channel  channel.ID
	endpoint string
	rest     string // below the endpoint
}

// playbackPathOf reads {group}/{channel}/{endpoint}/{rest} below /out/v1/; ok is false when that is not it.
func playbackPathOf(r *http.Request) (p played, ok bool) {
	var more [3]bool
	p.channel.Group, p.rest, more[0] = strings.Cut(chi.URLParam(r, "*"), "/")
	p.channel.Name, p.rest, more[1] = strings.Cut(p.rest, "/")
	p.endpoint, p.rest, more[2] = strings.Cut(p.rest, "/")
	return p, more == [3]bool{true, true, true} && p.channel.Group != "" && p.channel.Name != "" && p.endpoint != ""
}

// play finds the endpoint, asks who may, and hands the request to playback.
func (s *Server) play(w http.ResponseWriter, r *http.Request) {
	p, ok := playbackPathOf(r)
	if !ok {
		notFound(w, r)
		return
	}
	id := p.channel
	ch, ok := s.cfg.Channels.Get(id)
	if !ok {
		reply.WriteError(w, r, fmt.Errorf("%w: %s", channel.ErrNotFound, id))
		return
	}
	e := endpointOf(ch, p.endpoint)
	if e == nil {
		reply.WriteError(w, r, fmt.Errorf("%w: %s", reply.ErrNoEndpoint, p.endpoint))
		return
	}
	if err := s.cfg.Access.Check(r, e.Access).Err(); err != nil {
		reply.WriteError(w, r, err)
		return
	}
	if !reads(w, r) {
		return
	}
	tl, ok := s.timelineOf(id)
	if !ok {
		reply.WriteError(w, r, fmt.Errorf("%w: nothing was pushed to %s", reply.ErrTooEarly, id))
		return
	}
	s.playback.Serve(w, r, ch, e, tl, p.rest)
}

// reads reports whether the request reads something; what else viewers may send it answers.
func reads(w http.ResponseWriter, r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return true
	case http.MethodOptions:
		preflight(w)
	default:
		methodNotAllowed(w, r)
	}
	return false
}

func endpointOf(ch *channel.Channel, name string) *channel.Endpoint {
	for i := range ch.Endpoints {
		if ch.Endpoints[i].Name == name {
			return &ch.Endpoints[i]
		}
	}
	return nil
}

// serveTime tells the time of day, for DASH clients whose clock is off.
func (s *Server) serveTime(w http.ResponseWriter, r *http.Request) {
	if !reads(w, r) {
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	say(w, http.StatusOK, s.cfg.Now().UTC().Format("2006-01-02T15:04:05.000Z"))
}

// serveReady tells whether this server should be sent anything. It stores a small object to find out.
func (s *Server) serveReady(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.draining.Load():
		say(w, http.StatusServiceUnavailable, "draining")
	case !s.ready.Load():
		say(w, http.StatusServiceUnavailable, "recovering")
	default:
		if err := s.probe(r.Context()); err != nil {
			s.cfg.Logger.Error("not ready", "error", err)
			say(w, http.StatusServiceUnavailable, "storage: "+reply.Describe(r.Context(), err).Reason)
			return
		}
		say(w, http.StatusOK, "ready")
	}
}

// probe stores an object as large as the smallest segments, and its attributes, which are in the database.
func (s *Server) probe(ctx context.Context) error {
	key := storage.Key{Container: "probe", Path: "ready"}
	_, err := s.cfg.Store.Put(ctx, key, storage.Attrs{ETag: s.cfg.Now().String()}, strings.NewReader(strings.Repeat("ready\n", 1000)))
	return err
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // nobody is left to tell
}

// preflight answers OPTIONS; cors has set what browsers ask for.
func preflight(w http.ResponseWriter) {
	w.Header().Set("Allow", "GET, HEAD, OPTIONS")
	w.WriteHeader(http.StatusNoContent)
}

func notFound(w http.ResponseWriter, r *http.Request) {
	reply.WriteError(w, r, fmt.Errorf("%w: %s", reply.ErrNoRoute, r.URL.Path))
}

func methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", "GET, HEAD, OPTIONS")
	reply.WriteError(w, r, fmt.Errorf("%w: %s", reply.ErrMethod, r.Method))
}

// playbackPath returns the path of a manifest on the public listener.
func playbackPath(id channel.ID, e *channel.Endpoint, m channel.Manifest) string {
	name := m.Name + ".m3u8"
	switch m.Type {
	case channel.DASH:
		name = m.Name + ".mpd"
	case channel.MSS:
		name = m.Name + ".ism/Manifest"
	}
	return "/out/v1/" + url.PathEscape(id.Group) + "/" + url.PathEscape(id.Name) + "/" + url.PathEscape(e.Name) + "/" + name
}

// Package console is the web page at /console/ on the admin listener: channels, their tracks, inputs and playback URLs,
// refreshed every two seconds, and a player for every manifest.
//
// It only shows. It keeps no state and learns what exists from a Source; what its page changes it asks of the admin listener.
package console

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

//go:embed web/page.html web/console.css web/console.js web/players.json
var web embed.FS

// Options say what the console shows. Source and PublicAddr are required.
type Options struct {
	Source     Source
	PublicURL  string           // base URL under which viewers reach the public listener; when empty, derived from PublicAddr
	PublicAddr string           // where the public listener is: "127.0.0.1:8080" or, with TLS, "https://127.0.0.1:8443"; see own
	Version    string           // shown on the page
	Now        func() time.Time // time.Now when nil
	Logger     *slog.Logger     // discards when nil
}

// console serves the page. It is immutable.
type console struct {
	Options
	page   *template.Template
	assets map[string]asset
	// players are the scripts that the page loads before its own; cdn is true when they come from elsewhere.
	players []script
	cdn     bool
	scheme  string // of PublicAddr
	port    string // of PublicAddr
}

// New returns the handler of /console, /console/, /console/api/channels and /console/assets/. It answers 404 to every other
// path, so it can be mounted at "/console" and below without stripping.
func New(opt Options) (http.Handler, error) {
	if opt.Source == nil {
		return nil, errors.New("console: no source")
	}
	c := &console{Options: opt}
	if opt.PublicURL != "" {
		u, err := url.Parse(opt.PublicURL)
		if err != nil || u.Host == "" || !validHost.MatchString(u.Host) || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("console: public URL %q is not an absolute http or https URL", opt.PublicURL)
		}
	}
	if err := c.locate(); err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if c.page, err = template.ParseFS(web, "web/page.html"); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	if err := c.loadAssets(dist); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /console", http.RedirectHandler("/console/", http.StatusMovedPermanently))
	mux.HandleFunc("GET /console/{$}", c.servePage)
	mux.HandleFunc("GET /console/api/channels", c.serveChannels)
	mux.HandleFunc("GET /console/assets/{name}", c.serveAsset)
	return mux, nil
}

// locate takes PublicAddr apart.
func (c *console) locate() error {
	scheme, addr, found := strings.Cut(c.PublicAddr, "://")
	if !found {
		scheme, addr = "http", c.PublicAddr
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("console: public address: %w", err)
	}
	if scheme != "http" && scheme != "https" {
		return fmt.Errorf("console: public address %q is not one of http or https", c.PublicAddr)
	}
	c.scheme, c.port = scheme, port
	return nil
}

// servePage renders the page. What changes comes from serveChannels.
func (c *console) servePage(w http.ResponseWriter, r *http.Request) {
	c.secure(w, r)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	err := c.page.Execute(w, struct {
		Version string
		Players []script
	}{c.Version, c.players})
	if err != nil {
		c.Logger.Debug("console: page not written", "error", err)
	}
}

// serveChannels answers with what the source says, as JSON.
func (c *console) serveChannels(w http.ResponseWriter, r *http.Request) {
	now := c.Now()
	s := describe(c.Source.Channels(now), now, c.public(r))
	s.Ingest = c.own(r)
	body, err := json.Marshal(s)
	if err != nil {
		c.Logger.Error("console: channels not described", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	c.secure(w, r)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if _, err := w.Write(body); err != nil {
		c.Logger.Debug("console: channels not written", "error", err)
	}
}

// validHost matches what may stand as host[:port] in a URL and in a Content-Security-Policy.
var validHost = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

// public returns the base URL under which viewers play, as the client of r can reach it, without a slash at its end.
func (c *console) public(r *http.Request) string {
	if c.PublicURL != "" {
		return strings.TrimSuffix(c.PublicURL, "/")
	}
	return c.own(r)
}

// own returns the base URL of the public listener itself, to which encoders push even when viewers are sent to a CDN: the
// host by which the client of r reaches this machine, with scheme and port of PublicAddr.
func (c *console) own(r *http.Request) string {
	host := "localhost"
	if validHost.MatchString(r.Host) {
		host = (&url.URL{Host: r.Host}).Hostname()
	}
	return c.scheme + "://" + net.JoinHostPort(host, c.port)
}

// secure sets the headers that confine the page: scripts and styles of its own, the players, and media from the public
// listener. The players run their workers and feed the video element from blob URLs.
func (c *console) secure(w http.ResponseWriter, r *http.Request) {
	media := c.public(r)
	if u, err := url.Parse(media); err == nil {
		media = u.Scheme + "://" + u.Host
	}
	scripts := "'self'"
	if c.cdn {
		scripts += " " + cdnOrigin
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src "+scripts+"; style-src 'self'; img-src 'self' data:; "+
		"connect-src 'self' "+media+"; media-src blob: "+media+"; worker-src blob:; base-uri 'none'; form-action 'none'; "+
		"frame-ancestors 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer")
}

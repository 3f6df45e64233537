package main

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"headwater/auth/iprange"
	"headwater/origin/channel"
)

// builder turns what was given into a Config and collects everything that is wrong.
type builder struct {
	flags     flags
	env       environment
	listening string // address of the public listener that a running server keeps; empty: none
	file      file
	doc       *yaml.Node // nil: no file
	lines     map[string]int
	problems  []*Problem
}

// bad adds a problem with the value at a path of the file, unless the value there could not even be read.
func (b *builder) bad(path, format string, args ...any) {
	p := &Problem{Line: b.line(path), Text: fmt.Sprintf(format, args...)}
	if p.Line == 0 || !slices.ContainsFunc(b.problems, func(o *Problem) bool { return o.unread && o.Line == p.Line }) {
		b.problems = append(b.problems, p)
	}
}

// badSetting is bad for a setting that a flag may have given: then the file is not to blame.
func (b *builder) badSetting(flagged bool, path, format string, args ...any) {
	if flagged {
		b.problems = append(b.problems, &Problem{Text: path + ": " + fmt.Sprintf(format, args...)})
		return
	}
	b.bad(path, path+": "+format, args...)
}

// line finds the line of a path, by what was noted while building or else by the document.
func (b *builder) line(path string) int {
	for p := path; p != ""; p = p[:max(strings.LastIndexByte(p, '.'), 0)] {
		if line, ok := b.lines[p]; ok {
			return line
		}
	}
	return lineOf(b.doc, path)
}

// first returns the first value that was given, else the default.
func first[T any](def T, given ...*T) T {
	for _, g := range given {
		if g != nil {
			return *g
		}
	}
	return def
}

func (b *builder) build() *Config {
	fl, f := &b.flags, &b.file
	c := &Config{
		File:          fl.Config,
		Listen:        first(defaultListen, fl.Listen, f.Listen),
		Admin:         first(defaultAdmin, fl.Admin, f.Admin),
		PublicURL:     first("", fl.PublicURL, f.PublicURL),
		Data:          first(defaultData, fl.Data, f.Data),
		Insecure:      first(false, fl.Insecure, f.Insecure),
		TLSCert:       first("", fl.TLSCert, f.TLS.Cert),
		TLSKey:        first("", fl.TLSKey, f.TLS.Key),
		FirstPush:     first(true, fl.FirstPush, f.FirstPush),
		StorageSync:   first(true, fl.StorageSync, f.Storage.Sync),
		MaxChannels:   first(channel.DefaultMax, fl.MaxChannels, f.Limits.MaxChannels),
		Limits:        f.Limits.over(channel.DefaultLimits()),
		ShutdownGrace: first(defaultShutdownGrace, fl.ShutdownGrace, (*time.Duration)(f.ShutdownGrace)),
		ExpiryGrace:   first(defaultExpiryGrace, (*time.Duration)(f.ExpiryGrace)),
	}
	b.logging(c)
	b.bounds(c)
	b.tls(c)
	b.proxies(c)
	b.sources(c)
	b.defaults(c)
	b.channels(c)
	b.mediaStore(c)
	b.exposure(c)
	return c
}

func (b *builder) logging(c *Config) {
	level := first("info", b.flags.LogLevel, b.file.Log.Level)
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	var ok bool
	if c.LogLevel, ok = levels[level]; !ok {
		b.badSetting(b.flags.LogLevel != nil, "log.level", "%q is not debug, info, warn or error", level)
	}
	switch format := first("text", b.flags.LogFormat, b.file.Log.Format); format {
	case "text", "json":
		c.LogJSON = format == "json"
	default:
		b.badSetting(b.flags.LogFormat != nil, "log.format", "%q is not text or json", format)
	}
}

func (b *builder) bounds(c *Config) {
	b.address(c.Listen, "listen", b.flags.Listen != nil)
	b.address(c.Admin, "admin", b.flags.Admin != nil)
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" &&
		(err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		b.badSetting(b.flags.PublicURL != nil, "public_url", "it is not like https://live.example.com")
	}
	if c.Data == "" {
		b.badSetting(b.flags.Data != nil, "data", "a directory is needed")
	}
	if c.MaxChannels < 1 || c.MaxChannels > maxChannels {
		b.badSetting(b.flags.MaxChannels != nil, "limits.max_channels", "%d is not between 1 and %d", c.MaxChannels, maxChannels)
	}
	if c.ShutdownGrace < 0 || c.ShutdownGrace > maxGrace {
		b.badSetting(b.flags.ShutdownGrace != nil, "shutdown_grace", "%v is not between 0s and %v", c.ShutdownGrace, maxGrace)
	}
	if c.ExpiryGrace < minExpiryGrace || c.ExpiryGrace > maxGrace {
		b.badSetting(false, "expiry_grace", "%v is not between %v and %v", c.ExpiryGrace, minExpiryGrace, maxGrace)
	}
}

// address checks a "host:port" to listen on.
func (b *builder) address(addr, path string, flagged bool) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		b.badSetting(flagged, path, "%q is not an address like 127.0.0.1:8080 or :8080", addr)
		return
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		b.badSetting(flagged, path, "%q is not a port between 0 and 65535", port)
	}
}

func (b *builder) tls(c *Config) {
	flagged := b.flags.TLSCert != nil || b.flags.TLSKey != nil
	switch {
	case c.TLSCert == "" && c.TLSKey == "":
	case c.TLSCert == "" || c.TLSKey == "":
		b.badSetting(flagged, "tls", "cert and key belong together")
	default:
		if _, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey); err != nil {
			b.badSetting(flagged, "tls", "%v", err)
		}
	}
}

func (b *builder) proxies(c *Config) {
	if len(b.flags.TrustedProxies) > 0 {
		set, err := iprange.Parse(b.flags.TrustedProxies...)
		if err != nil {
			b.badSetting(true, "trusted_proxies", "%v", err)
		}
		c.TrustedProxies = set
		return
	}
	c.TrustedProxies = iprange.New(prefixes(b.file.TrustedProxies)...)
}

func prefixes(list []prefix) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i := range list {
		out[i] = list[i].Prefix
	}
	return out
}

func (b *builder) sources(c *Config) {
	for _, name := range slices.Sorted(maps.Keys(b.file.IPSources)) {
		src := iprange.Source{Name: name, File: b.file.IPSources[name].File, Services: b.file.IPSources[name].Services}
		if src.File == "" {
			b.bad("ip_sources."+name, "ip_sources.%s: a file is needed", name)
		} else if err := iprange.Check([]iprange.Source{src}); err != nil {
			b.bad("ip_sources."+name, "%v", err)
		}
		c.IPSources = append(c.IPSources, src)
	}
}

// defaults resolves the ingest credentials and access rules of channels that have none of their own.
func (b *builder) defaults(c *Config) {
	c.Ingest = b.ingest("ingest", &b.file.Ingest)
	if user, _ := b.env(envIngestUser); user != "" {
		name, password, found := strings.Cut(user, ":")
		if !found || name == "" || password == "" {
			b.problems = append(b.problems, &Problem{Text: envIngestUser + " is not name:password"})
		}
		c.Ingest.Users = []channel.User{{Name: name, Password: password}}
	}
	if token, _ := b.env(envIngestToken); token != "" {
		c.Ingest.Tokens = []string{token}
	}
	c.Access = b.access("access", &b.file.Access)
	probe := channel.Channel{ID: channel.ID{Group: "default", Name: "default"}, Numbering: channel.NumberingAuto, Ingest: c.Ingest, Limits: c.Limits}
	probe.Endpoints = []channel.Endpoint{channel.NewEndpoint("default", channel.CMAF)}
	probe.Endpoints[0].Access = c.Access
	for _, p := range channel.Problems(probe.Validate()) {
		path := strings.TrimPrefix(p.Path, "endpoints.0.")
		b.bad(path, "%s: %s", path, p.Text)
	}
}

func (b *builder) ingest(path string, f *fileIngest) (in channel.IngestAuth) {
	for i := range f.Users {
		at := fmt.Sprintf("%s.users.%d", path, i)
		for _, password := range b.resolve(at+".password", f.Users[i].Password) {
			b.lines[fmt.Sprintf("%s.users.%d", path, len(in.Users))] = b.line(at)
			in.Users = append(in.Users, channel.User{Name: f.Users[i].Name, Password: password})
		}
	}
	in.Tokens = b.secrets(path+".tokens", f.Tokens)
	return in
}

func (b *builder) access(path string, f *fileAccess) channel.Access {
	a := channel.Access{
		UserAgentSecrets: b.secrets(path+".user_agent_secrets", f.UserAgentSecrets),
		AllowSources:     f.AllowSources,
		RequireHTTPS:     f.RequireHTTPS,
	}
	if len(f.AllowIPs) > 0 {
		a.AllowIPs = prefixes(f.AllowIPs)
	}
	for i, name := range f.AllowSources {
		if _, ok := b.file.IPSources[name]; !ok && name != "" {
			at := fmt.Sprintf("%s.allow_sources.%d", path, i)
			b.bad(at, "%s: %q is not in ip_sources", at, name)
		}
	}
	return a
}

func (b *builder) secrets(path string, list []secret) (values []string) {
	for i, s := range list {
		at := fmt.Sprintf("%s.%d", path, i)
		for _, v := range b.resolve(at, s) {
			b.lines[fmt.Sprintf("%s.%d", path, len(values))] = cmp.Or(s.line, b.line(at))
			values = append(values, v)
		}
	}
	return values
}

// resolve fetches the values of a secret: one, or from a file one per line, so that a file can hold the old and the new
// one at once.
func (b *builder) resolve(path string, s secret) []string {
	switch {
	case s.env != "":
		if v, ok := b.env(s.env); ok && v != "" {
			return []string{v}
		}
		b.bad(path, "%s: the environment variable %s is not set or empty", path, s.env)
	case s.file != "":
		data, err := readBounded(s.file, maxSecretFile+1)
		var values []string
		for _, v := range strings.Split(string(data), "\n") {
			if v = strings.TrimRight(v, "\r"); v != "" {
				values = append(values, v)
			}
		}
		switch {
		case err != nil:
			b.bad(path, "%s: %v", path, err)
		case len(data) > maxSecretFile:
			b.bad(path, "%s: %s has more than %d bytes", path, s.file, maxSecretFile)
		case len(values) == 0:
			b.bad(path, "%s: %s is empty", path, s.file)
		default:
			return values
		}
	case s.literal != "":
		return []string{s.literal}
	default:
		b.bad(path, "%s: a secret is needed", path)
	}
	return nil
}

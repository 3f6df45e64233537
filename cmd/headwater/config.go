package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"headwater/auth/iprange"
	"headwater/origin/channel"
)

// flags are the settings that the command line and the environment can give; nil means not given. Kong fills them, the
// command line before the environment. Secrets have no flags, because everybody on a machine can read those.
type flags struct {
	Config         string         `short:"c" placeholder:"FILE" env:"HEADWATER_CONFIG" help:"YAML configuration file."`
	Listen         *string        `placeholder:"ADDR" env:"HEADWATER_LISTEN" help:"Address for ingest and playback (127.0.0.1:8080)."`
	Admin          *string        `placeholder:"ADDR" env:"HEADWATER_ADMIN" help:"Address for console, metrics and control (127.0.0.1:9090)."`
	PublicURL      *string        `name:"public-url" placeholder:"URL" env:"HEADWATER_PUBLIC_URL" help:"Base URL under which viewers reach the public listener."`
	Data           *string        `placeholder:"DIR" env:"HEADWATER_DATA" help:"Directory that holds everything stored (./data)."`
	Insecure       *bool          `env:"HEADWATER_INSECURE" help:"Let anyone push even when others can reach the address."`
	LogLevel       *string        `placeholder:"LEVEL" env:"HEADWATER_LOG_LEVEL" help:"debug, info, warn or error (info)."`
	LogFormat      *string        `placeholder:"FORMAT" env:"HEADWATER_LOG_FORMAT" help:"text or json (text)."`
	TLSCert        *string        `name:"tls-cert" placeholder:"FILE" env:"HEADWATER_TLS_CERT" help:"Certificate chain of the public listener."`
	TLSKey         *string        `name:"tls-key" placeholder:"FILE" env:"HEADWATER_TLS_KEY" help:"Private key of the public listener."`
	TrustedProxies []string       `placeholder:"CIDR,..." env:"HEADWATER_TRUSTED_PROXIES" help:"Proxies whose X-Forwarded-For is believed."`
	FirstPush      *bool          `name:"channels-on-first-push" negatable:"" env:"HEADWATER_CHANNELS_ON_FIRST_PUSH" help:"Make channels when something is pushed to them (yes)."`
	StorageSync    *bool          `negatable:"" env:"HEADWATER_STORAGE_SYNC" help:"Sync to disk before acknowledging (yes)."`
	MaxChannels    *int           `placeholder:"N" env:"HEADWATER_MAX_CHANNELS" help:"Channels beyond which none appears on first push (1000)."`
	ShutdownGrace  *time.Duration `placeholder:"TIME" env:"HEADWATER_SHUTDOWN_GRACE" help:"How long running uploads may take when the server stops (25s)."`
}

// Environment variables that hold secrets and therefore have no flag. Each takes the place of the file's ingest unless it is
// empty.
const (
	envIngestUser  = "HEADWATER_INGEST_USER" // name:password
	envIngestToken = "HEADWATER_INGEST_TOKEN"
)

// Defaults of the settings that channel does not own.
const (
	defaultListen        = "127.0.0.1:8080"
	defaultAdmin         = "127.0.0.1:9090"
	defaultData          = "data"
	defaultShutdownGrace = 25 * time.Second
	defaultExpiryGrace   = 5 * time.Minute
	maxChannels          = 100_000
	maxGrace             = 24 * time.Hour
	minExpiryGrace       = time.Second // without any, what a manifest has just named could be gone
	maxSecretFile        = 64 << 10    // bytes
)

// Config is a complete and valid configuration. It is not modified once it is loaded.
type Config struct {
	File   string // it was read from; empty: none
	Listen string // host:port of the public listener
	Admin  string // host:port of the admin listener
	Data   string // directory

	PublicURL string // base URL of the public listener for the console's links; empty: by its address
	Insecure  bool
	LogLevel  slog.Level
	LogJSON   bool
	TLSCert   string // files; both or none
	TLSKey    string

	TrustedProxies iprange.Prefixes
	IPSources      []iprange.Source // by name
	FirstPush      bool
	Ingest         channel.IngestAuth // of channels that have none of their own
	Access         channel.Access     // of endpoints that have none of their own
	StorageSync    bool
	MaxChannels    int
	Limits         channel.Limits // of channels that have none of their own
	ShutdownGrace  time.Duration  // for uploads under way when the server stops
	ExpiryGrace    time.Duration  // objects stay fetchable so long after they left every manifest
	Channels       []channel.Channel
	MediaStore     MediaStoreConfig
}

// ConfigError holds everything that is wrong with a configuration.
type ConfigError struct {
	File     string // empty: no file
	Problems []*Problem
}

// Error lists the problems, one per line, as "file:line: text".
func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		switch {
		case e.File == "":
			lines[i] = p.Text
		case p.Line == 0:
			lines[i] = e.File + ": " + p.Text
		default:
			lines[i] = fmt.Sprintf("%s:%d: %s", e.File, p.Line, p.Text)
		}
	}
	return strings.Join(lines, "\n")
}

// environment looks up an environment variable, as os.LookupEnv does.
type environment func(name string) (string, bool)

// load reads the configuration: flags, then the environment, then the file that the flags name, then defaults. The error
// is a *ConfigError with all problems at once.
func load(fl flags, env environment) (*Config, error) { return loadFor(fl, env, "") }

// loadFor is load for a server that runs: it keeps its public listener on the address listening, "" for none yet, whatever
// the configuration says.
func loadFor(fl flags, env environment, listening string) (*Config, error) {
	b := &builder{flags: fl, env: env, listening: listening, lines: make(map[string]int)}
	if fl.Config != "" {
		data, err := readBounded(fl.Config, maxConfigBytes+1)
		if err != nil {
			return nil, &ConfigError{Problems: []*Problem{{Text: err.Error()}}}
		}
		b.file, b.doc, b.problems = parseFile(data)
	}
	cfg := b.build()
	if len(b.problems) > 0 {
		slices.SortStableFunc(b.problems, func(x, y *Problem) int { return x.Line - y.Line })
		return nil, &ConfigError{File: fl.Config, Problems: b.problems}
	}
	return cfg, nil
}

// readBounded reads at most limit bytes of a file.
func readBounded(name string, limit int64) ([]byte, error) {
	f, err := os.Open(filepath.Clean(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return data, nil
}

// Template returns how channels appear on first push, nil when they do not.
func (c *Config) Template() channel.Template {
	if !c.FirstPush {
		return nil
	}
	return func(id channel.ID) channel.Channel {
		ch := channel.Default(id)
		ch.Ingest, ch.Limits = c.Ingest, c.Limits
		for i := range ch.Endpoints {
			ch.Endpoints[i].Access = c.Access
		}
		return ch
	}
}

// Set returns the configuration of the channel registry.
func (c *Config) Set() channel.Set {
	return channel.Set{Channels: c.Channels, Template: c.Template(), Max: c.MaxChannels}
}

// Summary describes the configuration for people. It holds no secret.
func (c *Config) Summary() string {
	var s strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&s, "%-24s", name+":")
		fmt.Fprintf(&s, format+"\n", args...)
	}
	line("listen", "%s", c.Listen)
	line("admin", "%s", c.Admin)
	if c.PublicURL != "" {
		line("public url", "%s", c.PublicURL)
	}
	line("data", "%s (sync %t)", c.Data, c.StorageSync)
	tls := "off"
	if c.TLSCert != "" {
		tls = c.TLSCert
	}
	line("tls", "%s", tls)
	line("trusted proxies", "%d ranges", c.TrustedProxies.Len())
	for _, src := range c.IPSources {
		line("ip source "+src.Name, "%s %v", src.File, src.Services)
	}
	line("channels on first push", "%t, up to %d channels", c.FirstPush, c.MaxChannels)
	line("default ingest", "%v", c.Ingest)
	line("default access", "%v", c.Access)
	line("default limits", "%v", c.Limits)
	for i := range c.Channels {
		ch := &c.Channels[i]
		line("channel "+ch.ID.String(), "numbering %s, ingest %v", ch.Numbering, ch.Ingest)
		if ch.Limits != c.Limits {
			line("  limits", "%v", ch.Limits)
		}
		for j := range ch.V2.Inputs {
			line(fmt.Sprintf("  input %d", j+1), "/in/v2/%s/%s/channel, %d users", ch.V2.ID, ch.V2.Inputs[j].ID, len(ch.V2.Inputs[j].Users))
		}
		for j := range ch.Endpoints {
			e := &ch.Endpoints[j]
			names := make([]string, len(e.Manifests))
			for k, m := range e.Manifests {
				names[k] = string(m.Type) + " " + m.Name
			}
			line("  endpoint "+e.Name, "%s: %s; window %v, start-over %v, access %v", e.Container, strings.Join(names, ", "),
				e.ManifestWindow, e.StartoverWindow, e.Access)
		}
	}
	c.MediaStore.summary(line)
	return s.String()
}

// Format keeps the secrets out of every fmt verb.
func (c *Config) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.Summary()) }

// needsRestart lists the settings in which the two configurations differ and that only a start can put in force.
func (c *Config) needsRestart(next *Config) (names []string) {
	for _, s := range []struct {
		name string
		same bool
	}{
		{"listen", c.Listen == next.Listen},
		{"admin", c.Admin == next.Admin},
		{"public_url", c.PublicURL == next.PublicURL},
		{"data", c.Data == next.Data},
		{"tls", c.TLSCert == next.TLSCert && c.TLSKey == next.TLSKey},
		{"storage.sync", c.StorageSync == next.StorageSync},
		{"log.format", c.LogJSON == next.LogJSON},
		{"expiry_grace", c.ExpiryGrace == next.ExpiryGrace},
		{"mediastore but its credentials", c.MediaStore.fixed() == next.MediaStore.fixed()},
	} {
		if !s.same {
			names = append(names, s.name)
		}
	}
	return names
}

// problemList returns the problems of an error of load, for logs.
func problemList(err error) []string {
	var c *ConfigError
	if !errors.As(err, &c) {
		return []string{err.Error()}
	}
	return strings.Split(c.Error(), "\n")
}

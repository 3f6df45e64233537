package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"headwater/origin/channel"
)

// none is an environment without variables.
func none(string) (string, bool) { return "", false }

// vars is an environment of "NAME=value".
func vars(pairs ...string) environment {
	return func(name string) (string, bool) {
		for _, p := range pairs {
			if k, v, _ := strings.Cut(p, "="); k == name {
				return v, true
			}
		}
		return "", false
	}
}

// yamlFile writes a configuration file and returns the flags that name it.
func yamlFile(t *testing.T, text string) flags {
	t.Helper()
	name := filepath.Join(t.TempDir(), "headwater.yaml")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return flags{Config: name}
}

// problems returns what is wrong with a file, as "line: text".
func problems(t *testing.T, text string, env environment) []string {
	t.Helper()
	_, err := load(yamlFile(t, text), env)
	var bad *ConfigError
	require.ErrorAs(t, err, &bad)
	var out []string
	for _, p := range bad.Problems {
		out = append(out, fmt.Sprintf("%d: %s", p.Line, p.Text))
	}
	return out
}

func TestDefaults(t *testing.T) {
	c, err := load(flags{}, none)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8080", c.Listen)
	require.Equal(t, "127.0.0.1:9090", c.Admin)
	require.Equal(t, "data", c.Data)
	require.True(t, c.FirstPush)
	require.True(t, c.StorageSync)
	require.Equal(t, 1000, c.MaxChannels)
	require.Equal(t, 25*time.Second, c.ShutdownGrace)
	require.Equal(t, slog.LevelInfo, c.LogLevel)
	ch := c.Template()(channel.ID{Group: "default", Name: "one"})
	require.NoError(t, ch.Validate())

	c, err = load(yamlFile(t, ""), none)
	require.NoError(t, err, "an empty file is a good one")
	require.Equal(t, "127.0.0.1:8080", c.Listen)
	_, err = load(yamlFile(t, "# only a comment\n"), none)
	require.NoError(t, err)
}

func TestFlagsComeBeforeEnvironmentBeforeFileBeforeDefaults(t *testing.T) {
	name := yamlFile(t, "listen: 127.0.0.1:1\nadmin: 127.0.0.1:2\ndata: from-file\nlog: {level: warn}\nstorage: {sync: false}\n").Config
	t.Setenv("HEADWATER_LISTEN", "127.0.0.1:3")
	t.Setenv("HEADWATER_ADMIN", "127.0.0.1:4")
	t.Setenv("HEADWATER_CONFIG", name)
	t.Setenv("HEADWATER_TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.1")
	fl := parseServe(t, "serve", "--listen", "127.0.0.1:5", "--no-channels-on-first-push", "--shutdown-grace", "3s")
	c, err := load(fl, none)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:5", c.Listen, "a flag wins")
	require.Equal(t, "127.0.0.1:4", c.Admin, "then the environment")
	require.Equal(t, "from-file", c.Data, "then the file")
	require.Equal(t, slog.LevelWarn, c.LogLevel)
	require.False(t, c.StorageSync)
	require.Equal(t, 1000, c.MaxChannels, "then the default")
	require.Equal(t, 2, c.TrustedProxies.Len())
	require.False(t, c.FirstPush)
	require.Nil(t, c.Template())
	require.Equal(t, 3*time.Second, c.ShutdownGrace)

	require.Equal(t, "127.0.0.1:9", *parseServe(t, "--listen=127.0.0.1:9").Listen, "serve is the default command")
}

func TestAnEmptyVariableCountsAsNotSet(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	issue(t, cert, key, 1)
	want, err := load(yamlFile(t, "listen: 127.0.0.1:1\ntls: {cert: "+cert+", key: "+key+"}\ningest: {tokens: [t]}\n"), none)
	require.NoError(t, err)
	t.Setenv("HEADWATER_CONFIG", want.File)
	for _, name := range []string{"LISTEN", "ADMIN", "PUBLIC_URL", "DATA", "INSECURE", "LOG_LEVEL", "LOG_FORMAT", "TLS_CERT", "TLS_KEY",
		"TRUSTED_PROXIES", "CHANNELS_ON_FIRST_PUSH", "STORAGE_SYNC", "MAX_CHANNELS", "SHUTDOWN_GRACE", "INGEST_USER", "INGEST_TOKEN"} {
		t.Setenv("HEADWATER_"+name, "")
	}
	got, err := load(parseServe(t, "serve"), os.LookupEnv)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// GUIDs as in MediaPackage. The last one looks like a number.
const guidA, guidB, guidC = "3a1f0c5e8d2b4796a0e1c2d3f4b5a697", "9b8e7d6c5f4a4312b1a0f9e8d7c6b5a4", "12345678901234567890123456789012"

// v2 returns a channel with these settings of ingest_v2, which begin on line 4.
func v2(settings string) string {
	return "channels:\n- name: a\n  ingest_v2:\n" + regexp.MustCompile("(?m)^").ReplaceAllString(settings, "  ")
}

func TestProblemsNameTheirLine(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"an unknown key", "listen: 127.0.0.1:1\nlisten_on: x\n", `2: unknown key "listen_on"`},
		{"an unknown key far down", "channels:\n- name: a\n  endpoints:\n  - name: b\n    containr: TS\n    container: TS\n",
			`5: unknown key "containr"`},
		{"a key written twice", "data: a\ndata: b\n", `2: the key "data" stands on line 1 already`},
		{"a preferred input that there is not", "channels:\n- name: a\n  preferred_input: 3\n", "3: channels.0.preferred_input: 3 is not 1 or 2"},
		{"no preferred input in figures", "channels:\n- name: a\n  preferred_input: 0\n", "3: channels.0.preferred_input: 0 is not 1 or 2"},
		{"a list in place of a mapping", "log: [info]\n", "1: a mapping is needed here"},
		{"a mapping in place of a list", "channels: {name: a}\n", "1: a list is needed here"},
		{"a word in place of a number", "limits:\n  max_channels: many\n", "2: a whole number is needed here"},
		{"a word in place of yes or no", "insecure: perhaps\n", "1: true or false is needed here"},
		{"a number without a unit", "shutdown_grace: 30\n", "1: a duration is written like 30s, 6h or 14d"},
		{"no grace for what manifests have just named", "data: a\nexpiry_grace: 0s\n", "2: expiry_grace: 0s is not between 1s and 24h0m0s"},
		{"a size in an unknown unit", "limits: {max_upload: 5 furlongs}\n", "1: a size is written like 500MB, 2GiB or a number of bytes"},
		{"a bitrate in an unknown unit", "limits:\n  max_bitrate: 5Mb\n", "2: a bitrate is written like 800kbps, 25Mbps or a number of bits per second"},
		{"a limit that stops everybody", "limits:\n  max_tracks: 2\n  max_request_rate: 0\n", "3: limits.max_request_rate: 0 is less than 1 requests per second"},
		{"no upload at all", "limits: {max_upload: 0}\n", "1: limits.max_upload: at least one byte is needed"},
		{"a bad limit of all channels, once", "limits: {max_tracks: 257}\nchannels:\n- name: a\n  limits: {upload_idle: 5s}\n",
			"1: limits.max_tracks: 257 is more than 256 tracks"},
		{"a bad limit of a channel", "channels:\n- name: a\n  limits:\n    max_bitrate: 10kbps\n",
			"4: channels.0.limits.max_bitrate: 10000 is less than 100000 bit/s"},
		{"a limit that is not of channels", "channels:\n- name: a\n  limits:\n    max_channels: 1\n", `4: unknown key "max_channels"`},
		{"a prefix with bits too many", "trusted_proxies:\n- 10.0.0.1/8\n",
			`2: invalid address range "10.0.0.1/8": bits set beyond the prefix length, write 10.0.0.0/8 or the address alone`},
		{"a secret that is none", "ingest:\n  tokens:\n  - {enf: X}\n", "3: a secret is written as {env: NAME}, {file: path} or a string"},
		{"a missing variable", "ingest:\n  tokens:\n  - {env: NOPE}\n",
			"3: ingest.tokens.0: the environment variable NOPE is not set or empty"},
		{"a missing password", "ingest:\n  users:\n  - name: enc\n", "3: ingest.users.0.password: a secret is needed"},
		{"a log level", "log:\n  level: loud\n", `2: log.level: "loud" is not debug, info, warn or error`},
		{"an address", "listen: 8080\n", `1: listen: "8080" is not an address like 127.0.0.1:8080 or :8080`},
		{"a public url", "public_url: live\n", "1: public_url: it is not like https://live.example.com"},
		{"half a certificate", "tls:\n  cert: a.pem\n", "2: tls: cert and key belong together"},
		{"an unknown source", "access:\n  allow_sources: [cdn]\n", `2: access.allow_sources.0: "cdn" is not in ip_sources`},
		{"a bad secret of the defaults, once", "access:\n  user_agent_secrets: [\" x\"]\nchannels:\n- name: a\n",
			"2: access.user_agent_secrets.0: a header cannot carry it: use printable ASCII, no space at either end"},
		{"a rule of channels", "channels:\n- name: one\n  endpoints:\n  - name: ts\n    container: TS\n    manifests:\n    - {name: index, type: dash}\n",
			"7: channels.0.endpoints.0.manifests.0.type: a TS endpoint cannot have a manifest of type dash"},
		{"a channel without name", "channels:\n- group: x\n", "2: channels.0.name: a name is needed"},
		{"a channel defined twice", "channels:\n- name: one\n- name: one\n", `3: channels.1: "default/one" is channels.0 already`},
		{"a GUID with dashes", v2("  id: 3a1f0c5e-8d2b-4796-a0e1-c2d3f4b5a697\n  inputs: [{id: " + guidB + "}]"),
			`4: channels.0.ingest_v2.id: "3a1f0c5e-8d2b-4796-a0e1-c2d3f4b5a697": use 32 hexadecimal digits, a to f in lower case`},
		{"a GUID missing", v2("  id: " + guidA + "\n  inputs:\n  - username: x\n    password: y"),
			"6: channels.0.ingest_v2.inputs.0.id: an id is needed"},
		{"a GUID of two inputs", v2("  id: " + guidA + "\n  inputs:\n  - id: " + guidB + "\n  - id: " + guidB),
			"7: channels.0.ingest_v2.inputs.1.id: " + guidB + " is the id of another input"},
		{"a GUID of two channels", v2("  id: "+guidA+"\n  inputs: [{id: "+guidB+"}]") +
			"\n- name: b\n  ingest_v2:\n    id: " + guidA + "\n    inputs: [{id: " + guidC + "}]",
			"8: channels.1.ingest_v2.id: " + guidA + " is channels.0.ingest_v2.id already"},
		{"a GUID of inputs of two channels", v2("  id: "+guidA+"\n  inputs: [{id: "+guidB+"}]") +
			"\n- name: b\n  ingest_v2:\n    id: " + guidC + "\n    inputs: [{id: " + guidB + "}]",
			"9: channels.1.ingest_v2.inputs.0.id: " + guidB + " is channels.0.ingest_v2.inputs.0.id already"},
		{"no inputs", v2("  id: " + guidA), "4: channels.0.ingest_v2.inputs: 0 inputs are not 1 or 2"},
		{"three inputs", v2("  id: " + guidA + "\n  inputs: [{id: " + guidA + "}, {id: " + guidB + "}, {id: " + guidC + "}]"),
			"5: channels.0.ingest_v2.inputs: 3 inputs are not 1 or 2"},
		{"nothing of MediaPackage", "channels:\n- name: a\n  ingest_v2: {}", "3: channels.0.ingest_v2: an id and inputs are needed"},
		{"a user of an input without password", v2("  id: " + guidA + "\n  inputs: [{id: " + guidB + ", username: x}]"),
			"5: channels.0.ingest_v2.inputs.0.password: a secret is needed"},
		{"a password of an input without user", v2("  id: " + guidA + "\n  inputs: [{id: " + guidB + ", password: s3cret}]"),
			"5: channels.0.ingest_v2.inputs.0.username: a name is needed"},
		{"no YAML", "listen: [\n", "1: did not find expected node content"},
		{"two documents", "data: a\n---\ndata: b\n", "0: the file holds more than one document"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := problems(t, tt.text, none)
			require.Equal(t, []string{tt.want}, got)
		})
	}
	t.Run("a missing file", func(t *testing.T) {
		_, err := load(flags{Config: filepath.Join(t.TempDir(), "none.yaml")}, none)
		require.ErrorContains(t, err, "none.yaml")
	})
	t.Run("a flag's problem blames no line", func(t *testing.T) {
		fl := yamlFile(t, "listen: 127.0.0.1:1\n")
		wrong := "x"
		fl.Listen = &wrong
		_, err := load(fl, none)
		require.ErrorContains(t, err, `headwater.yaml: listen: "x" is not an address`)
	})
}

func TestLimitsAreThoseOfTheChannelElseOfAllElseTheDefaults(t *testing.T) {
	c, err := load(yamlFile(t, `
limits: {max_bitrate: 50Mbps, max_tracks: 10}
channels:
- name: inherits
- name: own
  limits: {max_bitrate: 8000kbps, max_upload: 25MB, upload_idle: 90s, max_request_rate: 50, max_concurrent: 20}
`), none)
	require.NoError(t, err)
	all := channel.DefaultLimits()
	all.Bitrate, all.Tracks = 50_000_000, 10
	require.Equal(t, all, c.Channels[0].Limits)
	require.Equal(t, all, c.Template()(channel.ID{Group: "default", Name: "pushed"}).Limits)
	require.Equal(t, channel.Limits{Bitrate: 8_000_000, RequestRate: 50, Concurrent: 20, Tracks: 10, Upload: 25_000_000, Idle: 90 * time.Second},
		c.Channels[1].Limits)
	require.Contains(t, c.Summary(), "8000000 bit/s")
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	got := problems(t, `
listn: 127.0.0.1:1
log: {level: loud}
shutdown_grace: soon
ingest:
  tokens: [{env: NOPE}]
channels:
- name: a.b
  endpoints:
  - {name: x, container: MP4}
  - {name: x, container: TS, startover_window: 15d, time_delay: 400h}
`, none)
	require.Len(t, got, 9)
	lines := regexp.MustCompile(`^\d+`)
	var order []string
	for _, p := range got {
		order = append(order, lines.FindString(p))
	}
	require.Equal(t, "2 3 4 6 8 10 11 11 11", strings.Join(order, " "), "%v", got)
}

func TestSecretsComeFromEnvironmentFilesOrTheConfiguration(t *testing.T) {
	rotated := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(rotated, []byte("next\r\ncurrent\n\n"), 0o600))
	fl := yamlFile(t, `
ingest:
  users:
  - {name: enc, password: {file: `+rotated+`}}
  tokens: [{env: TOKEN}, literal, 12345]
access:
  user_agent_secrets: [{env: AGENT}]
channels:
- name: inherits
- name: own
  ingest: {tokens: [mine]}
  endpoints:
  - {name: cmaf, container: cmaf}
  - {name: open, container: TS, access: {}}
`)
	c, err := load(fl, vars("TOKEN=t0ken", "AGENT=4gent"))
	require.NoError(t, err)
	require.Equal(t, []channel.User{{Name: "enc", Password: "next"}, {Name: "enc", Password: "current"}}, c.Ingest.Users,
		"a file holds two live values while one takes the place of the other")
	require.Equal(t, []string{"t0ken", "literal", "12345"}, c.Ingest.Tokens)
	inherits, own := c.Channels[0], c.Channels[1]
	require.Equal(t, c.Ingest.Tokens, inherits.Ingest.Tokens)
	require.Equal(t, []string{"4gent"}, inherits.Endpoints[0].Access.UserAgentSecrets)
	require.Equal(t, []string{"mine"}, own.Ingest.Tokens)
	require.Empty(t, own.Ingest.Users)
	require.Equal(t, []string{"4gent"}, own.Endpoints[0].Access.UserAgentSecrets)
	require.True(t, own.Endpoints[1].Access.Empty(), "access: {} opens an endpoint")
	pushed := c.Template()(channel.ID{Group: "default", Name: "pushed"})
	require.Equal(t, c.Ingest.Tokens, pushed.Ingest.Tokens)
	require.Equal(t, []string{"4gent"}, pushed.Endpoints[2].Access.UserAgentSecrets)

	c, err = load(fl, vars("TOKEN=t0ken", "AGENT=4gent", "HEADWATER_INGEST_TOKEN=env", "HEADWATER_INGEST_USER=a:b:c"))
	require.NoError(t, err)
	require.Equal(t, []string{"env"}, c.Ingest.Tokens, "the environment comes before the file")
	require.Equal(t, []channel.User{{Name: "a", Password: "b:c"}}, c.Ingest.Users)
	_, err = load(flags{}, vars("HEADWATER_INGEST_USER=nobody"))
	require.ErrorContains(t, err, "HEADWATER_INGEST_USER is not name:password")
}

func TestAnInputInTheShapeOfMediaPackageHasItsOwnCredentials(t *testing.T) {
	rotated := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(rotated, []byte("next\ncurrent\n"), 0o600))
	c, err := load(yamlFile(t, v2("  id: "+guidC+"\n  inputs:\n  - {id: "+guidC+", username: one, password: {file: "+rotated+"}}\n"+
		"  - {id: "+guidB+"}")), none)
	require.NoError(t, err, "input 1 may have the GUID of its channel")
	want := channel.IngestV2{ID: guidC, Inputs: []channel.InputV2{
		{ID: guidC, Users: []channel.User{{Name: "one", Password: "next"}, {Name: "one", Password: "current"}}}, {ID: guidB}}}
	require.Equal(t, want, c.Channels[0].V2)
	require.Contains(t, c.Summary(), "/in/v2/"+guidC+"/"+guidB+"/channel")
	require.NotContains(t, c.Summary()+fmt.Sprintf("%+v %#v", c.Channels, c.Channels[0].V2), "current")
}

func TestSecretsAreNeverShown(t *testing.T) {
	const literal = "s3cretvalue"
	bad := problems(t, `
ingest:
  users: [{name: enc, password: {both: `+literal+`}}, {name: "", password: `+literal+`}]
  tokens: [[`+literal+`], "`+literal+` x"]
access: {user_agent_secrets: [{env: [`+literal+`]}], require_https: `+literal+`}
`, none)
	require.NotContains(t, strings.Join(bad, "\n"), literal)

	c, err := load(yamlFile(t, `
ingest: {users: [{name: enc, password: `+literal+`}], tokens: [`+literal+`]}
access: {user_agent_secrets: [`+literal+`]}
channels: [{name: one}]
`), none)
	require.NoError(t, err)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", c, "channels", c.Channels)
	out := c.Summary() + log.String() + fmt.Sprintf("%v %+v %#v %v %+v", c, c, c, c.Channels, c.Ingest)
	require.NotContains(t, out, literal)
	require.Contains(t, c.Summary(), "1 users, 1 tokens")
	require.Contains(t, c.Summary(), "endpoint cmaf")
}

func TestListeningForOthersNeedsCredentials(t *testing.T) {
	tests := []struct {
		name, text string
		refused    string // part of the problem, "" when it is good
	}{
		{"loopback needs none", "listen: 127.0.0.1:0", ""},
		{"nor does loopback of IPv6", "listen: '[::1]:0'", ""},
		{"nor does localhost", "listen: localhost:0", ""},
		{"every interface does", "listen: :8080", "anyone could push to new channels"},
		{"every address of IPv4 does", "listen: 0.0.0.0:8080", "anyone could push to new channels"},
		{"a name might mean anything", "listen: live.example.com:8080", "anyone could push to new channels"},
		{"a token is enough", "listen: :8080\ningest: {tokens: [t]}", ""},
		{"insecure says that it is meant", "listen: :8080\ninsecure: true", ""},
		{"a channel that is open is refused", "listen: :8080\ningest: {tokens: [t]}\nchannels:\n- {name: a, ingest: {}}",
			"anyone could push to the channel default/a"},
		{"channels with credentials are enough without first push",
			"listen: :8080\nchannels_on_first_push: false\nchannels:\n- {name: a, ingest: {tokens: [t]}}", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.refused != "" {
				require.Contains(t, strings.Join(problems(t, tt.text, none), "\n"), tt.refused)
				return
			}
			_, err := load(yamlFile(t, tt.text), none)
			require.NoError(t, err)
		})
	}
}

func TestExampleConfigurationIsGoodAndComplete(t *testing.T) {
	t.Chdir("../..")
	const name = "docs/headwater.example.yaml"
	c, err := load(flags{Config: name}, none)
	require.NoError(t, err, "it can be tried as it is")
	require.Len(t, c.Channels, 1)
	require.Equal(t, defaultExpiryGrace, c.ExpiryGrace, "the example shows the defaults")
	require.Equal(t, channel.DefaultLimits(), c.Limits)
	require.Equal(t, channel.DefaultStartoverWindow, c.Channels[0].Endpoints[0].StartoverWindow)

	data, err := os.ReadFile(name)
	require.NoError(t, err)
	certs := t.TempDir()
	issue(t, filepath.Join(certs, "tls.crt"), filepath.Join(certs, "tls.key"), 1)
	uncommented := regexp.MustCompile(`(?m)^# ( *(?:- |[a-z]+: |tls:).*)$`).ReplaceAllString(string(data), "$1")
	uncommented = strings.ReplaceAll(uncommented, "/etc/headwater", certs)
	c, err = load(yamlFile(t, uncommented), vars("HEADWATER_EXAMPLE_PASSWORD=p", "HEADWATER_EXAMPLE_TOKEN=t",
		"HEADWATER_EXAMPLE_NEWS_TOKEN=n", "HEADWATER_EXAMPLE_EDGE_SECRET=e"))
	require.NoError(t, err, "so are the lines that are commented out")
	require.Equal(t, []string{"p", "t", "n", "e"}, []string{c.Ingest.Users[0].Password, c.Ingest.Tokens[0],
		c.Channels[0].Ingest.Tokens[0], c.Channels[0].Endpoints[0].Access.UserAgentSecrets[0]})
	require.NotEmpty(t, c.TLSCert)
	var doc yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(uncommented), &doc))
	written := make(map[string]bool)
	collectKeys(&doc, written)
	for key := range keysOf(reflect.TypeFor[file]()) {
		require.True(t, written[key], "the example explains the key %s", key)
	}
}

func TestTheImagesConfigurationNeedsOnlyCredentials(t *testing.T) {
	fl := flags{Config: "../../deploy/docker/headwater.yaml"}
	c, err := load(fl, vars("HEADWATER_INGEST_TOKEN=t"))
	require.NoError(t, err)
	require.Equal(t, []string{":8080", ":9090", "data"}, []string{c.Listen, c.Admin, c.Data})
	_, err = load(fl, none)
	require.ErrorContains(t, err, "set ingest users or tokens")
}

func TestTheLocalCDNAndItsOriginShareASecret(t *testing.T) {
	insecure := true // as in deploy/compose.yaml
	c, err := load(flags{Config: "../../deploy/docker/behind-varnish.yaml", Insecure: &insecure}, none)
	require.NoError(t, err)
	for _, e := range c.Template()(channel.ID{Group: "default", Name: "any"}).Endpoints {
		require.Len(t, e.Access.UserAgentSecrets, 1)
		vcl, err := os.ReadFile("../../deploy/varnish/origin.vcl")
		require.NoError(t, err)
		require.Contains(t, string(vcl), fmt.Sprintf("User-Agent = %q", e.Access.UserAgentSecrets[0]))
	}
	compose, err := os.ReadFile("../../deploy/compose.yaml")
	require.NoError(t, err)
	require.Contains(t, string(compose), "./docker/behind-varnish.yaml:/etc/headwater/headwater.yaml:ro")
}

// collectKeys adds every mapping key of a document.
func collectKeys(n *yaml.Node, keys map[string]bool) {
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			keys[c.Value] = true
		}
		collectKeys(c, keys)
	}
}

// keysOf returns the keys of a type of the file and all below it.
func keysOf(t reflect.Type) map[string]bool {
	keys := make(map[string]bool)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return keysOf(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if key := t.Field(i).Tag.Get("yaml"); key != "" {
				if key != ",inline" {
					keys[key] = true
				}
				for k := range keysOf(t.Field(i).Type) {
					keys[k] = true
				}
			}
		}
	}
	return keys
}

func FuzzConfigurationFile(f *testing.F) {
	for _, s := range []string{"", "a: b", "listen: [", "channels: [{name: a, endpoints: [{}]}]", "ingest: {tokens: [{env: X}, x]}",
		"a: &a [*a]", "x: &x {y: *x}", "limits: {max_upload: 99999999999999999999GiB}", "shutdown_grace: 99999d", "---\n---\n", "\x00", "? [a]\n: b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		parsed, doc, found := parseFile(data)
		b := &builder{file: parsed, doc: doc, env: none, lines: map[string]int{}, problems: found}
		b.file.IPSources, b.file.TLS = nil, fileTLS{} // these read files
		for _, in := range []*fileIngest{&b.file.Ingest} {
			for i := range in.Tokens {
				in.Tokens[i].file = ""
			}
		}
		if c := b.build(); len(b.problems) == 0 {
			require.NotEmpty(t, c.Summary())
			for i := range c.Channels {
				require.NoError(t, c.Channels[i].Validate(), "what is accepted is valid")
			}
		}
	})
}

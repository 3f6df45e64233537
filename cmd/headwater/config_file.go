package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"headwater/auth/iprange"
)

// maxConfigBytes bounds a configuration file.
const maxConfigBytes = 4 << 20

// file is the shape of the YAML file: docs/headwater.example.yaml explains every key. Pointers tell what was not written.
type file struct {
	Listen         *string               `yaml:"listen"`
	Admin          *string               `yaml:"admin"`
	PublicURL      *string               `yaml:"public_url"`
	Data           *string               `yaml:"data"`
	Insecure       *bool                 `yaml:"insecure"`
	Log            fileLog               `yaml:"log"`
	TLS            fileTLS               `yaml:"tls"`
	TrustedProxies []prefix              `yaml:"trusted_proxies"`
	IPSources      map[string]fileSource `yaml:"ip_sources"`
	FirstPush      *bool                 `yaml:"channels_on_first_push"`
	Ingest         fileIngest            `yaml:"ingest"`
	Access         fileAccess            `yaml:"access"`
	Storage        fileStorage           `yaml:"storage"`
	Limits         fileLimits            `yaml:"limits"`
	ShutdownGrace  *duration             `yaml:"shutdown_grace"`
	ExpiryGrace    *duration             `yaml:"expiry_grace"`
	Channels       []fileChannel         `yaml:"channels"`
	MediaStore     fileMediaStore        `yaml:"mediastore"`
	Containers     []fileContainer       `yaml:"containers"`
}

type fileLog struct {
	Level  *string `yaml:"level"`
	Format *string `yaml:"format"`
}

type fileTLS struct {
	Cert *string `yaml:"cert"`
	Key  *string `yaml:"key"`
}

type fileSource struct {
	File     string   `yaml:"file"`
	Services []string `yaml:"services"`
}

type fileIngest struct {
	Users  []fileUser `yaml:"users"`
	Tokens []secret   `yaml:"tokens"`
}

// written reports whether there is a credential in the file, even one that could not be resolved.
func (f *fileIngest) written() bool { return len(f.Users) > 0 || len(f.Tokens) > 0 }

type fileIngestV2 struct {
	ID     string        `yaml:"id"`
	Inputs []fileInputV2 `yaml:"inputs"`
}

type fileInputV2 struct {
	ID       string `yaml:"id"`
	Username string `yaml:"username"`
	Password secret `yaml:"password"`
}

// written reports whether the input has credentials of its own in the file, even some that could not be resolved.
func (f *fileInputV2) written() bool { return f.Username != "" || f.Password.line != 0 }

type fileUser struct {
	Name     string `yaml:"name"`
	Password secret `yaml:"password"`
}

type fileAccess struct {
	UserAgentSecrets []secret `yaml:"user_agent_secrets"`
	AllowIPs         []prefix `yaml:"allow_ips"`
	AllowSources     []string `yaml:"allow_sources"`
	RequireHTTPS     bool     `yaml:"require_https"`
}

type fileStorage struct {
	Sync *bool `yaml:"sync"`
}

type fileLimits struct {
	MaxChannels       *int `yaml:"max_channels"`
	fileChannelLimits `yaml:",inline"`
}

type fileChannel struct {
	Group           *string           `yaml:"group"`
	Name            string            `yaml:"name"`
	Numbering       *string           `yaml:"numbering"`
	PreferredInput  *int              `yaml:"preferred_input"`
	Source          string            `yaml:"source"`
	SegmentDuration duration          `yaml:"segment_duration"`
	Ingest          *fileIngest       `yaml:"ingest"`
	IngestV2        *fileIngestV2     `yaml:"ingest_v2"`
	Limits          fileChannelLimits `yaml:"limits"`
	Endpoints       *[]fileEndpoint   `yaml:"endpoints"`
}

type fileEndpoint struct {
	Name            string          `yaml:"name"`
	Container       string          `yaml:"container"`
	Manifests       *[]fileManifest `yaml:"manifests"`
	SegmentDuration duration        `yaml:"segment_duration"`
	ManifestWindow  *duration       `yaml:"manifest_window"`
	StartoverWindow *duration       `yaml:"startover_window"`
	TimeDelay       duration        `yaml:"time_delay"`
	AudioGroups     bool            `yaml:"audio_groups"`
	LookAhead       *int            `yaml:"look_ahead"`
	Access          *fileAccess     `yaml:"access"`
}

type fileManifest struct {
	Name         string `yaml:"name"`
	Type         string `yaml:"type"`
	TimeTemplate bool   `yaml:"time_template"`
}

// duration is a time.Duration written as "30s", "1h30m" or "14d".
type duration time.Duration

// UnmarshalYAML parses a scalar; whole days may be written with "d".
func (d *duration) UnmarshalYAML(n *yaml.Node) error {
	if days, ok := strings.CutSuffix(n.Value, "d"); ok && n.Kind == yaml.ScalarNode {
		if v, err := strconv.ParseUint(days, 10, 16); err == nil {
			*d = duration(time.Duration(v) * 24 * time.Hour)
			return nil
		}
	}
	v, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		return wrong(n, "a duration is written like 30s, 6h or 14d")
	}
	*d = duration(v)
	return nil
}

// prefix is a CIDR prefix or a single address.
type prefix struct{ netip.Prefix }

// UnmarshalYAML parses a scalar as iprange.ParsePrefix does.
func (p *prefix) UnmarshalYAML(n *yaml.Node) error {
	v, err := iprange.ParsePrefix(n.Value)
	if n.Kind != yaml.ScalarNode {
		return wrong(n, "an address or prefix is needed")
	}
	if err != nil {
		return wrong(n, err.Error())
	}
	p.Prefix = v
	return nil
}

// secret says where secret values come from. It never holds them longer than it takes to resolve it.
type secret struct {
	literal, env, file string
	line               int // 0: not written
}

// UnmarshalYAML takes a string, {env: NAME} or {file: path}. Messages never repeat what was written.
func (s *secret) UnmarshalYAML(n *yaml.Node) error {
	s.line = n.Line
	switch n.Kind {
	case yaml.ScalarNode:
		s.literal = n.Value
		return nil
	case yaml.MappingNode:
		if len(n.Content) == 2 && n.Content[1].Kind == yaml.ScalarNode && n.Content[1].Value != "" {
			switch n.Content[0].Value {
			case "env":
				s.env = n.Content[1].Value
				return nil
			case "file":
				s.file = n.Content[1].Value
				return nil
			}
		}
	}
	return wrong(n, "a secret is written as {env: NAME}, {file: path} or a string")
}

// wrong is an error at a node that the decoder collects with the others.
func wrong(n *yaml.Node, text string) error {
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %s", n.Line, text)}}
}

// Problem is one thing wrong with a configuration. Line is 0 when it is not in the file.
type Problem struct {
	Line int
	Text string

	unread bool // the value could not be read: whatever else is found there follows from that
}

// Error returns "line N: text".
func (p *Problem) Error() string {
	if p.Line == 0 {
		return p.Text
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Text)
}

// The decoder's messages, and what they are in the words of the file.
var (
	atLine    = regexp.MustCompile(`^line (\d+): (.*)$`)
	yamlLine  = regexp.MustCompile(`^yaml: line (\d+): (.*)$`)
	unknown   = regexp.MustCompile(`^field (\S+) not found in type \S+$`)
	mistyped  = regexp.MustCompile("^cannot unmarshal (\\S+)(?: `.*`)? into (\\S+)$")
	duplicate = regexp.MustCompile(`^mapping key (.*) already defined at line (\d+)$`)
)

// parseFile decodes a configuration file strictly. It also returns the document, for line numbers, which is nil for an
// empty file. All problems of form are returned at once.
func parseFile(data []byte) (file, *yaml.Node, []*Problem) {
	var f file
	if len(data) > maxConfigBytes {
		return f, nil, []*Problem{{Text: fmt.Sprintf("the file has more than %d bytes", maxConfigBytes)}}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return f, nil, problemsOf(err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	problems := problemsOf(dec.Decode(&f))
	if err := dec.Decode(new(yaml.Node)); err == nil {
		problems = append(problems, &Problem{Text: "the file holds more than one document"})
	}
	return f, &doc, problems
}

// problemsOf takes a decoder's error apart.
func problemsOf(err error) []*Problem {
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	var types *yaml.TypeError
	if !errors.As(err, &types) {
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			line, _ := strconv.Atoi(m[1])
			return []*Problem{{Line: line, Text: m[2]}}
		}
		return []*Problem{{Text: strings.TrimPrefix(err.Error(), "yaml: ")}}
	}
	var problems []*Problem
	for _, text := range types.Errors {
		p := &Problem{Text: text}
		if m := atLine.FindStringSubmatch(text); m != nil {
			p.Line, _ = strconv.Atoi(m[1])
			p.Text = plainWords(m[2])
			p.unread = !unknown.MatchString(m[2])
		}
		problems = append(problems, p)
	}
	return problems
}

// plainWords says without Go's types what the decoder found; values are left out, because they may be secrets.
func plainWords(text string) string {
	if m := unknown.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("unknown key %q", m[1])
	}
	if m := duplicate.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("the key %s stands on line %s already", m[1], m[2])
	}
	if m := mistyped.FindStringSubmatch(text); m != nil {
		want := map[string]string{"int": "a whole number", "bool": "true or false", "string": "a string"}[m[2]]
		switch {
		case want != "":
		case strings.HasPrefix(m[2], "[]"):
			want = "a list"
		default:
			want = "a mapping"
		}
		return want + " is needed here"
	}
	return text
}

// lineOf returns the line of the value at a path such as "channels.0.endpoints.1.name", or of the nearest thing around it.
func lineOf(doc *yaml.Node, path string) int {
	if doc == nil || len(doc.Content) == 0 {
		return 0
	}
	n := doc.Content[0]
	line := 0 // of the nearest thing that was written on the way
	for _, step := range strings.Split(path, ".") {
		next := child(n, step)
		if next == nil {
			break
		}
		n, line = next, next.Line
	}
	return line
}

// child returns the value of a mapping's key or of a sequence's index, nil when there is none.
func child(n *yaml.Node, step string) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i]
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == step {
				return n.Content[i+1]
			}
		}
	}
	return nil
}

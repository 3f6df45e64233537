package channel

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ErrInvalid is matched by every Problem.
var ErrInvalid = errors.New("invalid channel")

// Bounds of a channel's settings. Windows and counts follow MediaPackage v2 (reference/mediapackage.md, section 1) where
// it has a rule of the format; its quotas that only protect a shared service are wider here.
const (
	MaxName            = 256 // bytes of a group's, channel's or endpoint's name
	MaxManifestName    = 64  // bytes
	MaxEndpoints       = 25  // of a channel
	MaxInputs          = 2   // of a channel
	MaxManifests       = 25  // of an endpoint
	MaxSecret          = 256 // bytes of a playback secret
	MaxLookAhead       = 8
	MinSegmentDuration = 500 * time.Millisecond
	MaxSegmentDuration = 30 * time.Second
	MinManifestWindow  = time.Second
	MaxManifestWindow  = 24 * time.Hour
	MaxStartoverWindow = 14 * 24 * time.Hour
	MaxTimeDelay       = 24 * time.Hour // without a start-over window; else less than that window
)

// Types of problems, in MediaPackage v2's words (its ValidationExceptionType).
const (
	MemberMissing     = "MEMBER_MISSING"
	MemberInvalid     = "MEMBER_INVALID"
	MemberPattern     = "MEMBER_DOES_NOT_MATCH_PATTERN"
	MemberEnum        = "MEMBER_INVALID_ENUM_VALUE"
	MemberMin         = "MEMBER_MIN_VALUE"
	MemberMax         = "MEMBER_MAX_VALUE"
	MemberMaxLength   = "MEMBER_MAX_LENGTH"
	ManifestsLow      = "NUM_MANIFESTS_LOW"
	ManifestsHigh     = "NUM_MANIFESTS_HIGH"
	ManifestCollision = "MANIFEST_NAME_COLLISION"
	EndpointCollision = "ENDPOINT_NAME_COLLISION"
	InvalidTimeDelay  = "INVALID_TIME_DELAY_SECONDS"
	TSWithDASH        = "TS_CONTAINER_TYPE_WITH_DASH_MANIFEST"
	TSWithMSS         = "TS_CONTAINER_TYPE_WITH_MSS_MANIFEST"
	CMAFWithMSS       = "CMAF_CONTAINER_TYPE_WITH_MSS_MANIFEST"
	ISMWithHLS        = "ISM_CONTAINER_TYPE_WITH_HLS_MANIFEST"
	ISMWithDASH       = "ISM_CONTAINER_TYPE_WITH_DASH_MANIFEST"
)

// Problem is one rule that a channel breaks. It matches ErrInvalid.
type Problem struct {
	Path string // where, names and indexes separated by dots: "endpoints.0.manifests.1.name"
	Type string // one of the constants above
	Text string // what is wrong and what is allowed, without any secret
}

// Error returns "path: text".
func (p *Problem) Error() string { return p.Path + ": " + p.Text }

// Is makes a Problem match ErrInvalid.
func (p *Problem) Is(target error) bool { return target == ErrInvalid }

// Problems returns every Problem that err consists of, in order, whatever it is wrapped in.
func Problems(err error) []*Problem {
	switch e := err.(type) { //nolint:errorlint // it walks the tree of wrapped errors itself
	case *Problem:
		return []*Problem{e}
	case interface{ Unwrap() error }:
		return Problems(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []*Problem
		for _, one := range e.Unwrap() {
			all = append(all, Problems(one)...)
		}
		return all
	}
	return nil
}

// checker collects problems.
type checker struct{ problems []error }

func (c *checker) add(path, kind, format string, args ...any) {
	c.problems = append(c.problems, &Problem{path, kind, fmt.Sprintf(format, args...)})
}

// between reports v unless low <= v <= high.
func (c *checker) between(path string, v, low, high time.Duration) {
	if v < low {
		c.add(path, MemberMin, "%v is less than %v", v, low)
	} else if v > high {
		c.add(path, MemberMax, "%v is more than %v", v, high)
	}
}

// name reports s unless it can name a group, channel or endpoint.
func (c *checker) name(path, s string) {
	switch {
	case s == "":
		c.add(path, MemberMissing, "a name is needed")
	case !validName(s):
		c.add(path, MemberPattern, "%q: use 1 to %d letters, digits, '-' and '_'", s[:min(len(s), 64)], MaxName)
	}
}

// validName reports whether s matches [A-Za-z0-9_-]{1,256}.
func validName(s string) bool {
	return s != "" && len(s) <= MaxName && !strings.ContainsFunc(s, func(c rune) bool { return c != '_' && !inManifestName(c) })
}

// validManifestName reports whether s matches [A-Za-z0-9-]{1,64}: '_' separates a manifest's name from a track's.
func validManifestName(s string) bool {
	return s != "" && len(s) <= MaxManifestName && !strings.ContainsFunc(s, func(c rune) bool { return !inManifestName(c) })
}

func inManifestName(c rune) bool {
	return c == '-' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

func (c *checker) id(id ID) {
	c.name("group", id.Group)
	c.name("name", id.Name)
}

// Validate reports every problem of the ID's names.
func (id ID) Validate() error {
	var c checker
	c.id(id)
	return errors.Join(c.problems...)
}

// sourcePattern is of Channel.Source: names and folders as containers have them (reference/mediastore.md, 1.7).
var sourcePattern = regexp.MustCompile(`^container/[A-Za-z0-9_-]{1,255}(/[A-Za-z0-9._~=:-]+)+$`)

// Validate reports every rule that the channel breaks, joined; Problems takes them apart. Errors: ErrInvalid.
func (ch *Channel) Validate() error {
	var c checker
	c.id(ch.ID)
	switch ch.Numbering {
	case NumberingAuto, NumberingEpoch, NumberingCounter:
	default:
		c.add("numbering", MemberEnum, "%q is not auto, epoch or counter", ch.Numbering)
	}
	if ch.SegmentDuration != 0 {
		c.between("segment_duration", ch.SegmentDuration, MinSegmentDuration, MaxSegmentDuration)
	}
	if ch.PreferredInput < 0 || ch.PreferredInput > MaxInputs {
		c.add("preferred_input", MemberInvalid, "%d is not 1 or %d", ch.PreferredInput, MaxInputs)
	}
	if ch.Source != "" && !sourcePattern.MatchString(ch.Source) {
		c.add("source", MemberInvalid, "%q is not container/NAME/FOLDER", ch.Source)
	}
	c.ingest(ch.Ingest)
	c.v2(ch.V2)
	c.limits(ch.Limits)
	if len(ch.Endpoints) > MaxEndpoints {
		c.add("endpoints", MemberMax, "%d endpoints are more than %d", len(ch.Endpoints), MaxEndpoints)
	}
	seen := make(map[string]bool, len(ch.Endpoints))
	for i := range ch.Endpoints {
		path := fmt.Sprintf("endpoints.%d", i)
		e := &ch.Endpoints[i]
		if seen[e.Name] && e.Name != "" {
			c.add(path+".name", EndpointCollision, "%q is the name of another endpoint", e.Name)
		}
		seen[e.Name] = true
		c.endpoint(path, e)
	}
	return errors.Join(c.problems...)
}

func (c *checker) ingest(in IngestAuth) {
	for i, u := range in.Users {
		path := fmt.Sprintf("ingest.users.%d", i)
		c.user(path+".name", path+".password", u)
	}
	for i, token := range in.Tokens {
		path := fmt.Sprintf("ingest.tokens.%d", i)
		if token == "" {
			c.add(path, MemberMissing, "a token is needed")
		} else if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			c.add(path, MemberPattern, "a token is printable ASCII without spaces")
		}
	}
}

// user reports what is wrong with one pair of credentials.
func (c *checker) user(namePath, passwordPath string, u User) {
	if u.Name == "" {
		c.add(namePath, MemberMissing, "a name is needed")
	} else if strings.Contains(u.Name, ":") { // RFC 7617, 2: a user-id with a colon cannot be told apart
		c.add(namePath, MemberPattern, "%q: a user's name cannot hold ':'", u.Name)
	}
	if u.Password == "" {
		c.add(passwordPath, MemberMissing, "a password is needed")
	}
}

// v2 reports what is wrong with the ingest in the shape of MediaPackage v1.
func (c *checker) v2(in IngestV2) {
	if in.ID == "" && len(in.Inputs) == 0 {
		return
	}
	c.guid("ingest_v2.id", in.ID)
	if n := len(in.Inputs); n < 1 || n > MaxInputs {
		c.add("ingest_v2.inputs", MemberInvalid, "%d inputs are not 1 or %d", n, MaxInputs)
	}
	for i, input := range in.Inputs {
		path := fmt.Sprintf("ingest_v2.inputs.%d", i)
		c.guid(path+".id", input.ID)
		if slices.ContainsFunc(in.Inputs[:i], func(o InputV2) bool { return o.ID == input.ID && o.ID != "" }) {
			c.add(path+".id", MemberInvalid, "%s is the id of another input", input.ID)
		}
		for _, u := range input.Users {
			c.user(path+".username", path+".password", u)
		}
	}
}

// guid reports s unless it is a GUID as MediaPackage writes them.
func (c *checker) guid(path, s string) {
	switch {
	case s == "":
		c.add(path, MemberMissing, "an id is needed")
	case len(s) != 32 || strings.Trim(s, "0123456789abcdef") != "":
		c.add(path, MemberPattern, "%q: use 32 hexadecimal digits, a to f in lower case", s[:min(len(s), 64)])
	}
}

func (c *checker) endpoint(path string, e *Endpoint) {
	c.name(path+".name", e.Name)
	known := e.Container == CMAF || e.Container == TS || e.Container == ISM
	if !known {
		c.add(path+".container", MemberEnum, "%q is not CMAF, TS or ISM", e.Container)
	}
	if e.SegmentDuration != 0 {
		c.between(path+".segment_duration", e.SegmentDuration, MinSegmentDuration, MaxSegmentDuration)
	}
	c.between(path+".manifest_window", e.ManifestWindow, MinManifestWindow, MaxManifestWindow)
	c.between(path+".startover_window", e.StartoverWindow, 0, MaxStartoverWindow)
	switch {
	case e.TimeDelay < 0, e.StartoverWindow == 0 && e.TimeDelay > MaxTimeDelay:
		c.add(path+".time_delay", InvalidTimeDelay, "%v is not between 0s and %v", e.TimeDelay, MaxTimeDelay)
	case e.StartoverWindow > 0 && e.TimeDelay >= e.StartoverWindow:
		c.add(path+".time_delay", InvalidTimeDelay, "%v is not less than the start-over window of %v", e.TimeDelay, e.StartoverWindow)
	}
	if e.AudioGroups && e.Container != TS && known {
		c.add(path+".audio_groups", MemberInvalid, "only a TS endpoint has them: %s keeps audio apart anyway", e.Container)
	}
	if e.Container == ISM && (e.LookAhead < 1 || e.LookAhead > MaxLookAhead) {
		c.add(path+".look_ahead", MemberInvalid, "%d is not between 1 and %d", e.LookAhead, MaxLookAhead)
	}
	if e.Container != ISM && e.LookAhead != 0 && known {
		c.add(path+".look_ahead", MemberInvalid, "only an ISM endpoint announces fragments ahead")
	}
	if known || len(e.Manifests) > 0 { // an unknown container has no default manifests, which is not another mistake
		c.manifests(path+".manifests", e)
	}
	c.access(path+".access", e.Access)
}

func (c *checker) manifests(path string, e *Endpoint) {
	if len(e.Manifests) == 0 {
		c.add(path, ManifestsLow, "an endpoint has at least one manifest")
	} else if len(e.Manifests) > MaxManifests {
		c.add(path, ManifestsHigh, "%d manifests are more than %d", len(e.Manifests), MaxManifests)
	}
	for i, m := range e.Manifests {
		at := fmt.Sprintf("%s.%d", path, i)
		switch {
		case m.Name == "":
			c.add(at+".name", MemberMissing, "a name is needed")
		case !validManifestName(m.Name):
			c.add(at+".name", MemberPattern, "%q: use 1 to %d letters, digits and '-'", m.Name[:min(len(m.Name), 64)],
				MaxManifestName)
		case slices.ContainsFunc(e.Manifests[:i], func(o Manifest) bool { return o.Name == m.Name && o.Type == m.Type }):
			c.add(at+".name", ManifestCollision, "%q is the name of another %s manifest", m.Name, m.Type)
		}
		if m.Type != HLS && m.Type != DASH && m.Type != MSS {
			c.add(at+".type", MemberEnum, "%q is not hls, dash or mss", m.Type)
		} else if kind := combination(e.Container, m.Type); kind != "" {
			c.add(at+".type", kind, "a %s endpoint cannot have a manifest of type %s", e.Container, m.Type)
		}
		if m.TimeTemplate && m.Type != DASH {
			c.add(at+".time_template", MemberInvalid, "only a dash manifest has a template")
		}
	}
}

// combination returns the type of problem that a manifest of type m is for container k, "" for none.
func combination(k Container, m ManifestType) string {
	switch {
	case k == TS && m == DASH:
		return TSWithDASH
	case k == TS && m == MSS:
		return TSWithMSS
	case k == CMAF && m == MSS:
		return CMAFWithMSS
	case k == ISM && m == HLS:
		return ISMWithHLS
	case k == ISM && m == DASH:
		return ISMWithDASH
	}
	return ""
}

func (c *checker) access(path string, a Access) {
	for i, s := range a.UserAgentSecrets {
		at := fmt.Sprintf("%s.user_agent_secrets.%d", path, i)
		switch {
		case s == "":
			c.add(at, MemberMissing, "a secret is needed")
		case len(s) > MaxSecret:
			c.add(at, MemberMaxLength, "%d bytes are more than %d", len(s), MaxSecret)
		case s != strings.TrimSpace(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }):
			c.add(at, MemberPattern, "a header cannot carry it: use printable ASCII, no space at either end")
		}
	}
	for i, p := range a.AllowIPs {
		if !p.IsValid() {
			c.add(fmt.Sprintf("%s.allow_ips.%d", path, i), MemberInvalid, "not a prefix")
		}
	}
	for i, s := range a.AllowSources {
		if s == "" {
			c.add(fmt.Sprintf("%s.allow_sources.%d", path, i), MemberMissing, "a name is needed")
		}
	}
}

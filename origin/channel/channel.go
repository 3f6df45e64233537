// Package channel models channel groups, channels and their origin endpoints, and keeps the registry of those that
// exist. It holds no media, serves no requests and reads no files.
package channel

import (
	"net/netip"
	"time"
)

// ID names a channel. In URLs it stands as {group}/{name}.
type ID struct{ Group, Name string }

// String returns "group/name".
func (id ID) String() string { return id.Group + "/" + id.Name }

// Numbering is how segment numbers are chosen (design, idea 1).
type Numbering string

// Ways of numbering segments.
const (
	NumberingAuto    Numbering = "auto"    // epoch grid, falling back to a counter for good when segments leave the grid
	NumberingEpoch   Numbering = "epoch"   // floor(start / segment duration)
	NumberingCounter Numbering = "counter" // one more for each segment
)

// Channel is one live stream: what may push to it and how it is offered. A Channel is immutable; a change makes a new one.
type Channel struct {
	ID
	Ingest          IngestAuth
	V2              IngestV2
	Limits          Limits
	Numbering       Numbering
	PreferredInput  int           // 1 or 2, to which the channel goes back when it sends steadily again; 0: none
	Source          string        // "container/{name}/{folder}": what is put there is pushed to input 1 too; "": no container is one
	SegmentDuration time.Duration // target when a long-running push is cut into segments; 0: 2 s
	Endpoints       []Endpoint
}

// CutDuration returns the target duration of the segments into which an endless push is cut.
func (c *Channel) CutDuration() time.Duration {
	if c.SegmentDuration > 0 {
		return c.SegmentDuration
	}
	return 2 * time.Second
}

// IngestAuth is what an encoder must present. With nothing set, anyone who reaches the listener may push.
type IngestAuth struct {
	Users  []User   // HTTP Basic or Digest; any matches
	Tokens []string // Bearer; any matches
}

// IngestV2 is how a channel is pushed to at the URLs of MediaPackage v1 (reference/mediapackage.md, 2a):
// /in/v2/{ID}/{ID of the input}/channel.m3u8 and what stands beside it. Without an ID it has none.
type IngestV2 struct {
	ID     string    // GUID of the channel
	Inputs []InputV2 // input 1, then 2
}

// InputV2 is one input of IngestV2.
type InputV2 struct {
	ID    string // GUID; that of the channel is good, as input 1 had it in MediaPackage
	Users []User // of this input alone; none: the channel's Ingest
}

// User is one pair of credentials.
type User struct{ Name, Password string }

// Container is how an endpoint's media is wrapped, as in MediaPackage v2.
type Container string

// Container types.
const (
	CMAF Container = "CMAF"
	TS   Container = "TS"
	ISM  Container = "ISM"
)

// ManifestType is the kind of one entry point of an endpoint.
type ManifestType string

// Manifest types.
const (
	HLS  ManifestType = "hls"
	DASH ManifestType = "dash"
	MSS  ManifestType = "mss"
)

// Endpoint is one packaged output of a channel.
type Endpoint struct {
	Name            string
	Container       Container
	Manifests       []Manifest
	SegmentDuration time.Duration // 0: as ingested; else rounded to the nearest multiple of the ingested duration
	ManifestWindow  time.Duration // how much a live manifest lists
	StartoverWindow time.Duration // how far back start may lie; 0: start and end are refused
	TimeDelay       time.Duration // moves the live edge back for everybody
	AudioGroups     bool          // TS only: audio as renditions of their own instead of muxed, even a single one
	LookAhead       int           // ISM only: fragments announced ahead; 1 to 8
	Access          Access
}

// Manifest is one entry point of an endpoint.
type Manifest struct {
	Name         string
	Type         ManifestType
	TimeTemplate bool // DASH: $Time$ instead of $Number$
}

// Access says who may play an endpoint. With nothing set, everybody.
type Access struct {
	UserAgentSecrets []string       // any must equal the request's User-Agent
	AllowIPs         []netip.Prefix // any must hold the client's address
	AllowSources     []string       // names of IP sources, alternatives to AllowIPs
	RequireHTTPS     bool
}

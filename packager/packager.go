// Package packager turns an immutable window of a timeline into manifests and segments.
//
// Packaging is a pure function of (window, request) to bytes: no clock, no HTTP, and no I/O besides the bytes it is
// handed. This package holds the contract; the formats are in hls, dash and smooth, segment writing in cmaf and mpegts.
// It does not decide who may ask, what is stored, or how long an answer is cached.
package packager

import (
	"errors"
	"time"

	"headwater/packager/media"
)

// Errors that a Format returns and a caller can match.
var (
	// ErrNoMedia means the window holds nothing that this manifest can show yet.
	ErrNoMedia = errors.New("no media yet")
	// ErrNoTrack means the resource names a track that the window does not hold or that the format cannot carry.
	ErrNoTrack = errors.New("no such track")
)

// Window is an immutable view of a timeline for one origin endpoint at one instant.
type Window struct {
	Tracks []TrackWindow // ordered by kind (video first), then by ID
	Parts  []media.Part  // every part that a segment in view refers to, ascending by Ordinal

	Live  bool // more media may follow; false: the window is complete and never changes again (VOD)
	Fixed bool // the window's start was asked for and never moves, so nothing leaves it while Live
	// TargetDuration is the longest segment the endpoint makes, constant while the source is regular. What is clearly
	// nearer to the whole second below is given as that second (2.002 s as 2 s), so that a format that needs whole seconds
	// rounds up and has what RFC 8216bis 4.4.3.1 asks for: no duration, rounded to the nearest second, is longer.
	TargetDuration time.Duration
	// SegmentDuration is what the segments in view usually last, whole seconds as in TargetDuration. Other than that it
	// does not keep the length of an overlong one, so that times which players wait and buffer hang on it.
	SegmentDuration time.Duration
	Depth           time.Duration // how far the window reaches back from the live edge; 0 when Fixed
	Delay           time.Duration // time delay of the endpoint: the live edge is this far behind
	Updated         time.Time     // when the newest segment in view became available: a pure stand-in for "now"
}

// TrackWindow is one track of a Window with the output segments in view.
type TrackWindow struct {
	media.Track
	Segments []media.Segment // ascending by Number and Start; never empty; must not be modified
	Peak     int             // bit/s: bitrate of the largest segment since the track began
	Average  int             // bit/s: over all segments since the track began
}

// Last returns the newest segment in view.
func (t *TrackWindow) Last() media.Segment { return t.Segments[len(t.Segments)-1] }

// Options are the settings of one manifest of an origin endpoint.
type Options struct {
	TimeTemplate bool   // DASH: $Time$ instead of $Number$
	AudioGroups  bool   // HLS with TS segments: audio as a rendition of its own instead of muxed, even a single one
	LookAhead    int    // Smooth: how many following fragments each fragment announces
	TimeURL      string // DASH: UTCTiming http-iso URL (path-absolute or absolute); empty for none
	MPEGTS       bool   // HLS: TS segments instead of CMAF
}

// View is what a manifest is rendered from: a window and how the viewer reached it.
type View struct {
	*Window
	Options

	// Base leads from the manifest's URL to the origin endpoint's root: "" or "../../../../". Segment and init URLs
	// are written with it, so that they are the same with and without a time-shift window in the path.
	Base string
	// ManifestQuery is appended to the URLs of child manifests: "", or "start=...&end=...&m=..." without '?'.
	ManifestQuery string
	// SegmentQuery is appended to the URLs of segments and init segments: "" or "m=..." without '?'.
	SegmentQuery string
}

// ResourceKind says what a name below an origin endpoint stands for.
type ResourceKind uint8

// What can be asked of an origin endpoint.
const (
	Manifest      ResourceKind = iota + 1 // entry point: multivariant playlist, MPD, Smooth manifest
	ChildManifest                         // HLS media playlist
	Init                                  // init segment
	MediaSegment                          // media segment or Smooth fragment
	FragmentInfo                          // Smooth: the moof of a fragment alone
)

// Resource is a parsed name below an origin endpoint.
type Resource struct {
	Kind     ResourceKind
	Manifest string   // manifest name, for Manifest, ChildManifest and Smooth fragments
	Tracks   []string // track IDs; two for muxed TS: video, audio
	Config   string   // Init: media.Config.ID
	ByTime   bool     // MediaSegment: addressed by Time instead of Number
	Number   int64
	Time     int64      // ticks of the track's timescale, = media.Segment.Start
	Bitrate  int        // Smooth quality level, = media.Track.Bitrate; Tracks is empty then
	Type     media.Kind // Smooth: stream type
}

// Format is one family of manifests and the names it gives to what they list.
type Format interface {
	// Parse maps a name below the origin endpoint (decoded, no leading slash) to a resource. ok is false when the
	// name is not one of this format's.
	Parse(name string) (r Resource, ok bool)
	// Render writes the manifest that r names. Errors: ErrNoMedia, ErrNoTrack.
	Render(v View, r Resource) ([]byte, error)
	// ContentType returns the media type of what r names.
	ContentType(r Resource) string
}

// Piece is one track's share of an output segment, with its stored bytes: one or several CMAF segments end to end.
type Piece struct {
	Track   media.Track
	Segment media.Segment
	Data    []byte
}

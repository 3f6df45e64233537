package console

import "time"

// Source tells the console what exists. Its method is called for every refresh of every open page, so it must be quick; it
// may be called concurrently.
type Source interface {
	// Channels returns every channel as it is at now, in the order in which the page lists them. The caller may keep
	// what is returned.
	Channels(now time.Time) []ChannelView
}

// ChannelView is one channel as the page shows it.
type ChannelView struct {
	Group, Name     string
	Numbering       string    // how segments are numbered now: "epoch" or "counter"
	Discontinuities int       // boundaries in the timeline since the channel began
	Ended           time.Time // when the encoder told that no more is to come; zero: it goes on
	Tracks          []TrackView
	Inputs          []InputView
	Endpoints       []EndpointView
}

// TrackView is one track of a channel. A track without segments has a zero LastArrived.
type TrackView struct {
	ID       string
	Kind     string // "video", "audio" or "metadata"
	Codec    string // RFC 6381
	Language string // BCP 47, empty when unknown
	Bitrate  int    // bit/s

	Width, Height int     // video, pixels
	FrameRate     float64 // video, frames per second, for display only; 0 when unknown
	SampleRate    int     // audio, Hz
	Channels      int     // audio

	SegmentDuration time.Duration // of the newest segment
	LastNumber      int64         // of the newest segment
	LastEnd         time.Time     // media time, UTC, at which the newest segment ends
	LastArrived     time.Time     // when the newest segment became available
	Segments        int           // stored
	Gaps            int           // numbers that are missing among the stored segments
	Ended           bool          // no more is to come, as the encoder told
}

// InputView is one input of a channel. An input that nothing was pushed to has a zero LastPush.
type InputView struct {
	Number       int    // 1 or 2
	Active       bool   // the channel's media comes from here
	Held         bool   // somebody asked for it: it is active, or becomes it with its next media
	Up           bool   // media comes, so that it could be made active
	Protocol     string // such as "cmaf", "hls-ts", "dash"
	Encoder      string // User-Agent of the last push
	LastPush     time.Time
	Ended        time.Time // when the encoder told that no more is to come; zero: it goes on
	Accepted     int64     // uploads taken
	Rejected     int64     // uploads refused
	LastReason   string    // why the last one was refused
	LastRejected time.Time // when
}

// EndpointView is one origin endpoint of a channel.
type EndpointView struct {
	Name            string
	Container       string        // "CMAF", "TS" or "ISM"
	StartoverWindow time.Duration // 0: start and end are refused
	TimeDelay       time.Duration
	Manifests       []ManifestView
}

// ManifestView is one entry point of an endpoint.
type ManifestView struct {
	Name string
	Type string // "hls", "dash" or "mss"
	Path string // on the public listener, such as "/out/v1/default/news/cmaf/index.m3u8"
}

// Health is the state of a channel or a track in one word.
type Health string

// States of health, the better first.
const (
	OK      Health = "ok"       // segments arrive
	Ended   Health = "ended"    // no more is to come, as the encoder told
	Stale   Health = "stale"    // the newest segment is older than it should be
	NoMedia Health = "no media" // no segment has arrived yet
)

// A track is stale when nothing has arrived for this many segment durations, and for at least staleAfter.
const (
	staleSegments = 3
	staleAfter    = 5 * time.Second
)

// Health returns the state of a track at now.
func (t TrackView) Health(now time.Time) Health {
	switch {
	case t.LastArrived.IsZero():
		return NoMedia
	case t.Ended:
		return Ended
	case now.Sub(t.LastArrived) > max(staleSegments*t.SegmentDuration, staleAfter):
		return Stale
	}
	return OK
}

// Health returns the state of a channel at now: that of its worst track but metadata, and NoMedia only when no track has media.
func (c ChannelView) Health(now time.Time) Health {
	some, all := false, true
	for _, t := range c.Tracks {
		if t.Kind == "metadata" {
			continue
		}
		h := t.Health(now)
		some = some || h != NoMedia
		all = all && h == OK
	}
	switch {
	case !some:
		return NoMedia
	case !c.Ended.IsZero():
		return Ended
	case !all:
		return Stale
	}
	return OK
}

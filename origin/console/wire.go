package console

import (
	"strings"
	"time"
)

// state is the reply of /console/api/channels. Instants are Unix milliseconds, 0 when there is none; lengths are seconds.
type state struct {
	Now      int64     `json:"now"`
	Public   string    `json:"public"` // base URL for viewers
	Ingest   string    `json:"ingest"` // base URL for encoders
	Channels []channel `json:"channels"`
}

type channel struct {
	Group           string     `json:"group"`
	Name            string     `json:"name"`
	Health          Health     `json:"health"`
	Numbering       string     `json:"numbering"`
	Discontinuities int        `json:"discontinuities"`
	Tracks          []track    `json:"tracks"`
	Inputs          []input    `json:"inputs"`
	Endpoints       []endpoint `json:"endpoints"`
}

type track struct {
	ID              string  `json:"id"`
	Kind            string  `json:"kind"`
	Codec           string  `json:"codec"`
	Language        string  `json:"language"`
	Bitrate         int     `json:"bitrate"`
	Width           int     `json:"width"`
	Height          int     `json:"height"`
	FrameRate       float64 `json:"frameRate"`
	SampleRate      int     `json:"sampleRate"`
	Channels        int     `json:"channels"`
	Health          Health  `json:"health"`
	SegmentDuration float64 `json:"segmentDuration"`
	LastNumber      int64   `json:"lastNumber"`
	LastEnd         int64   `json:"lastEnd"`
	LastArrived     int64   `json:"lastArrived"`
	Segments        int     `json:"segments"`
	Gaps            int     `json:"gaps"`
}

type input struct {
	Number       int    `json:"number"`
	Active       bool   `json:"active"`
	Held         bool   `json:"held"`
	Up           bool   `json:"up"`
	Protocol     string `json:"protocol"`
	Encoder      string `json:"encoder"`
	LastPush     int64  `json:"lastPush"`
	Ended        int64  `json:"ended"`
	Accepted     int64  `json:"accepted"`
	Rejected     int64  `json:"rejected"`
	LastReason   string `json:"lastReason"`
	LastRejected int64  `json:"lastRejected"`
}

type endpoint struct {
	Name            string     `json:"name"`
	Container       string     `json:"container"`
	StartoverWindow float64    `json:"startoverWindow"`
	TimeDelay       float64    `json:"timeDelay"`
	Manifests       []manifest `json:"manifests"`
}

type manifest struct {
	Name string `json:"name"`
	Type string `json:"type"`
	URL  string `json:"url"`
}

// describe renders what the source says, with playback URLs below public.
func describe(views []ChannelView, now time.Time, public string) state {
	s := state{Now: now.UnixMilli(), Public: public, Channels: make([]channel, 0, len(views))}
	for _, v := range views {
		c := channel{
			Group: v.Group, Name: v.Name, Health: v.Health(now), Numbering: v.Numbering, Discontinuities: v.Discontinuities,
			Tracks: make([]track, 0, len(v.Tracks)), Inputs: make([]input, 0, len(v.Inputs)),
			Endpoints: make([]endpoint, 0, len(v.Endpoints)),
		}
		for _, t := range v.Tracks {
			c.Tracks = append(c.Tracks, track{
				ID: t.ID, Kind: t.Kind, Codec: t.Codec, Language: t.Language, Bitrate: t.Bitrate,
				Width: t.Width, Height: t.Height, FrameRate: t.FrameRate, SampleRate: t.SampleRate, Channels: t.Channels,
				Health: t.Health(now), SegmentDuration: t.SegmentDuration.Seconds(), LastNumber: t.LastNumber,
				LastEnd: millis(t.LastEnd), LastArrived: millis(t.LastArrived), Segments: t.Segments, Gaps: t.Gaps,
			})
		}
		for _, i := range v.Inputs {
			c.Inputs = append(c.Inputs, input{
				Number: i.Number, Active: i.Active, Held: i.Held, Up: i.Up, Protocol: i.Protocol, Encoder: i.Encoder, LastPush: millis(i.LastPush), Ended: millis(i.Ended),
				Accepted: i.Accepted, Rejected: i.Rejected, LastReason: i.LastReason, LastRejected: millis(i.LastRejected),
			})
		}
		for _, e := range v.Endpoints {
			c.Endpoints = append(c.Endpoints, describeEndpoint(e, public))
		}
		s.Channels = append(s.Channels, c)
	}
	return s
}

func describeEndpoint(v EndpointView, public string) endpoint {
	e := endpoint{
		Name: v.Name, Container: v.Container, StartoverWindow: v.StartoverWindow.Seconds(),
		TimeDelay: v.TimeDelay.Seconds(), Manifests: make([]manifest, 0, len(v.Manifests)),
	}
	for _, m := range v.Manifests {
		e.Manifests = append(e.Manifests, manifest{
			Name: m.Name, Type: m.Type, URL: strings.TrimSuffix(public, "/") + "/" + strings.TrimPrefix(m.Path, "/"),
		})
	}
	return e
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

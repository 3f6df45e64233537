package origin

import (
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"headwater/origin/channel"
	"headwater/origin/ingest"
	"headwater/origin/reply"
	"headwater/packager/media"
)

// This file is the JSON of the push report: docs/formats/push-report.md. Instants are RFC 3339 in UTC, null when there is none.

type pushReport struct {
	ChannelGroupName, ChannelName string

	Time        time.Time
	Limits      []reportedLimit
	Inputs      []reportedInput
	HeldInput   *int
	SwitchCount int
	Switches    []reportedSwitch
}

type reportedSwitch struct {
	Time     time.Time
	From, To int
	Reason   string
}

type reportedLimit struct {
	Name       string
	Limit, Use int64
}

type reportedInput struct {
	Input                   int
	Active                  bool
	UserAgent               string
	Protocol, Clock         string
	LastPush, Ended         *time.Time
	UploadsAccepted         int
	UploadsRejected         int
	Segments, SlateSegments int
	Manifests               int
	LastWithoutCredentials  *time.Time
	Restarts                []time.Time
	ClockDriftMilliseconds  *int64
	ClockDriftPPM           *int
	AudioOffsetMilliseconds *int64
	Tracks                  []reportedTrack
	Advice                  []reportedAdvice
	Errors                  []reportedError
}

type reportedTrack struct {
	Name, Kind, Codec, Language string

	Width                   int     `json:",omitempty"`
	Height                  int     `json:",omitempty"`
	FrameRate               float64 `json:",omitempty"`
	SampleRate              int     `json:",omitempty"`
	Channels                int     `json:",omitempty"`
	Bitrate                 int
	MeasuredSegments        int
	SegmentSeconds          reportedSpread
	KeyFrameSeconds         *reportedSpread `json:",omitempty"`
	SegmentsWithoutKeyFrame int
	SegmentsWithOpenGOP     int
	ArrivalSecondsLate      reportedSpread
	IrregularSegments       int
}

// reportedSpread has seconds, to the millisecond.
type reportedSpread struct{ Min, Max, Usual, Mean float64 }

type reportedAdvice struct {
	Reason string
	Track  string `json:",omitempty"`
	Text   string
}

type reportedError struct {
	Time         time.Time
	Name, Reason string
	Message      string
}

// servePushReport tells what a channel's encoders send, and what they should change.
func (s *Server) servePushReport(w http.ResponseWriter, r *http.Request) {
	id := channel.ID{Group: chi.URLParam(r, "group"), Name: chi.URLParam(r, "channel")}
	if _, ok := s.cfg.Channels.Get(id); !ok {
		reply.WriteError(w, r, fmt.Errorf("%w: %s", channel.ErrNotFound, id))
		return
	}
	now, report := s.cfg.Now(), s.ingest.Report(id)
	if tl, ok := s.timelineOf(id); ok {
		for i, at := range ingest.Ends(tl) { // known since before the server began
			report.Inputs[i].Ended = at
		}
	}
	writeJSON(w, r, reported(id, report, now))
}

func reported(id channel.ID, report ingest.Report, now time.Time) pushReport {
	out := pushReport{ChannelGroupName: id.Group, ChannelName: id.Name, Time: now.UTC().Truncate(time.Millisecond),
		Limits: []reportedLimit{}, HeldInput: inputNumber(report.Held), SwitchCount: report.Switched, Switches: []reportedSwitch{}}
	for _, l := range report.Limits {
		out.Limits = append(out.Limits, reportedLimit(l))
	}
	for _, s := range report.Switches {
		out.Switches = append(out.Switches, reportedSwitch{*instant(s.Time), s.From, s.To, s.Reason})
	}
	for _, in := range report.Inputs {
		v := reportedInput{Input: in.Number, Active: in.Active, UserAgent: in.Encoder, Protocol: in.Protocol, Clock: in.Clock,
			UploadsAccepted: in.Accepted, UploadsRejected: in.Rejected, Segments: in.Segments, SlateSegments: in.Slates, Manifests: in.Manifests,
			Restarts: []time.Time{}, Tracks: []reportedTrack{}, Advice: []reportedAdvice{}, Errors: []reportedError{}}
		v.LastPush, v.LastWithoutCredentials = instant(in.LastPush), instant(in.Challenged)
		v.Ended = instant(in.Ended)
		if in.Synced {
			ms := in.Sync.Milliseconds()
			v.AudioOffsetMilliseconds = &ms
		}
		if in.Drift.Known {
			ms := in.Drift.Gained.Milliseconds()
			v.ClockDriftMilliseconds = &ms
		}
		if in.Drift.Rated {
			v.ClockDriftPPM = &in.Drift.PPM
		}
		for _, at := range in.Restarts {
			v.Restarts = append(v.Restarts, *instant(at))
		}
		for _, t := range in.Tracks {
			v.Tracks = append(v.Tracks, reportedTrackOf(t))
		}
		for _, a := range in.Advise(now) {
			v.Advice = append(v.Advice, reportedAdvice(a))
		}
		for _, e := range in.Errors {
			v.Errors = append(v.Errors, reportedError{*instant(e.Time), e.Name, e.Reason, e.Text})
		}
		out.Inputs = append(out.Inputs, v)
	}
	return out
}

func reportedTrackOf(t ingest.TrackReport) reportedTrack {
	v := reportedTrack{Name: t.ID, Kind: t.Kind.String(), Language: t.Language, Bitrate: t.Bitrate, MeasuredSegments: t.Measured,
		SegmentSeconds: seconds(t.Durations), ArrivalSecondsLate: seconds(t.Late), SegmentsWithoutKeyFrame: t.Keyless,
		SegmentsWithOpenGOP: t.Open, IrregularSegments: t.Irregular}
	if c := t.Config; c != nil {
		v.Codec, v.Width, v.Height, v.SampleRate, v.Channels = c.Codec, c.Width, c.Height, c.SampleRate, c.Channels
		if c.FrameRate.Den > 0 {
			v.FrameRate = float64(c.FrameRate.Num) / float64(c.FrameRate.Den)
		}
	}
	if t.Kind == media.Video && t.Keys.Usual > 0 {
		keys := seconds(t.Keys)
		v.KeyFrameSeconds = &keys
	}
	return v
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}

func seconds(s ingest.Spread) reportedSpread {
	of := func(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }
	return reportedSpread{of(s.Min), of(s.Max), of(s.Usual), of(s.Mean)}
}

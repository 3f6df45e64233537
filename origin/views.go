package origin

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"headwater/origin/channel"
	"headwater/origin/console"
	"headwater/origin/ingest"
	"headwater/origin/timeline"
	"headwater/packager/media"
)

// Channels implements console.Source.
func (s *Server) Channels(time.Time) []console.ChannelView {
	var out []console.ChannelView
	for _, ch := range s.cfg.Channels.List() {
		v, ends := console.ChannelView{Group: ch.Group, Name: ch.Name}, [2]time.Time{}
		if tl, ok := s.timelineOf(ch.ID); ok {
			describe(&v, tl.State())
			ends = ingest.Ends(tl)
		}
		if st, ok := s.ingest.Status(ch.ID); ok {
			for n := 1; n <= 2; n++ {
				in := console.InputView{Number: n, Active: n == st.Active, Held: n == st.Held, Up: st.Up[n-1], LastPush: st.Heard[n-1], Ended: ends[n-1]}
				if in.Active {
					in.LastPush, in.Rejected = st.LastPush, int64(st.Rejected)
					in.LastReason, in.LastRejected = st.LastRejected, st.RejectedAt
					in.Accepted, in.Encoder, in.Protocol = int64(st.Accepted), st.Encoder, st.Protocol
				}
				v.Inputs = append(v.Inputs, in)
			}
		}
		for i := range ch.Endpoints {
			v.Endpoints = append(v.Endpoints, endpointView(ch.ID, &ch.Endpoints[i]))
		}
		out = append(out, v)
	}
	return out
}

func endpointView(id channel.ID, e *channel.Endpoint) console.EndpointView {
	v := console.EndpointView{Name: e.Name, Container: string(e.Container), StartoverWindow: e.StartoverWindow, TimeDelay: e.TimeDelay}
	for _, m := range e.Manifests {
		v.Manifests = append(v.Manifests, console.ManifestView{Name: m.Name, Type: string(m.Type), Path: playbackPath(id, e, m)})
	}
	return v
}

func describe(v *console.ChannelView, st timeline.State) {
	v.Numbering = "epoch"
	if st.Counted {
		v.Numbering = "counter"
	}
	v.Discontinuities, v.Ended = max(0, st.Parts-1), st.Ended
	for _, t := range st.Tracks {
		tv := console.TrackView{ID: t.ID, Kind: t.Kind.String(), Language: t.Language, Bitrate: t.Bitrate, Segments: t.Segments,
			Ended: !st.Ended.IsZero()}
		if t.Average > 0 {
			tv.Bitrate = t.Average
		}
		if c := t.Config; c != nil {
			tv.Codec, tv.Width, tv.Height, tv.SampleRate, tv.Channels = c.Codec, c.Width, c.Height, c.SampleRate, c.Channels
			if c.FrameRate.Den > 0 {
				tv.FrameRate = float64(c.FrameRate.Num) / float64(c.FrameRate.Den)
			}
			tv.SegmentDuration = media.At(t.Last.Duration, t.Timescale).Duration()
			tv.LastNumber = t.Last.Number
			tv.LastEnd = media.At(t.Last.End(), t.Timescale).UTC()
			tv.LastArrived = time.UnixMilli(t.Last.Arrived)
			if t.Kind == media.Metadata { // its numbers are times
				tv.LastNumber = 0
				v.Tracks = append(v.Tracks, tv)
				continue
			}
			tv.Gaps = int(t.Last.Number-t.First.Number) + 1 - t.Segments
		}
		v.Tracks = append(v.Tracks, tv)
	}
}

// heads shows at scrape time how old the newest segment of every track is.
type heads struct{ s *Server }

var headAge = prometheus.NewDesc("headwater_timeline_head_age_seconds",
	"Time since the UTC time at which the newest segment's media ends.", []string{"channel", "track"}, nil)

// Describe implements prometheus.Collector.
func (h *heads) Describe(ch chan<- *prometheus.Desc) { ch <- headAge }

// Collect implements prometheus.Collector.
func (h *heads) Collect(out chan<- prometheus.Metric) {
	for _, ch := range h.s.cfg.Channels.List() {
		tl, ok := h.s.timelineOf(ch.ID)
		if !ok {
			continue
		}
		for _, t := range tl.State().Tracks {
			if t.Config != nil {
				age := h.s.cfg.Now().Sub(media.At(t.Last.End(), t.Timescale).UTC())
				out <- prometheus.MustNewConstMetric(headAge, prometheus.GaugeValue, age.Seconds(), ch.ID.String(), t.ID)
			}
		}
	}
}

// clocks shows at scrape time how the clocks of encoders go.
type clocks struct{ s *Server }

var clockDrift = prometheus.NewDesc("headwater_ingest_clock_drift_seconds",
	"Time that the clock of an input's encoder has gained on the server's since its session began, negative where it lost it.",
	[]string{"channel", "input"}, nil)

// Describe implements prometheus.Collector.
func (c *clocks) Describe(ch chan<- *prometheus.Desc) { ch <- clockDrift }

// Collect implements prometheus.Collector.
func (c *clocks) Collect(out chan<- prometheus.Metric) {
	for _, ch := range c.s.cfg.Channels.List() {
		for i, d := range c.s.ingest.Drifts(ch.ID) {
			if d.Known {
				out <- prometheus.MustNewConstMetric(clockDrift, prometheus.GaugeValue, d.Gained.Seconds(), ch.ID.String(), strconv.Itoa(i+1))
			}
		}
	}
}

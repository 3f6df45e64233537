package dash

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"

	"headwater/packager"
	"headwater/packager/media"
)

const (
	profiles = "urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019"

	// delaySegments is how many segments behind the live edge a player should play: one that is being made, one that
	// the last refresh may have missed, one in the buffer.
	delaySegments = 3
	// minUpdatePeriod bounds how often players ask for a manifest.
	minUpdatePeriod = time.Second
	// latencySample is how many of the newest segments tell the latency of the source, maxLatency what is believed.
	latencySample = 8
	maxLatency    = 30 * time.Second
)

// render writes the MPD of v, whose window has the given periods. Everything but the S elements goes through
// mpd.MPD; they are spliced in, because a day of them would be tens of thousands of values to reflect on.
func render(v packager.View, name string, ps []period) ([]byte, error) {
	m := describe(v, name)
	var lists []run
	for i := range ps {
		p, runs := makePeriod(v, &ps[i])
		m.Periods = append(m.Periods, p)
		lists = append(lists, runs...)
	}
	if !v.Live {
		end, last := length(ps), len(ps)-1
		m.MediaPresentationDuration = duration(end)
		m.Periods[last].Duration = duration(end - ps[last].start.Duration())
	}
	var frame bytes.Buffer
	if _, err := m.Write(&frame, "", true); err != nil {
		return nil, fmt.Errorf("dash: write MPD %q: %w", name, err)
	}
	return splice(frame.Bytes(), lists)
}

// endMargin is how far behind its media a finished presentation ends, before it is cut to the millisecond.
const endMargin = 3 * time.Millisecond

// length returns what mediaPresentationDuration says of a finished presentation: from zero of the time axis to clearly
// behind all media. dash.js gives up, and seeks back, when it finds itself there before the <video> has ended.
func length(ps []period) time.Duration {
	end := ps[0].end
	for i := range ps {
		if end.Before(ps[i].end) {
			end = ps[i].end
		}
	}
	return (end.Duration() + endMargin).Truncate(time.Millisecond)
}

// splice puts the S elements of lists into the empty SegmentTimelines of frame, in order.
func splice(frame []byte, lists []run) ([]byte, error) {
	const empty, begin, end = "<SegmentTimeline></SegmentTimeline>", "<SegmentTimeline>", "</SegmentTimeline>"
	out := make([]byte, 0, len(frame)+24*len(lists[0].segments))
	for _, l := range lists {
		before, after, found := bytes.Cut(frame, []byte(empty))
		if !found {
			return nil, fmt.Errorf("dash: %d timelines for fewer places", len(lists))
		}
		out = append(append(out, before...), begin...)
		out = append(appendTimeline(out, l.segments), end...)
		frame = after
	}
	return append(out, frame...), nil
}

// describe returns the MPD without its periods.
func describe(v packager.View, name string) *mpd.MPD {
	m := mpd.NewMPD(mpd.STATIC_TYPE)
	m.Id = name
	m.Profiles = profiles
	m.MinBufferTime = duration(v.SegmentDuration)
	m.MaxSegmentDuration = duration(max(v.TargetDuration, longest(v.Window)))
	m.AvailabilityStartTime = dateTime(time.Unix(0, 0).Add(v.Delay))
	if !v.Live {
		return m
	}
	m.Type = mpd.Ptr(mpd.DYNAMIC_TYPE)
	m.PublishTime = dateTime(v.Updated)
	m.MinimumUpdatePeriod = duration(max(minUpdatePeriod, v.SegmentDuration/2))
	m.SuggestedPresentationDelay = duration(delay(v.Window))
	if !v.Fixed && v.Depth > 0 {
		m.TimeShiftBufferDepth = duration(v.Depth)
	}
	if v.TimeURL != "" {
		m.UTCTimings = []*mpd.DescriptorType{mpd.NewDescriptor("urn:mpeg:dash:utc:http-iso:2014", v.TimeURL, "")}
	}
	return m
}

// longest returns what no segment in view is longer than (ISO/IEC 23009-1 5.3.1.2), a whole tenth of a second, so that it
// stays as it is while segments of audio are now a frame longer than those of their video and now shorter.
func longest(w *packager.Window) time.Duration {
	const step = 100 * time.Millisecond
	var most time.Duration
	for i := range w.Tracks {
		ticks := int64(0)
		for j := range w.Tracks[i].Segments {
			ticks = max(ticks, w.Tracks[i].Segments[j].Duration)
		}
		most = max(most, media.At(ticks, w.Tracks[i].Timescale).Duration())
	}
	return (most + step - 1).Truncate(step)
}

// delay returns how far behind the live edge a player should play: at most half of what a sliding window holds, so that
// nothing has left it before it is played.
func delay(w *packager.Window) time.Duration {
	d := delaySegments*w.SegmentDuration + latency(w)
	if !w.Fixed && w.Depth > 0 {
		d = min(d, w.Depth/2)
	}
	return d
}

// makePeriod returns the Period of p and the runs whose S lists belong into its SegmentTimelines, in order.
func makePeriod(v packager.View, p *period) (*mpd.Period, []run) {
	out := mpd.NewPeriod()
	out.Id = p.id
	out.Start = duration(p.start.Duration())
	var lists []run
	used := map[uint32]bool{}
	for _, runs := range groupRuns(v.Window, p.tracks) {
		set := makeSet(v.Window, runs, used)
		shared := true
		for _, r := range runs[1:] {
			shared = shared && sameTimeline(runs[0], r)
		}
		set.SegmentAlignment = shared
		if shared {
			set.SegmentTemplate = template(v, p, runs[0])
			lists = append(lists, runs[0])
		}
		for _, r := range runs {
			rep := makeRepresentation(r)
			if shared {
				rep.SegmentTemplate = mpd.NewSegmentTemplate()
			} else {
				rep.SegmentTemplate = template(v, p, r)
				lists = append(lists, r)
			}
			rep.SegmentTemplate.Initialization = initialization(v, r)
			set.AppendRepresentation(rep)
		}
		out.AppendAdaptationSet(set)
	}
	return out, lists
}

// template returns the SegmentTemplate of r with an empty timeline and no initialization.
func template(v packager.View, p *period, r run) *mpd.SegmentTemplateType {
	t := mpd.NewSegmentTemplate()
	t.SetTimescale(r.track.Timescale)
	t.PresentationTimeOffset = mpd.Ptr(uint64(p.start.Round(r.track.Timescale)))
	t.SegmentTimeline = mpd.NewSegmentTimeline()
	if v.TimeTemplate || byTime(r.segments) {
		t.Media = v.Base + "segment_$RepresentationID$_t$Time$" + segmentExt + query(v)
		return t
	}
	t.Media = v.Base + "segment_$RepresentationID$_$Number$" + segmentExt + query(v)
	t.StartNumber = mpd.Ptr(uint32(r.segments[0].Number))
	return t
}

func initialization(v packager.View, r run) string {
	return v.Base + packager.InitName("$RepresentationID$", r.config().ID) + query(v)
}

// query returns the segments' query with its '?', '$' doubled as templates want it (ISO/IEC 23009-1 5.3.9.4.4).
func query(v packager.View) string {
	if v.SegmentQuery == "" {
		return ""
	}
	return "?" + strings.ReplaceAll(v.SegmentQuery, "$", "$$")
}

func (r run) config() *media.Config { return r.segments[0].Config }

// groupRuns divides the runs into those that share an AdaptationSet, in order of first appearance: one per video codec
// family, and per audio language, codec and channels one for each sound.
func groupRuns(w *packager.Window, runs []run) [][]run {
	var out [][]run
next:
	for _, r := range runs {
		for i, set := range out {
			if setKey(set[0]) == setKey(r) && (r.track.Kind == media.Video || interchangeable(w, set, r)) {
				out[i] = append(set, r)
				continue next
			}
		}
		out = append(out, []run{r})
	}
	return out
}

func interchangeable(w *packager.Window, set []run, r run) bool {
	return !slices.ContainsFunc(set, func(s run) bool { return !w.Interchangeable(s.track.Track, r.track.Track) })
}

// setKey says what the runs of an AdaptationSet have in common.
func setKey(r run) string {
	c := r.config()
	key := "video " + codecFamily(c.Codec)
	if r.track.Kind == media.Audio {
		key = fmt.Sprintf("%v %s %s %d", r.track.Kind, r.track.Language, c.Codec, c.Channels)
	}
	if roles := r.track.Roles &^ media.RoleMain; roles != 0 {
		key += " " + roles.String()
	}
	return key
}

// codecFamily maps the sample entry of an RFC 6381 string to one name per codec, whichever way parameter sets are carried.
func codecFamily(codec string) string {
	entry, _, _ := strings.Cut(codec, ".")
	switch entry {
	case "avc3":
		return "avc1"
	case "hev1":
		return "hvc1"
	}
	return entry
}

// makeSet returns the AdaptationSet of runs without segments. Its id is a hash of what makes it a set of its own, so that
// it stays when other sets come and go; used holds the ids of the period so far.
func makeSet(w *packager.Window, runs []run, used map[uint32]bool) *mpd.AdaptationSetType {
	h := fnv.New32a()
	h.Write([]byte(setKey(runs[0])))
	if runs[0].track.Kind == media.Audio {
		h.Write([]byte(" " + w.Sound(runs[0].track.ID)))
	}
	id := h.Sum32() >> 1 // fits the signed integers of some players
	for used[id] {
		id++
	}
	used[id] = true
	kind := runs[0].track.Kind
	set := mpd.NewAdaptationSet()
	set.Id = mpd.Ptr(id)
	set.ContentType = mpd.RFC6838ContentTypeType(kind.String())
	set.MimeType = kind.String() + "/mp4"
	set.Lang = runs[0].track.Language
	if !slices.ContainsFunc(runs, func(r run) bool { return slices.ContainsFunc(r.segments, dependent) }) {
		set.StartWithSAP = 1
	}
	set.Roles = roles(w, runs)
	set.Accessibilities = accessibilities(runs[0].track.Roles)
	if name := runs[0].track.Name; name != "" {
		set.Labels = []*mpd.LabelType{{Value: name}}
	}
	if ch := runs[0].config().Channels; kind == media.Audio && ch > 0 {
		set.AudioChannelConfigurations = []*mpd.DescriptorType{
			mpd.NewDescriptor("urn:mpeg:dash:23003:3:audio_channel_configuration:2011", strconv.Itoa(ch), ""),
		}
	}
	return set
}

func dependent(s media.Segment) bool { return s.Dependent }

// roles returns the Roles of an AdaptationSet (ISO/IEC 23009-1 5.8.5.5).
func roles(w *packager.Window, runs []run) (out []*mpd.DescriptorType) {
	out = append(out, mpd.NewRole(role(w, runs)))
	for _, value := range (runs[0].track.Roles &^ (media.RoleMain | media.RoleAlternate)).Values() {
		out = append(out, mpd.NewRole(value))
	}
	return out
}

// accessibilities tell what a set is for in the scheme that DASH-IF names for it (TVA AudioPurposeCS, DASH-IF IOP 3.9.4.5).
func accessibilities(roles media.Roles) (out []*mpd.DescriptorType) {
	purpose := func(role media.Roles, value string) {
		if roles&role != 0 {
			out = append(out, mpd.NewDescriptor("urn:tva:metadata:cs:AudioPurposeCS:2007", value, ""))
		}
	}
	purpose(media.RoleDescription, "1")
	purpose(media.RoleEnhancedSpeech, "2")
	return out
}

// role returns main, unless a set's sound is beside that of the default or its roles say so.
func role(w *packager.Window, runs []run) string {
	if t := runs[0].track; t.Roles.Beside() && !t.Default {
		return "alternate"
	}
	other := func(t *packager.TrackWindow) bool { return t.Kind == media.Audio && t.Default }
	var standard bool
	for i := range w.Tracks {
		standard = standard || other(&w.Tracks[i])
	}
	if runs[0].track.Kind != media.Audio || !standard || slices.ContainsFunc(runs, func(r run) bool { return other(r.track) }) {
		return "main"
	}
	return "alternate"
}

func makeRepresentation(r run) *mpd.RepresentationType {
	c := r.config()
	rep := mpd.NewRepresentation()
	rep.Id = r.track.ID
	rep.Codecs = c.Codec
	// Bitrate may be that of a first segment that happened to be small.
	rep.Bandwidth = uint32(min(max(r.track.Bitrate, r.track.Peak, 1), math.MaxUint32))
	if r.track.Kind == media.Video {
		rep.Width, rep.Height = uint32(max(c.Width, 0)), uint32(max(c.Height, 0))
		rep.FrameRate = frameRate(c.FrameRate)
	} else if c.SampleRate > 0 {
		rep.AudioSamplingRate = mpd.Ptr(mpd.UIntVectorType(strconv.Itoa(c.SampleRate)))
	}
	return rep
}

// frameRate returns "25" or "30000/1001" (ISO/IEC 23009-1 FrameRateType), "" when unknown.
func frameRate(r media.Ratio) mpd.FrameRateType {
	if r.Den == 0 || r.Num == 0 {
		return ""
	}
	if r.Num%r.Den == 0 {
		return mpd.FrameRateType(strconv.FormatUint(uint64(r.Num/r.Den), 10))
	}
	return mpd.FrameRateType(fmt.Sprintf("%d/%d", r.Num, r.Den))
}

// duration returns d as an xs:duration, to the millisecond.
func duration(d time.Duration) *mpd.Duration { return mpd.Ptr(mpd.Duration(d)) }

// dateTime returns t as an xs:dateTime in UTC, to the millisecond.
func dateTime(t time.Time) mpd.DateTime { return mpd.DateTime(t.UTC().Format(mpd.RFC3339MS)) }

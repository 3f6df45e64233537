package dash

import (
	"slices"
	"strconv"
	"time"

	"headwater/packager"
	"headwater/packager/media"
)

// period is a stretch of the presentation in which every track has one Config.
type period struct {
	id     string
	start  media.Time // whole milliseconds, as precise as Period@start is written
	end    media.Time // latest end of its segments in view
	tracks []run
}

// run is what a period holds of one track.
type run struct {
	track    *packager.TrackWindow
	segments []media.Segment // of one Part and one Config; never empty
}

// cut is where a period begins, within the Part of the given ordinal.
type cut struct {
	part  uint32
	at    media.Time
	id    string
	extra bool // not the beginning of a Part but a Config that changed inside it
}

// periods divides the window at the boundaries of its Parts, and where a Config changes inside one.
func periods(w *packager.Window) []period {
	cuts := findCuts(w)
	out := make([]period, len(cuts))
	for i, c := range cuts {
		ms := c.at.Floor(1000)
		out[i] = period{id: c.id, start: media.At(ms, 1000)}
	}
	slack := media.FromDuration(w.TargetDuration / 2)
	for i := range w.Tracks {
		t := &w.Tracks[i]
		rest := t.Segments
		for len(rest) > 0 {
			at, n := place(cuts, rest, t.Timescale, slack)
			out[at].add(t, rest[:n])
			rest = rest[n:]
		}
	}
	out = slices.DeleteFunc(out, func(p period) bool { return len(p.tracks) == 0 })
	if len(out) > 0 && (w.Fixed || !w.Live) {
		out[0].start = media.At(out[0].earliest().Floor(1000), 1000)
	}
	return out
}

// earliest returns the first start of the segments of p.
func (p *period) earliest() media.Time {
	first := media.At(p.tracks[0].segments[0].Start, p.tracks[0].track.Timescale)
	for _, r := range p.tracks[1:] {
		if t := media.At(r.segments[0].Start, r.track.Timescale); t.Before(first) {
			first = t
		}
	}
	return first
}

// add appends segments of t. A second piece of the same track (a Config that changed twice within the slack) replaces the
// first: a Representation has one init segment.
func (p *period) add(t *packager.TrackWindow, segments []media.Segment) {
	if end := media.At(segments[len(segments)-1].End(), t.Timescale); p.end.Before(end) {
		p.end = end
	}
	r := run{track: t, segments: segments}
	if last := len(p.tracks) - 1; last >= 0 && p.tracks[last].track == t {
		p.tracks[last] = r
		return
	}
	p.tracks = append(p.tracks, r)
}

// place returns the index of the cut behind which the first of segments lies, and how many segments lie between it and
// the next cut and share Part and Config.
func place(cuts []cut, segments []media.Segment, scale uint32, slack media.Time) (at, n int) {
	first := &segments[0]
	at, _ = slices.BinarySearchFunc(cuts, first.Part, func(c cut, part uint32) int { return compare(c.part, part) })
	late := func(c cut, s *media.Segment) bool {
		return c.extra && c.part == s.Part && !media.At(s.Start, scale).Add(slack).Before(c.at)
	}
	for at+1 < len(cuts) && late(cuts[at+1], first) {
		at++
	}
	bounded := at+1 < len(cuts) && cuts[at+1].extra && cuts[at+1].part == first.Part
	for n = 1; n < len(segments); n++ {
		s := &segments[n]
		if s.Part != first.Part || s.Config != first.Config && s.Config.ID != first.Config.ID ||
			bounded && late(cuts[at+1], s) {
			break
		}
	}
	return at, n
}

// findCuts returns where periods begin, in order: at every Part in view, and where a track changes its Config inside one.
// Cuts of different tracks that lie within half a segment of each other are one.
func findCuts(w *packager.Window) []cut {
	var cuts []cut
	slack := media.FromDuration(w.TargetDuration / 2)
	for i := range w.Tracks {
		t := &w.Tracks[i]
		for j := range t.Segments {
			s := &t.Segments[j]
			if j > 0 && s.Part == t.Segments[j-1].Part {
				if p := &t.Segments[j-1]; s.Config != p.Config && s.Config.ID != p.Config.ID {
					cuts = addExtra(cuts, s, t.Timescale, slack)
				}
				continue
			}
			cuts = addPart(cuts, w, s, t.Timescale)
		}
	}
	slices.SortStableFunc(cuts, func(a, b cut) int {
		if a.part != b.part {
			return compare(a.part, b.part)
		}
		if a.extra != b.extra {
			if b.extra {
				return -1
			}
			return 1
		}
		return a.at.Compare(b.at)
	})
	return cuts
}

func addPart(cuts []cut, w *packager.Window, s *media.Segment, scale uint32) []cut {
	i := slices.IndexFunc(cuts, func(c cut) bool { return c.part == s.Part && !c.extra })
	if i >= 0 {
		return cuts
	}
	c := cut{part: s.Part, at: media.At(s.Start, scale), id: strconv.FormatUint(uint64(s.Part), 10)}
	if p := slices.IndexFunc(w.Parts, func(p media.Part) bool { return p.Ordinal == s.Part }); p >= 0 {
		c.at = w.Parts[p].Start
	}
	return append(cuts, c)
}

func addExtra(cuts []cut, s *media.Segment, scale uint32, slack media.Time) []cut {
	at := media.At(s.Start, scale)
	for i := range cuts {
		c := &cuts[i]
		if c.extra && c.part == s.Part && !at.Add(slack).Before(c.at) && !c.at.Add(slack).Before(at) {
			return cuts
		}
	}
	id := strconv.FormatUint(uint64(s.Part), 10) + "-" + strconv.FormatInt(s.Number, 10)
	return append(cuts, cut{part: s.Part, at: at, id: id, extra: true})
}

func compare(a, b uint32) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// latency returns how long after its end the latest of the newest segments arrived: what the encoder and the way here
// take, bounded by maxLatency, in whole seconds so that it seldom changes.
func latency(w *packager.Window) time.Duration {
	var worst time.Duration
	t := &w.Tracks[0]
	for _, s := range t.Segments[max(0, len(t.Segments)-latencySample):] {
		d := time.Duration(s.Arrived-media.At(s.End(), t.Timescale).Floor(1000)) * time.Millisecond
		worst = max(worst, min(d, maxLatency))
	}
	return (worst + time.Second - 1).Truncate(time.Second)
}

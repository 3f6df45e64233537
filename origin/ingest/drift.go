package ingest

import (
	"math"
	"slices"
	"time"

	"headwater/origin/channel"
	"headwater/packager/media"
)

// This file is how the clock of an encoder is measured against ours (docs/adr/0006-clock-drift.md).

// How drift is measured, each decided here and tested by name.
const (
	// driftWindow: of the arrivals within it the earliest and the latest count. It has several segments of usual length, so
	// that the jitter of single uploads goes.
	driftWindow = 10 * time.Second
	// steadyWindows: a clock is off when it was so throughout that many windows, 30 s: bursts and outages pass sooner.
	steadyWindows = 3
	// calm: media that comes back by more than this meanwhile is what an encoder had kept during an outage.
	calm = 200 * time.Millisecond
	// keptWindows of 10 s tell a clock that jumped from one that drifts.
	keptWindows = 12
	// keptPoints, of one window each and later of several, tell how fast a clock is since its session began.
	keptPoints = 64
	// driftAfter: sooner the drift of a crystal is not to be told from the jitter of arrivals. ratedAfter: nor its rate.
	driftAfter = 2 * time.Minute
	ratedAfter = 10 * time.Minute
)

// window sums up by how much media was behind its time for a while; ahead of it is negative.
type window struct {
	began       time.Time
	least, most time.Duration
	at          time.Time // of least
}

// pace is how media keeps up with its time in one session of an encoder. It holds no more than its two lists.
type pace struct {
	open   window
	heard  time.Time
	recent ring[window]
	first  window   // as steady was at first
	begun  int      // windows in it, steadyWindows at most
	points []window // the least counts
	share  int      // windows in each point
	filled int      // windows in the last one
}

// add takes in that media was behind its time at now. After a silence it is judged anew.
func (p *pace) add(behind time.Duration, now time.Time) {
	if now.Sub(p.heard).Abs() > steadyWindows*driftWindow {
		p.open, p.recent = window{}, ring[window]{}
	}
	p.heard = now
	if p.open.began.IsZero() || now.Sub(p.open.began) >= driftWindow {
		p.close()
		p.open = window{now, behind, behind, now}
		return
	}
	p.open.most = max(p.open.most, behind)
	p.open = lesser(p.open, window{p.open.began, behind, p.open.most, now})
}

func lesser(w, v window) window {
	w.most = max(w.most, v.most)
	if v.least < w.least {
		w.least, w.at = v.least, v.at
	}
	return w
}

func (p *pace) close() {
	if p.open.began.IsZero() {
		return
	}
	p.recent.add(p.open, keptWindows)
	switch {
	case p.begun == 0:
		p.first, p.begun = p.open, 1
	case p.begun < steadyWindows:
		p.first = lesser(p.first, p.open)
		p.begun++
	}
	if n := len(p.points); n > 0 && p.filled < p.share {
		p.points[n-1] = lesser(p.points[n-1], p.open)
		p.filled++
		return
	}
	if len(p.points) == keptPoints {
		for i := range keptPoints / 2 {
			p.points[i] = lesser(p.points[2*i], p.points[2*i+1])
		}
		p.points, p.share = p.points[:keptPoints/2], 2*p.share
	}
	p.share, p.filled = max(1, p.share), 1
	p.points = append(p.points, p.open)
}

// steady returns the last windows, nil when there are not enough.
func (p *pace) steady() []window {
	all := p.recent.all()
	if len(all) < steadyWindows {
		return nil
	}
	return all[len(all)-steadyWindows:]
}

// off returns by how much media is behind its time that has steadily been so by bound or more, whatever came earliest, or
// ahead of it (negative), whatever came latest. ok is false when it is neither.
func (p *pace) off(behind, ahead time.Duration) (off time.Duration, ok bool) {
	w := p.steady()
	if w == nil {
		return 0, false
	}
	first, last := w[0], w[len(w)-1]
	if !slices.ContainsFunc(w, func(w window) bool { return w.least < behind }) && last.least >= first.least-calm {
		return last.least, true
	}
	if !slices.ContainsFunc(w, func(w window) bool { return w.most > -ahead }) && last.most <= first.most+calm {
		return last.most, true
	}
	return 0, false
}

// now returns by how much media is behind its time, without what came late.
func (p *pace) now() (behind time.Duration, ok bool) {
	w := p.steady()
	if w == nil {
		return 0, false
	}
	return slices.MinFunc(w, func(a, b window) int { return int(a.least - b.least) }).least, true
}

// drift returns by how much the clock has gained (negative: lost) since its session began.
func (p *pace) drift() (gained time.Duration, ok bool) {
	behind, ok := p.now()
	if !ok || p.heard.Sub(p.first.at) < driftAfter {
		return 0, false
	}
	return p.first.least - behind, true
}

// rate returns how fast the clock is in millionths, negative where it is slow: the median of the slopes between any two
// points, which single ones do not change.
func (p *pace) rate() (ppm int, ok bool) {
	n := len(p.points)
	if n < steadyWindows || p.points[n-1].at.Sub(p.points[0].at) < ratedAfter {
		return 0, false
	}
	slopes := make([]float64, 0, n*(n-1)/2)
	for i, a := range p.points {
		for _, b := range p.points[i+1:] {
			if passed := b.at.Sub(a.at); passed > 0 {
				slopes = append(slopes, float64(a.least-b.least)/float64(passed))
			}
		}
	}
	if len(slopes) == 0 {
		return 0, false
	}
	slices.Sort(slopes)
	return int(math.Round(slopes[len(slopes)/2] * 1e6)), true
}

// shifted has media be behind its time by so much less from now on, and before: the clock did not change, or a jump of it is
// forgotten with all that came before.
func (p *pace) shifted(by time.Duration) {
	all := p.recent.all()
	if n := len(all); n > 0 && (all[n-1].least-all[0].least).Abs() > by.Abs()/2 {
		*p = pace{}
		return
	}
	p.open.less(by)
	p.first.less(by)
	for i := range p.recent.kept {
		p.recent.kept[i].less(by)
	}
	for i := range p.points {
		p.points[i].less(by)
	}
}

func (w *window) less(by time.Duration) {
	w.least -= by
	w.most -= by
}

// course is what is known of the clock of one session while the server runs.
type course struct {
	arrival pace          // arrival minus media end
	said    pace          // programme date-time minus mapped start
	newest  time.Duration // latest start of a segment that was placed, UTC
	file    listedAt
}

// listedAt is a file whose playlist may yet come.
type listedAt struct {
	name  string
	start time.Time // as mapped
}

// course returns what is known of a session's clock. The lock is held.
func (in *input) course(ordinal int) *course {
	c := in.courses[ordinal]
	if c == nil {
		c = &course{}
		in.courses[ordinal] = c
		for old := range in.courses {
			if old < in.memo.First {
				delete(in.courses, old)
			}
		}
	}
	return c
}

// measure takes in that media came now that begins at start. The lock is held.
func (in *input) measure(ordinal int, s stamp, start int64, now time.Time) {
	c := in.course(ordinal)
	c.newest = max(c.newest, media.At(start, s.Scale).Duration())
	c.arrival.add(s.lag(start, now), now)
}

// hear takes in that media of a stream came now that begins at start.
func (in *input) hear(ordinal int, s stamp, start int64, now time.Time) {
	in.feed.mu.Lock()
	defer in.feed.mu.Unlock()
	if ordinal >= in.memo.First {
		in.course(ordinal).arrival.add(s.lag(start, now), now)
	}
}

// listed compares the time that a playlist gives for the file before this one with where that was placed: by now the playlist
// has come. Only where the session rests on such times.
func (in *input) listed(at placed, name string, scale uint32, now time.Time) {
	in.feed.mu.Lock()
	if at.Session < in.memo.First || in.anchor(at.Session).Kind != clockPDT {
		in.feed.mu.Unlock()
		return
	}
	c := in.course(at.Session)
	before := c.file
	c.file = listedAt{name, media.At(at.Start, scale).UTC()}
	in.feed.mu.Unlock()
	if before.name == "" || before.name == name {
		return
	}
	pdt := in.names.told(before.name)
	if pdt.IsZero() || now.Sub(pdt) > nearEpoch || pdt.Sub(now) > pdtAhead {
		return
	}
	in.feed.mu.Lock()
	defer in.feed.mu.Unlock()
	c.said.add(pdt.Sub(before.start), now)
}

// told returns the time that a playlist gives for a file, zero when none does.
func (n *names) told(name string) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, f := n.listed(name, false, 0)
	return f.at
}

// Drift is how the clock of an encoder goes against ours, or against the programme date-times that it gives.
type Drift struct {
	Known  bool
	Gained time.Duration // since its session began, or the server; negative: lost
	Rated  bool
	PPM    int // millionths by which it is fast; negative: slow
}

// drift returns how the clock of the newest session goes.
func (in *input) drift() (d Drift) {
	in.feed.mu.Lock()
	defer in.feed.mu.Unlock()
	c := in.courses[in.memo.First+len(in.memo.Anchors)-1]
	if c == nil {
		return d
	}
	p := &c.arrival
	if gained, ok := c.said.drift(); ok && gained.Abs() >= pdtSlack {
		p = &c.said
	}
	d.Gained, d.Known = p.drift()
	if d.Known {
		d.PPM, d.Rated = p.rate()
	}
	return d
}

// Drifts returns how the clocks of the encoders at both inputs of a channel go.
func (h *Handler) Drifts(id channel.ID) (all [2]Drift) {
	t := h.known(id)
	if t == nil {
		return all
	}
	for i := range all {
		if in := t.opened(i + 1); in != nil {
			all[i] = in.drift()
		}
	}
	return all
}

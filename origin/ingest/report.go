package ingest

import (
	"cmp"
	"slices"
	"time"

	"headwater/origin/channel"
	"headwater/origin/timeline"
	"headwater/packager/media"
)

// Report is what an encoder would have to know of its pushes and is never told, for the people who run it.
type Report struct {
	Limits   []LimitUse // none before anything was pushed
	Inputs   [2]InputReport
	Held     int      // input that somebody asked for, 0: none
	Switched int      // how often another input became active since the server began
	Switches []Switch // the last keptSwitches of them, newest last
}

// InputReport is what one input received since the server began.
type InputReport struct {
	Number     int
	Active     bool      // it feeds the timeline
	Encoder    string    // User-Agent of the last upload that was taken
	Protocol   string    // hls-ts, hls-fmp4, dash, cmaf, smooth or mpeg-ts; "" before any media
	Clock      string    // what its time rests on: epoch, pdt or arrival; "" before any media
	LastPush   time.Time // zero: none
	Ended      time.Time // when the encoder told the end of what it sends; zero: it goes on
	Accepted   int       // uploads; an endless one counts at its end
	Rejected   int       // uploads, and segments of endless ones
	Segments   int       // that became visible
	Slates     int       // of those, segments with filler for what the encoder lost, as the brand slat says
	Manifests  int       // playlists and MPDs that are known
	Unlisted   bool      // HLS: playlists came, and none lists the newest segments
	Restarts   []time.Time
	Drift      Drift // of the encoder's clock
	Tracks     []TrackReport
	Synced     bool          // SyncOffset is known
	Sync       time.Duration // start of the first audio's segments minus that of the first video's, usually
	Errors     []Refusal     // newest last
	Challenged time.Time     // when an upload without credentials last came, and was answered 401; zero: not lately
}

// TrackReport is what one track of an input is like, measured over its last keptSegments segments in the present session.
type TrackReport struct {
	timeline.TrackState
	Bitrate   int    // bit/s over measuredOver, 0 when nothing came within it
	Measured  int    // segments that the numbers rest on
	Durations Spread // of segments
	Irregular int    // segments that are longer or shorter than usual by more than a quarter
	Late      Spread // arrival minus media end, without what the encoder had when it began and sent at once
	Keys      Spread // video: distances of sync samples, zero before there are two
	Keyless   int    // video: segments that begin without one
	Open      int    // video: segments that begin with an open group of pictures
	Slate     bool   // the newest segment has filler for what the encoder lost
}

// Spread sums up some lengths of time.
type Spread struct{ Min, Max, Usual, Mean time.Duration }

func spreadOf(all []time.Duration) (s Spread) {
	if len(all) == 0 {
		return s
	}
	all = slices.Sorted(slices.Values(all))
	for _, d := range all {
		s.Mean += d
	}
	s.Mean /= time.Duration(len(all))
	s.Min, s.Max, s.Usual = all[0], all[len(all)-1], all[len(all)/2]
	return s
}

// Report returns what is known of the pushes to a channel.
func (h *Handler) Report(id channel.ID) (r Report) {
	now := h.opt.Now()
	h.mu.Lock()
	t := h.channels[id]
	strays := h.strays.all()
	for i := range r.Inputs {
		r.Inputs[i].Challenged = h.challenged.m[pushedTo{id.String(), i + 1}.key()]
	}
	h.mu.Unlock()
	if t != nil {
		r.Limits = t.use()
		r.Held, r.Switched, r.Switches = t.history()
	}
	for i := range r.Inputs {
		in := &r.Inputs[i]
		in.Number = i + 1
		if t != nil {
			t.report(in, now)
		}
		for _, s := range strays {
			if s.of == (pushedTo{id.String(), in.Number}) {
				in.Rejected++
				in.Errors = append(in.Errors, s.refuse)
			}
		}
		slices.SortStableFunc(in.Errors, func(a, b Refusal) int { return a.Time.Compare(b.Time) })
		in.Errors = in.Errors[max(0, len(in.Errors)-keptRefusals):]
	}
	return r
}

// report fills in what is known of one input.
func (t *intake) report(r *InputReport, now time.Time) {
	state := t.tl.State()
	m := &t.meters[r.Number-1]
	r.Accepted = int(m.accepted.Load())
	if at := m.heard.Load(); at != 0 {
		r.LastPush = time.UnixMilli(at).UTC()
	}
	if e := m.encoder.Load(); e != nil {
		r.Encoder = *e
	}
	recent := map[string][]measured{}
	keys := map[string][]time.Duration{}
	t.mu.Lock()
	in := t.inputs[r.Number]
	r.Active, r.Protocol, r.Segments, r.Rejected = t.choice.active == r.Number, m.protocol, m.segments, m.refused
	r.Slates = m.slates
	r.Errors, r.Ended = m.refusals.all(), t.over[r.Number-1]
	for id, tm := range m.tracks {
		recent[id], keys[id] = tm.recent.all(), tm.keys.all()
	}
	t.mu.Unlock()
	for _, tr := range state.Tracks {
		if len(recent[tr.ID]) > 0 {
			r.Tracks = append(r.Tracks, trackReport(tr, recent[tr.ID], keys[tr.ID], now))
		}
	}
	r.Sync, r.Synced = syncOf(r.Tracks, recent)
	if in != nil {
		r.Clock, r.Restarts, r.Drift = in.clock(), in.restarts(), in.drift()
		r.Manifests, r.Unlisted = in.names.listing()
	}
}

func trackReport(tr timeline.TrackState, segs []measured, keys []time.Duration, now time.Time) TrackReport {
	r := TrackReport{TrackState: tr, Measured: len(segs), Slate: segs[len(segs)-1].slate, Keys: spreadOf(keys)}
	var lengths, late []time.Duration
	var size int64
	var length time.Duration
	for i, s := range segs {
		lengths = append(lengths, s.length)
		if last := i == len(segs)-1; last || !segs[i+1].catchUp {
			late = append(late, s.late)
		}
		if now.Sub(s.arrived) <= measuredOver {
			size, length = size+s.size, length+s.length
		}
		if tr.Kind == media.Video && !s.keyed {
			r.Keyless++
		}
		if s.open {
			r.Open++
		}
	}
	if length > 0 {
		r.Bitrate = int(float64(size) * 8 / length.Seconds())
	}
	r.Durations, r.Late = spreadOf(lengths), spreadOf(late)
	for _, l := range lengths {
		if abs(l-r.Durations.Usual) > r.Durations.Usual/4 {
			r.Irregular++
		}
	}
	return r
}

// syncOf returns by how much the segments of the first audio usually start later than those of the first video. ok is false
// when no two belong together.
func syncOf(tracks []TrackReport, recent map[string][]measured) (offset time.Duration, ok bool) {
	first := func(k media.Kind) []measured {
		if i := slices.IndexFunc(tracks, func(t TrackReport) bool { return t.Kind == k }); i >= 0 {
			return recent[tracks[i].ID]
		}
		return nil
	}
	audio, video := first(media.Audio), first(media.Video)
	// Of those that are longer each has a partner; the others may have several between two of them.
	long, short, sign := video, audio, time.Duration(1)
	if len(audio) < len(video) {
		long, short, sign = audio, video, -1
	}
	var offsets []time.Duration
	for _, l := range long {
		for _, s := range short {
			if d := s.start - l.start; abs(d) < min(l.length, s.length)/2 {
				offsets = append(offsets, d*sign)
				break
			}
		}
	}
	return spreadOf(offsets).Usual, len(offsets) > 0
}

// restarts returns when encoders began that were not the input's first, as far as they are remembered.
func (in *input) restarts() (at []time.Time) {
	in.feed.mu.Lock()
	defer in.feed.mu.Unlock()
	for _, b := range in.begins.all() {
		if n := len(at); n == 0 || b.Sub(at[n-1]) > sameBegin {
			at = append(at, b)
		}
	}
	return at
}

// How many of the newest media files may not be listed yet, and how many before those are looked for.
const (
	freshFiles = 4
	oldFiles   = 8
)

// listing returns how many playlists and MPDs are known, and whether there are media playlists and enough media files and none
// of the files is listed.
func (n *names) listing() (manifests int, unlisted bool) {
	n.mu.Lock()
	files := n.files.order
	files = slices.Clone(files[:max(0, len(files)-freshFiles)])
	playlists := len(n.playlists.m)
	manifests = playlists + len(n.mpds.m)
	defer n.mu.Unlock()
	files = files[max(0, len(files)-oldFiles):]
	if playlists == 0 || len(files) < 2 {
		return manifests, false
	}
	return manifests, !slices.ContainsFunc(files, func(name string) bool {
		at, _ := n.listed(name, true, 0)
		return cmp.Or(at, n.begins(name)) != ""
	})
}

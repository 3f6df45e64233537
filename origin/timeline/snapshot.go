package timeline

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"headwater/packager/media"
	"headwater/storage"
)

// snapshot is the immutable state that readers see.
type snapshot struct {
	version uint64
	passed  chan struct{} // closed when another one takes its place
	tracks  []trackView   // by kind (video first), then the default, then what is beside it, then ID
	beside  []trackView   // of metadata, by ID: no window has them
	parts   []media.Part
	steps   []stepFrom
	longest media.Time
	usual   media.Time // what an ingested segment lasts now
	edge    media.Time // live edge
	counted bool
	ended   time.Time // as End said
}

type trackView struct {
	media.Track
	segments      []media.Segment
	positions     []storage.Position
	configs       []*media.Config
	gone          gone
	peak, average int
}

// snapshot returns what readers see from now on; the live edge moves on with it.
func (s *state) snapshot() *snapshot {
	s.version++
	n := len(s.steps)
	out := &snapshot{version: s.version, passed: make(chan struct{}), longest: s.longest, parts: s.shown[:len(s.shown):len(s.shown)], steps: s.steps[:n:n],
		counted: s.counting || s.numbering == Counter, ended: s.ended()}
	for _, tr := range s.order {
		n := len(tr.segments)
		v := trackView{Track: tr.Track, segments: tr.segments[:n:n], positions: tr.positions[:n:n],
			configs: tr.configs[:len(tr.configs):len(tr.configs)], gone: tr.gone, peak: tr.peak, average: tr.average()}
		if tr.Kind == media.Metadata {
			out.beside = append(out.beside, v)
		} else {
			out.tracks = append(out.tracks, v)
		}
	}
	sort.Slice(out.beside, func(i, j int) bool { return out.beside[i].ID < out.beside[j].ID })
	sort.Slice(out.tracks, func(i, j int) bool {
		a, b := &out.tracks[i], &out.tracks[j]
		if a.Kind != b.Kind {
			return a.Kind < b.Kind
		}
		if a.Default != b.Default {
			return a.Default
		}
		if a.Roles.Beside() != b.Roles.Beside() {
			return b.Roles.Beside()
		}
		return a.ID < b.ID
	})
	out.usual = out.usually()
	if edge := out.liveEdge(len(s.expected) > 0); s.edge.Before(edge) {
		s.edge = edge
	}
	out.edge = s.edge
	return out
}

// track returns a track of video or audio, nil when there is none.
func (s *snapshot) track(id string) *trackView {
	for i := range s.tracks {
		if s.tracks[i].ID == id {
			return &s.tracks[i]
		}
	}
	return nil
}

// any returns a track of any kind, nil when there is none.
func (s *snapshot) any(id string) *trackView {
	for i := range s.beside {
		if s.beside[i].ID == id {
			return &s.beside[i]
		}
	}
	return s.track(id)
}

func (tr *trackView) start(i int) media.Time { return media.At(tr.segments[i].Start, tr.Timescale) }

func (tr *trackView) middle(i int) media.Time {
	return media.At(tr.segments[i].Start+tr.segments[i].Duration/2, tr.Timescale)
}

func (tr *trackView) endOf(i int) media.Time { return media.At(tr.segments[i].End(), tr.Timescale) }

// end returns where what was delivered of a track ends, also where all of it expired; zero when nothing ever was.
func (tr *trackView) end() media.Time {
	if n := len(tr.segments); n > 0 {
		return tr.endOf(n - 1)
	}
	return media.At(tr.gone.end, tr.Timescale)
}

// Track returns the track with the given ID.
func (t *Timeline) Track(id string) (media.Track, bool) {
	if tr := t.snap.Load().any(id); tr != nil {
		return tr.Track, true
	}
	return media.Track{}, false
}

// TrackByBitrate returns the track of a kind with the given nominal bitrate (Smooth quality levels).
func (t *Timeline) TrackByBitrate(kind media.Kind, bitrate int) (media.Track, bool) {
	for _, tr := range t.snap.Load().tracks {
		if tr.Kind == kind && tr.Bitrate == bitrate {
			return tr.Track, true
		}
	}
	return media.Track{}, false
}

// Config returns the configuration of a track with the given ID. Error: ErrNoTrack.
func (t *Timeline) Config(trackID, configID string) (*media.Config, error) {
	if tr := t.snap.Load().track(trackID); tr != nil {
		for _, c := range tr.configs {
			if c.ID == configID {
				return c, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: %s with init segment %s", ErrNoTrack, trackID, configID)
}

// Step returns the duration of an ingested segment, or the usual one where they are irregular; 0 when not known yet.
func (t *Timeline) Step() time.Duration { return t.snap.Load().usual.Duration() }

// Grid returns the grid of the newest part; it is not valid when numbers are counted or nothing fixed it yet.
func (t *Timeline) Grid() media.Grid {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.state.parts); n > 0 && !t.state.counting && t.state.numbering != Counter {
		return t.state.parts[n-1].grid
	}
	return media.Grid{}
}

// TrackState describes a track for people and metrics.
type TrackState struct {
	media.Track
	Config        *media.Config // newest; nil before any segment
	Segments      int
	First, Last   media.Segment
	Peak, Average int // bit/s
}

// State describes a timeline for people and metrics.
type State struct {
	Counted bool // numbers come from the counter instead of the epoch grid
	Step    time.Duration
	Parts   int
	Ended   time.Time // when what feeds the channel told that it has ended: see End; zero while it goes on
	Tracks  []TrackState
}

// State returns what the timeline holds now.
func (t *Timeline) State() State {
	s := t.snap.Load()
	out := State{Counted: s.counted, Step: t.Step(), Parts: len(s.parts), Ended: s.ended}
	for _, tr := range slices.Concat(s.tracks, s.beside) {
		ts := TrackState{Track: tr.Track, Segments: len(tr.segments), Peak: tr.peak, Average: tr.average}
		if n := len(tr.segments); n > 0 {
			ts.First, ts.Last, ts.Config = tr.segments[0], tr.segments[n-1], tr.segments[n-1].Config
		}
		out.Tracks = append(out.Tracks, ts)
	}
	return out
}

package timeline

import (
	"sync"

	"headwater/packager/media"
)

// Growing is a segment on its way in, as far as it has come: what is complete of it, chunk by chunk. It is in no window and
// has no number, nothing of it is durable, and it may yet be given up.
type Growing struct {
	Start  int64 // UTC ticks of the track
	Part   uint32
	Config *media.Config
	Chunks []media.Chunk // those that have come whole, in order; one at least
}

// End returns where the last chunk ends, in ticks.
func (g Growing) End() int64 { return g.Chunks[len(g.Chunks)-1].End() }

// growth are the segments of a timeline that are on their way in. It is apart from the snapshots, so that manifests are not
// made anew with every chunk.
type growth struct {
	mu      sync.Mutex
	tracks  map[string][]*Growth
	changed chan struct{} // closed with the next change; nil when nobody asked
}

// Growth shows one segment on its way in. It is for one goroutine; End ends it. A nil Growth shows nothing.
type Growth struct {
	in    *growth
	track string
	grown Growing
}

// Grow begins to show a segment of a track, whose Chunks are to come.
func (t *Timeline) Grow(trackID string, start int64, part uint32, c *media.Config) *Growth {
	g := &Growth{in: &t.growth, track: trackID, grown: Growing{Start: start, Part: part, Config: c}}
	t.growth.mu.Lock()
	defer t.growth.mu.Unlock()
	if t.growth.tracks == nil {
		t.growth.tracks = map[string][]*Growth{}
	}
	t.growth.tracks[trackID] = append(t.growth.tracks[trackID], g)
	return g
}

// Add shows a chunk that has come whole.
func (g *Growth) Add(c media.Chunk) {
	if g == nil {
		return
	}
	g.in.mu.Lock()
	defer g.in.mu.Unlock()
	g.grown.Chunks = append(g.grown.Chunks, c)
	g.in.pass()
}

// End shows the segment no more: it is complete and in the timeline, or was given up. More than one End is as one.
func (g *Growth) End() {
	if g == nil {
		return
	}
	g.in.mu.Lock()
	defer g.in.mu.Unlock()
	all := g.in.tracks[g.track]
	for i, other := range all {
		if other == g {
			all = append(all[:i:i], all[i+1:]...)
			g.in.pass()
			break
		}
	}
	if g.in.tracks[g.track] = all; len(all) == 0 {
		delete(g.in.tracks, g.track)
	}
}

func (g *growth) pass() {
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// Growing returns the latest segment of a track that is on its way in, of copies the one of which most has come; ok is false
// when there is none. changed is closed with the next change of any track's.
func (t *Timeline) Growing(trackID string) (latest Growing, changed <-chan struct{}, ok bool) {
	t.growth.mu.Lock()
	defer t.growth.mu.Unlock()
	if t.growth.changed == nil {
		t.growth.changed = make(chan struct{})
	}
	for _, g := range t.growth.tracks[trackID] {
		n := len(g.grown.Chunks)
		if n == 0 || ok && (g.grown.Start < latest.Start || g.grown.Start == latest.Start && n <= len(latest.Chunks)) {
			continue
		}
		latest, ok = g.grown, true
		latest.Chunks = latest.Chunks[:n:n]
	}
	return latest, t.growth.changed, ok
}

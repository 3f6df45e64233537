package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"headwater/origin/channel"
	"headwater/packager/media"
)

// How many tracks a channel may have.
const (
	// maxTracks at a time, with segments or about to, where the channel does not say: far more than a ladder with its languages,
	// far less than a stream makes whose every file looks like a variant of its own.
	maxTracks = channel.DefaultTracks
	// tracksEver are so many times those: the journal keeps what a track is after its segments are gone.
	tracksEver = 64
)

// ErrTooManyTracks refuses media of a track that a channel has no room for.
var ErrTooManyTracks = errors.New("too many tracks")

// writing counts the uploads under way by the track that they write to.
type writing struct {
	mu sync.Mutex // held while a track is made
	by map[string]int
}

// setTrack notes a track, unless it is one too many, and that this upload writes to it.
func (p *push) setTrack(ctx context.Context, tr media.Track) (media.Track, error) {
	w := &p.writing
	w.mu.Lock()
	defer w.mu.Unlock()
	_, known := p.tl.Last(tr.ID)
	if known = known || w.by[tr.ID] > 0; !known {
		if err := p.roomFor(tr.ID); err != nil {
			return tr, err
		}
	}
	set, err := p.tl.SetTrack(ctx, tr)
	if err == nil && !known {
		p.log.Info("track is new", "track", tr.ID, "kind", tr.Kind.String(), "language", tr.Language)
	}
	if err == nil && !slices.Contains(p.writes, tr.ID) {
		p.writes = append(p.writes, tr.ID)
		w.by[tr.ID]++
	}
	return set, err
}

// roomFor returns an error when a track that has no segments and is not written to would be one too many.
func (p *push) roomFor(id string) error {
	have, most := p.tl.State().Tracks, p.gate.inForce().Tracks
	used, known := 0, false
	for i := range have {
		known = known || have[i].ID == id
		if have[i].Segments > 0 || p.writing.by[have[i].ID] > 0 {
			used++
		}
	}
	if used >= most {
		return fmt.Errorf("%w: %s would be one more than the %d that the channel may have (limits.max_tracks)", ErrTooManyTracks, id, most)
	}
	if ever := tracksEver * most; !known && len(have) >= ever {
		return fmt.Errorf("%w: %s would be one more than the %d that the channel may have had (limits.max_tracks)", ErrTooManyTracks, id, ever)
	}
	return nil
}

// written ends the upload's claim to its tracks.
func (p *push) written() {
	w := &p.writing
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range p.writes {
		if w.by[id]--; w.by[id] == 0 {
			delete(w.by, id)
		}
	}
	p.writes = nil
}

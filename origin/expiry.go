package origin

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"headwater/origin/channel"
	"headwater/origin/ingest"
	"headwater/packager/media"
	"headwater/storage"
)

const (
	// expiry is how often media is looked through for what has left the start-over windows, and expiredAtOnce how many
	// segments of a channel leave at a time.
	expiry        = 10 * time.Second
	expiredAtOnce = 10_000
	// sweeping is how often storage is looked through for old objects that no record names.
	sweeping = time.Hour
	// longestRetention is how long media is kept of a channel that is not there any more and may come back: the longest
	// start-over window that an endpoint can have (reference mediapackage.md 2d).
	longestRetention = 14 * 24 * time.Hour
)

// Run does what must be done from time to time, until ctx ends.
func (s *Server) Run(ctx context.Context) {
	var store sync.WaitGroup
	defer store.Wait()
	if s.store != nil {
		defer s.store.feed.Wait() // before storage is closed
		store.Go(func() { s.store.sweep.Run(ctx) })
	}
	tick := time.NewTicker(expiry)
	defer tick.Stop()
	var swept time.Time
	quiet := silences{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.Expire(ctx)
		quiet.look(s)
		if now := s.cfg.Now(); now.Sub(swept) >= sweeping {
			s.Sweep(ctx)
			swept = now
		}
	}
}

// Expire deletes the media that has left every start-over window by more than the grace period: first from the
// timeline, then its bytes, then its records. What cannot be deleted is left to Sweep.
func (s *Server) Expire(ctx context.Context) {
	for id, o := range s.opened() {
		gone := o.tl.Expire(s.cutoff(o), expiredAtOnce)
		for _, e := range gone {
			s.remove(ctx, id, ingest.SegmentKey(id, e.Track, e.Segment.Start))
		}
		if len(gone) == 0 {
			continue
		}
		if err := o.tl.Forget(ctx); err != nil {
			s.cfg.Logger.Error("trim journal", "channel", id.String(), "error", err)
		}
	}
}

// Sweep deletes stored segments that are older than all of their track that is recorded, as old as what expires, and were not
// stored just now: what could not be deleted or recorded when it was to be, because storage failed or the process ended in
// between.
func (s *Server) Sweep(ctx context.Context) {
	for id, o := range s.opened() {
		cutoff := media.FromUTC(s.cutoff(o))
		for _, t := range o.tl.State().Tracks {
			before := cutoff.Floor(t.Timescale)
			if t.Segments > 0 {
				before = min(before, t.First.Start)
			}
			s.sweepTrack(ctx, id, t.ID, before)
		}
	}
}

// sweepTrack deletes the stored segments of a track that start before a time in its ticks.
func (s *Server) sweepTrack(ctx context.Context, id channel.ID, track string, before int64) {
	for info, err := range s.cfg.Store.List(ctx, ingest.MediaContainer, ingest.SegmentPrefix(id, track), "") {
		if err != nil {
			s.cfg.Logger.Error("look for old segments", "channel", id.String(), "track", track, "error", err)
			return
		}
		start, ok := ingest.SegmentStart(info.Key)
		if !ok || start >= before {
			return // keys are in the order of time
		}
		if s.cfg.Now().Sub(info.Modified) >= sweeping {
			s.remove(ctx, id, info.Key)
		}
	}
}

func (s *Server) remove(ctx context.Context, id channel.ID, key storage.Key) {
	if err := s.cfg.Store.Delete(ctx, key); err != nil && !errors.Is(err, storage.ErrNotFound) {
		s.cfg.Logger.Error("delete old segment", "channel", id.String(), "key", key.String(), "error", err)
	}
}

// opened returns the channels whose timeline is open, those that are not served any more included, after a look at how long
// the others keep their media.
func (s *Server) opened() map[channel.ID]*opening {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := maps.Clone(s.live)
	maps.DeleteFunc(all, func(_ channel.ID, o *opening) bool { return !o.done.Load() || o.err != nil })
	for id, o := range all {
		if ch, ok := s.cfg.Channels.Get(id); ok {
			o.keep = retention(ch)
		}
	}
	return all
}

// cutoff returns the time before which a channel's media is not needed any more.
func (s *Server) cutoff(o *opening) time.Time {
	return s.cfg.Now().Add(-o.keep - s.cfg.Grace)
}

// retention returns how far back any endpoint of a channel can show.
func retention(ch *channel.Channel) (d time.Duration) {
	for i := range ch.Endpoints {
		e := &ch.Endpoints[i]
		d = max(d, e.StartoverWindow, e.ManifestWindow+e.TimeDelay)
	}
	return d
}

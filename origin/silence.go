package origin

import (
	"context"
	"log/slog"
	"time"

	"headwater/origin/channel"
	"headwater/origin/timeline"
	"headwater/packager/media"
)

// silences is what was quiet at the last look, so that a log tells it once. It is used by one goroutine.
type silences map[source]time.Time // since when

// source is a channel, or one of its inputs where input is not 0.
type source struct {
	channel.ID
	input int
}

// silentSegments and silentAfter are for how many segments, and how long at least, nothing arrives in a quiet channel.
const (
	silentSegments = 3
	silentAfter    = 10 * time.Second
)

// silentBefore is how much longer than that a source is quiet that was so before the server started, which is no news.
const silentBefore = time.Minute

// look logs which channels have become quiet since the last look, and which are fed again; of a channel that goes on, which
// of its inputs.
func (s silences) look(server *Server) {
	now := server.cfg.Now()
	for id, o := range server.opened() {
		last, patience := heard(o.tl)
		if !o.tl.Ended().IsZero() { // which was told, and may be quiet
			delete(s, source{ID: id})
			continue
		}
		log := server.cfg.Logger.With("channel", id.String())
		silent := func(at time.Time) bool { return !at.IsZero() && now.Sub(at) > patience }
		old := func(at time.Time) bool { return now.Sub(at) > patience+silentBefore }
		s.note(log, source{ID: id}, last, silent(last), old(last), "channel is quiet: no segment arrives", "channel is fed again")
		if silent(last) {
			continue
		}
		st, _ := server.ingest.Status(id)
		for i, last := range st.Heard {
			if !st.Ended[i].IsZero() {
				delete(s, source{id, i + 1})
				continue
			}
			if st.Heard[1-i].IsZero() {
				continue // there is no other one
			}
			s.note(log.With("input", i+1), source{id, i + 1}, last, silent(last), old(last), "input is quiet, the other one goes on", "input is fed again")
		}
	}
}

// note logs where a source has become quiet, last heard at last, or ceased to be; with old it has long been.
func (s silences) note(log *slog.Logger, of source, last time.Time, quiet, old bool, begins, ends string) {
	since, was := s[of]
	switch {
	case quiet && !was:
		s[of] = last
		level := slog.LevelWarn
		if old {
			level = slog.LevelDebug
		}
		log.Log(context.Background(), level, begins, "since", last)
	case was && !quiet && !last.IsZero():
		delete(s, of)
		log.Info(ends, "after", last.Sub(since).Round(time.Second))
	}
}

// heard returns when the newest segment of a timeline arrived, zero for never, and for how long none may.
func heard(tl *timeline.Timeline) (last time.Time, patience time.Duration) {
	state := tl.State()
	for _, t := range state.Tracks {
		if at := time.UnixMilli(t.Last.Arrived).UTC(); t.Config != nil && t.Kind != media.Metadata && at.After(last) {
			last = at
		}
	}
	return last, max(silentSegments*state.Step, silentAfter)
}

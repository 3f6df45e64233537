package origin

import (
	"time"

	"headwater/origin/channel"
	"headwater/origin/timeline"
)

// silences is which channels were quiet at the last look, so that a log tells it once. It is used by one goroutine.
type silences map[channel.ID]time.Time // since when

// silentSegments and silentAfter are for how many segments, and how long at least, nothing arrives in a quiet channel.
const (
	silentSegments = 3
	silentAfter    = 10 * time.Second
)

// look logs which channels have become quiet since the last look, and which are fed again.
func (s silences) look(server *Server) {
	now := server.cfg.Now()
	for id, o := range server.opened() {
		last, patience := heard(o.tl)
		since, quiet := s[id]
		switch {
		case last.IsZero():
		case now.Sub(last) > patience:
			if !quiet {
				s[id] = last
				server.cfg.Logger.Warn("channel is quiet: no segment arrives", "channel", id.String(), "since", last)
			}
		case quiet:
			delete(s, id)
			server.cfg.Logger.Info("channel is fed again", "channel", id.String(), "after", last.Sub(since).Round(time.Second))
		}
	}
}

// heard returns when the newest segment of a timeline arrived, zero for never, and for how long none may.
func heard(tl *timeline.Timeline) (last time.Time, patience time.Duration) {
	state := tl.State()
	for _, t := range state.Tracks {
		if at := time.UnixMilli(t.Last.Arrived).UTC(); t.Config != nil && at.After(last) {
			last = at
		}
	}
	return last, max(silentSegments*state.Step, silentAfter)
}

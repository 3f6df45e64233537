package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"headwater/origin/ingest/demux"
	"headwater/origin/timeline"
	"headwater/packager/media"
)

// This file is what encoders tell of the end of what they send: a segment of brand lmsg or an mfra box at the end of a stream
// (DASH-IF Live Media Ingest 1.2, Interface-1), a playlist with EXT-X-ENDLIST, an MPD that becomes static. What the media stays
// live for viewers, but nobody is alarmed, and the other input need not wait.

const (
	// endGrace: media that comes this soon after its end was told may have been overtaken by that, as of ffmpeg, which sends
	// a last segment and its playlist at the same instant on two connections.
	endGrace = 2 * time.Second
	// endTogether: an input has ended when the end was told of all that came of it in this time before, or in three segments
	// if that is longer. What fell silent earlier is not waited for.
	endTogether = 10 * time.Second
)

// ends is what was told of the ends of an input's variants, while the server runs.
type ends struct {
	mu sync.Mutex
	of map[string]*sending // by variant
}

// sending is a variant that media came of, or an end.
type sending struct {
	name  string    // path of the last media
	last  time.Time // when that came; zero: none did
	ended time.Time // when its end was told; zero: it goes on
}

// hear notes media of a variant.
func (e *ends) hear(variant, name string, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.find(variant)
	s.name, s.last = name, now
	if now.Sub(s.ended) >= endGrace {
		s.ended = time.Time{}
	}
}

// find returns what is noted of a variant. The lock is held.
func (e *ends) find(variant string) *sending {
	if s := e.of[variant]; s != nil {
		return s
	}
	if len(e.of) >= maxNames {
		var oldest string
		for v, s := range e.of {
			if oldest == "" || s.last.Before(e.of[oldest].last) {
				oldest = v
			}
		}
		delete(e.of, oldest)
	}
	if e.of == nil {
		e.of = map[string]*sending{}
	}
	s := &sending{}
	e.of[variant] = s
	return s
}

// end notes the end of variants, and reports whether nothing else that came within together goes on.
func (e *ends) end(now time.Time, together time.Duration, variants ...string) (all bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, v := range variants {
		e.find(v).ended = now
	}
	for _, s := range e.of {
		if s.ended.IsZero() && now.Sub(s.last) <= together {
			return false
		}
	}
	return len(variants) > 0
}

// within returns the variants whose last media are ones of those that match.
func (e *ends) within(match func(name string) bool) (variants []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for v, s := range e.of {
		if !s.last.IsZero() && match(s.name) {
			variants = append(variants, v)
		}
	}
	slices.Sort(variants)
	return variants
}

// ending is journaled under endKey when it changes.
type ending struct {
	At time.Time `json:"at"` // when an input ended; zero: it goes on
}

func endKey(input int) string { return fmt.Sprintf("input/%d/ended", input) }

// Ends returns when each of a channel's inputs ended, as their encoders told; zero for one that goes on or never began.
func Ends(tl *timeline.Timeline) (at [2]time.Time) {
	for i := range at {
		var e ending
		if raw := tl.Noted(endKey(i + 1)); raw != nil && json.Unmarshal(raw, &e) == nil {
			at[i] = e.At
		}
	}
	return at
}

// ends notes that what this upload is part of has ended, if it said so.
func (p *push) ends(ctx context.Context) error {
	if !p.final || p.init != nil && !slices.ContainsFunc(p.init.Tracks, func(t *demux.Track) bool { return t.Kind != media.Metadata }) {
		return nil // metadata ends nothing
	}
	if p.of == "" {
		p.of = p.variant(ctx)
	}
	return p.endOf(ctx, p.of)
}

// listed returns the variants that this upload, a playlist, lists: those whose last media it has, and the one that is named by it.
func (p *push) listed() []string {
	variants := p.in.ends.within(func(name string) bool { return p.in.names.lists(p.name, name) })
	if own := p.in.names.ofPlaylist(p.name); !slices.Contains(variants, own) {
		variants = append(variants, own)
	}
	return variants
}

// endOf notes the end of variants, and of the input when those were its last.
func (p *push) endOf(ctx context.Context, variants ...string) error {
	now := p.now()
	if !p.in.ends.end(now, max(endTogether, 3*p.tl.Longest()), variants...) || !p.wasOver().IsZero() {
		return nil
	}
	p.log.Info("encoder ended", "variants", variants)
	return p.setOver(ctx, now)
}

// goesOn notes that media of the input came, which may have been over.
func (p *push) goesOn(ctx context.Context, feeds bool, now time.Time) error {
	over := p.wasOver()
	switch {
	case over.IsZero():
	case now.Sub(over) < endGrace:
		return nil
	default:
		p.log.Info("encoder goes on, though it had ended", "ended", over.UTC())
		if err := p.setOver(ctx, time.Time{}); err != nil {
			return err
		}
	}
	if feeds && !p.tl.Ended().IsZero() {
		return p.tl.End(ctx, time.Time{})
	}
	return nil
}

// wasOver returns when the input ended, zero while it goes on.
func (p *push) wasOver() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over[p.in.number-1]
}

// setOver notes when the input ended, zero that it goes on, and the same of the channel when it is the active one.
func (p *push) setOver(ctx context.Context, at time.Time) error {
	p.ending.Lock()
	defer p.ending.Unlock()
	raw, err := json.Marshal(ending{At: at.UTC()})
	if err != nil {
		return fmt.Errorf("encode end of an input: %w", err)
	}
	if err := p.tl.Note(ctx, endKey(p.in.number), raw); err != nil {
		return err
	}
	p.mu.Lock()
	p.over[p.in.number-1] = at
	feeds := p.choice.active == p.in.number
	p.mu.Unlock()
	if !feeds {
		return nil
	}
	return p.tl.End(ctx, at)
}

package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// This file is what an input remembers of its names over a restart of the server.

// savedNames is what names keep: of the variants that media came of, for a note stays in the journal for ever.
type savedNames struct {
	Playlists []string          `json:"playlists"` // paths
	Stems     map[string]string `json:"stems"`
	Called    map[string]string `json:"called,omitempty"`
}

// maxNote is the most bytes of names in one note. What has no room costs the name of a variant that no playlist names again
// before its media come.
const maxNote = 8 << 10

// saved returns the names to be kept, the same for the same names.
func (n *names) saved() savedNames {
	n.mu.Lock()
	defer n.mu.Unlock()
	s, left := savedNames{Stems: map[string]string{}, Called: map[string]string{}}, maxNote
	room := func(variant string, size int) bool {
		if !n.live.has(variant) || size > left {
			return false
		}
		left -= size
		return true
	}
	const quotes = 16
	keep := func(kept, all map[string]string) {
		for _, k := range slices.Sorted(maps.Keys(all)) {
			if v := all[k]; room(v, len(k)+len(v)+quotes) {
				kept[k] = v
			}
		}
	}
	keep(s.Called, n.called.m)
	keep(s.Stems, n.stems.m)
	for _, at := range slices.Sorted(maps.Keys(n.playlists.m)) {
		if room(n.variantOf(at), len(at)+quotes) {
			s.Playlists = append(s.Playlists, at)
		}
	}
	return s
}

// restore takes back what a note holds; one that cannot be read is as none.
func (n *names) restore(note []byte) {
	var s savedNames
	if json.Unmarshal(note, &s) != nil {
		return
	}
	n.noted = note
	n.update(func() {
		for k, v := range s.Stems {
			n.stems.set(k, v, 0)
			n.live.set(v, struct{}{}, 0)
		}
		for k, v := range s.Called {
			n.called.set(k, v, 0)
			n.live.set(v, struct{}{}, 0)
		}
		for _, at := range s.Playlists {
			n.playlists.set(at, playlist{}, 0)
			n.live.set(n.variantOf(at), struct{}{}, 0)
		}
	})
}

func (in *input) namesKey() string { return in.noteKey() + "/names" }

// rememberNames journals the names when media of a variant came, if there is anything new in them.
func (in *input) rememberNames(ctx context.Context, variant string, now time.Time) error {
	n := in.names
	n.alive(variant, now)
	n.noting.Lock()
	defer n.noting.Unlock()
	raw, err := json.Marshal(n.saved())
	if err != nil {
		return fmt.Errorf("encode names: %w", err)
	}
	if bytes.Equal(raw, n.noted) {
		return nil
	}
	if err := in.tl.Note(ctx, in.namesKey(), raw); err != nil {
		return err
	}
	n.noted = raw
	return nil
}

package ingest

import (
	"cmp"
	"maps"
	"slices"

	"headwater/origin/ingest/demux"
	"headwater/origin/ingest/manifest"
	"headwater/packager/media"
)

// This file is what the manifests of encoders say of audio tracks that their media need not: ffmpeg's -f dash tells languages
// in the MPD alone, and only a multivariant playlist or an MPD has a default.

// rendition is what an encoder says of a track in its manifests.
type rendition struct {
	language string // BCP 47, "" when it is not told
	standard bool   // it is the default
}

// setMaster remembers what a multivariant playlist says of its renditions, and that there is one. It returns the paths of
// those that are forgotten for it.
func (n *names) setMaster(at string, pl *manifest.Playlist) (gone []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range pl.Renditions {
		r := &pl.Renditions[i]
		for _, uri := range urisOf(pl, r) {
			if name := nameOf(at, uri); name != "" {
				n.said.set(name, rendition{demux.Language(r.Language), r.Default}, 0)
			}
		}
	}
	return n.masters.set(at, struct{}{}, 0)
}

// urisOf returns the playlists that an audio rendition is in: its own, or without one those of the variants that have it
// muxed (RFC 8216 4.3.4.2.1).
func urisOf(pl *manifest.Playlist, r *manifest.Rendition) (uris []string) {
	switch {
	case r.Type != "AUDIO":
	case r.URI != "":
		uris = []string{r.URI}
	default:
		for i := range pl.Variants {
			if pl.Variants[i].AudioGroup == r.Group {
				uris = append(uris, pl.Variants[i].URI)
			}
		}
	}
	return uris
}

// rendition returns what manifests say of the audio of a variant that name is media or the init segment of; known is false
// when none does. Of several that differ it is always the same one: what is said goes into the journal when it changes.
func (n *names) rendition(variant, name string) (r rendition, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, at := range slices.Backward(n.said.order) {
		if n.variantOf(at) == variant {
			return n.said.m[at], true
		}
	}
	for _, at := range slices.Sorted(maps.Keys(n.mpds.m)) {
		rel, below := relative(at, name)
		if !below {
			continue
		}
		for _, rep := range slices.Backward(n.mpds.m[at].Representations) { // the last period is the one that goes on
			if rep.Init == rel || rep.Media(rel) {
				return rendition{demux.Language(rep.Language), rep.Main}, true
			}
		}
	}
	return rendition{}, false
}

// tell sets what manifests say of an audio track, or what they said before. Of several audios muxed with one another they
// speak of the first.
func (p *push) tell(tr *media.Track, d *demux.Track, variant string) {
	if d.Kind != media.Audio || d.Index > 0 {
		return
	}
	said, known := p.in.names.rendition(variant, p.name)
	tr.Language = cmp.Or(said.language, tr.Language)
	if tr.Default = said.standard; !known {
		before, _ := p.tl.Track(tr.ID)
		tr.Default = before.Default
	}
}

package ingest

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

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
	name     string // for people, "" when it is not told
	roles    media.Roles
	manual   bool // players are not to choose it by themselves
}

// maxLabel is how many bytes of a name for people are kept: a line of a menu.
const maxLabel = 100

// unnamed is what ffmpeg calls renditions that nobody gave a name.
var unnamed = regexp.MustCompile(`^audio_[0-9]+$`)

// label returns a name for people as it can stand in every manifest.
func label(name string) string {
	if unnamed.MatchString(name) {
		return ""
	}
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name[:min(len(name), 4*maxLabel)], ""))
	name = strings.TrimSpace(name)
	return strings.TrimSpace(strings.ToValidUTF8(strings.Clone(name[:min(len(name), maxLabel)]), ""))
}

// ofPlaylist returns what an EXT-X-MEDIA says.
func ofPlaylist(r *manifest.Rendition) rendition {
	out := rendition{language: demux.Language(r.Language), standard: r.Default, name: label(r.Name), manual: r.Manual}
	for _, c := range r.Characteristics {
		switch strings.TrimSpace(c) {
		case "public.accessibility.describes-video":
			out.roles |= media.RoleDescription
		case "public.accessibility.enhances-speech-intelligibility":
			out.roles |= media.RoleEnhancedSpeech
		}
	}
	return out
}

// ofMPD returns what the AdaptationSet of a Representation says.
func ofMPD(r *manifest.Representation) rendition {
	out := rendition{language: demux.Language(r.Language), standard: r.Main, name: label(r.Label)}
	for _, d := range r.Purposes {
		out.roles |= demux.Role(d.Scheme, d.Value)
	}
	return out
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
				n.said.set(name, ofPlaylist(r), 0)
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
		reps := n.mpds.m[at].Representations
		for i := range slices.Backward(reps) { // the last period is the one that goes on
			if rep := &reps[i]; rep.Init == rel || rep.Media(rel) {
				return ofMPD(rep), true
			}
		}
	}
	return rendition{}, false
}

// tell sets what its media say of a track, and of audio what manifests say, or said before. Of several audios muxed with one
// another they speak of the first.
func (p *push) tell(tr *media.Track, d *demux.Track, variant string) {
	if tr.Roles = d.Roles; d.Kind != media.Audio {
		return
	}
	main := tr.Roles&media.RoleMain != 0
	if d.Index > 0 {
		tr.Roles, tr.Default = tr.Roles&^media.RoleMain, main
		return
	}
	said, known := p.in.names.rendition(variant, p.name)
	if !known {
		before, _ := p.tl.Track(tr.ID)
		said = rendition{standard: before.Default || main, name: before.Name, manual: before.Manual}
		if tr.Roles == 0 {
			said.roles = before.Roles
		}
	}
	tr.Language = cmp.Or(said.language, tr.Language)
	tr.Default, tr.Name, tr.Manual = said.standard, said.name, said.manual
	tr.Roles = (tr.Roles | said.roles) &^ media.RoleMain
}

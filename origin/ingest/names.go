package ingest

import (
	"context"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"headwater/origin/ingest/demux"
	"headwater/origin/ingest/manifest"
)

// How long an upload waits for what explains it. Encoders send playlists and init segments around the media they
// describe, in any order (reference ingest.md section 1, rule 3).
const (
	patiencePlaylist = 500 * time.Millisecond // for the playlist that lists a segment
	patienceGuess    = 1500 * time.Millisecond
	patienceInit     = 10 * time.Second // for an init segment
	maxNames         = 256              // of each kind that an input may make us remember
)

// names knows what the files of one input are to each other: which init segment a media file needs, which playlist lists
// it. Paths are relative to the input and clean.
type names struct {
	mu        sync.Mutex
	inits     map[string]*demux.Init
	opening   map[string]int // init segments whose upload is under way
	playlists map[string]*manifest.Playlist
	mpds      map[string]*manifest.MPD
	stems     map[string]string // directory and stem of a media file to the variant it was once found to belong to
	languages map[string]string // of variants, as multivariant playlists say
	texts     map[string][]byte // playlists and MPDs as received last
	changed   chan struct{}     // closed and replaced at every change
}

func newNames() *names {
	return &names{inits: map[string]*demux.Init{}, opening: map[string]int{}, playlists: map[string]*manifest.Playlist{},
		mpds: map[string]*manifest.MPD{}, stems: map[string]string{}, languages: map[string]string{},
		texts: map[string][]byte{}, changed: make(chan struct{})}
}

// update changes the names under the lock and wakes who waits.
func (n *names) update(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
	close(n.changed)
	n.changed = make(chan struct{})
}

// until calls try, under the lock, at once and after every change until it succeeds, the time is up or ctx ends.
func (n *names) until(ctx context.Context, limit time.Duration, try func() bool) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		n.mu.Lock()
		ok, changed := try(), n.changed
		n.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func (n *names) setInit(name string, in *demux.Init) {
	n.update(func() {
		if _, have := n.inits[name]; have || len(n.inits) < maxNames {
			n.inits[name] = in
		}
	})
}

// beginInit and endInit bracket the upload of a file that was an init segment before, or by its name is one.
func (n *names) beginInit(name string) { n.update(func() { n.opening[name]++ }) }

func (n *names) endInit(name string) {
	n.update(func() {
		if n.opening[name]--; n.opening[name] <= 0 {
			delete(n.opening, name)
		}
	})
}

func (n *names) looksLikeInit(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.inits[name] != nil {
		return true
	}
	_, ok := initStem(name)
	return ok
}

// setPlaylist remembers a media playlist and reports whether its path is new.
func (n *names) setPlaylist(name string, p *manifest.Playlist) (fresh bool) {
	n.update(func() {
		_, have := n.playlists[name]
		if have || len(n.playlists) < maxNames {
			n.playlists[name] = p
			fresh = !have
		}
	})
	return fresh
}

func (n *names) setMPD(name string, m *manifest.MPD) {
	n.update(func() {
		if _, have := n.mpds[name]; have || len(n.mpds) < maxNames {
			n.mpds[name] = m
		}
	})
}

// initFor returns the init segment that the media file name needs, waiting for it to arrive. A header that came under
// the very name of the media file, as every segment is put to one Streams() URL, is its own.
func (n *names) initFor(ctx context.Context, name string) (*demux.Init, error) {
	if own := n.inited(name); own != nil {
		return own, nil
	}
	var found *demux.Init
	began := time.Now()
	ok := n.until(ctx, patienceInit, func() bool {
		at, sure := n.initPath(name)
		if at == "" || n.opening[at] > 0 || !sure && time.Since(began) < patienceGuess {
			return false
		}
		found = n.inits[at]
		return found != nil
	})
	if !ok {
		// Waking is by change; a guess ripens by time alone.
		n.mu.Lock()
		at, _ := n.initPath(name)
		found = n.inits[at]
		n.mu.Unlock()
	}
	if found == nil {
		return nil, fmt.Errorf("%w: none arrived for %s within %s", demux.ErrNoInit, name, patienceInit)
	}
	return found, nil
}

// initPath returns the path of the init segment for a media file: what a manifest says (sure), what the names say
// (sure), or else the only init segment in the directory.
func (n *names) initPath(name string) (at string, sure bool) {
	for at, p := range n.playlists {
		for i := range p.Segments {
			if s := &p.Segments[i]; s.Map != "" && resolve(at, s.URI) == name {
				return resolve(at, s.Map), true
			}
		}
	}
	for at, m := range n.mpds {
		for i := range m.Representations {
			r := &m.Representations[i]
			if rel, ok := relative(at, name); ok && r.Init != "" && r.Media(rel) {
				return resolve(at, r.Init), true
			}
		}
	}
	stem := mediaStem(name)
	var only string
	count := 0
	for p := range n.inits {
		if path.Dir(p) != path.Dir(name) {
			continue
		}
		if s, ok := initStem(p); ok && s == stem && s != "" {
			return p, true
		}
		only = p
		count++
	}
	if count == 1 {
		s, ok := initStem(only)
		return only, ok && s == stem
	}
	return "", false
}

// initStem returns what the name of an init segment shares with its media files: "stream0" of "init-stream0.m4s", ""
// of "init.mp4". ok is false when the name does not say that it is an init segment.
func initStem(name string) (stem string, ok bool) {
	base := strings.TrimSuffix(path.Base(name), path.Ext(name))
	if ext := path.Ext(name); ext == ".init" || ext == ".header" {
		return base, true
	}
	for _, word := range []string{"init", "header"} {
		if s, found := strings.CutPrefix(base, word); found {
			return strings.Trim(s, "-_."), true
		}
		if s, found := strings.CutSuffix(base, word); found {
			return strings.Trim(s, "-_."), true
		}
	}
	return "", false
}

// mediaStem returns the name of a media file without its number, its extension and the words that only say "segment".
func mediaStem(name string) string {
	base := strings.TrimSuffix(path.Base(name), path.Ext(name))
	trimmed := strings.TrimRight(base, "0123456789")
	if sep := strings.TrimRight(trimmed, "-_."); sep != trimmed || trimmed == "" {
		base = sep // "chunk-stream0-00001": the number stands apart
	} else {
		base = trimmed
	}
	for _, word := range []string{"chunk-", "chunk_", "segment-", "segment_", "seg-", "seg_"} {
		if s, ok := strings.CutPrefix(base, word); ok && s != "" {
			return s
		}
	}
	return base
}

// generic stems say nothing about which variant a file belongs to when a directory does.
var genericStems = map[string]bool{"": true, "seg": true, "segment": true, "index": true, "chunk": true, "media": true,
	"stream": true, "fragment": true, "out": true, "main": true, "playlist": true, "init": true}

// variantOf joins directory and stem to the name under which a file's tracks are known.
func variantOf(dir, stem string) string {
	dir = strings.Trim(strings.TrimPrefix(dir, "."), "/")
	if dir != "" && genericStems[stem] {
		return slug(dir)
	}
	return slug(strings.Trim(dir+"-"+stem, "-"))
}

// slug turns a name into a track ID: letters, digits and '-'.
func slug(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9', r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	out := strings.Trim(b.String(), "-")
	if len(out) > 48 {
		out = strings.Trim(out[:48], "-")
	}
	if out == "" {
		return "main"
	}
	return out
}

// variant returns the name under which the tracks of an HLS media file are known, the same before and after a restart of
// the encoder or of the server: that of the playlist that lists it, of the playlist whose name it begins with, or the
// one it was given before; else, when no playlist turns up in time, one made from its path. fresh is the stem that was
// learned, "" when nothing new was.
func (n *names) variant(ctx context.Context, name string) (variant, fresh string) {
	key := path.Dir(name) + "|" + mediaStem(name)
	found := n.until(ctx, patiencePlaylist, func() bool {
		if variant = n.listed(name); variant == "" {
			variant = n.stems[key]
		}
		return variant != ""
	})
	if !found {
		variant = variantOf(path.Dir(name), mediaStem(name))
		n.update(func() {
			if len(n.stems) < maxNames {
				n.stems[key] = variant
				fresh = key
			}
		})
	}
	return variant, fresh
}

func (n *names) listed(name string) string {
	longest := ""
	for at, p := range n.playlists {
		stem := strings.TrimSuffix(at, path.Ext(at))
		if rest, ok := strings.CutPrefix(strings.TrimSuffix(name, path.Ext(name)), stem); ok && len(stem) > len(longest) {
			if strings.Trim(rest, "0123456789-_.") == "" && rest != "" {
				longest = stem
			}
		}
		for i := range p.Segments {
			if resolve(at, p.Segments[i].URI) == name {
				return variantOf(path.Dir(at), path.Base(stem))
			}
		}
	}
	if longest == "" {
		return ""
	}
	return variantOf(path.Dir(longest), path.Base(longest))
}

// programTime returns the UTC time that a playlist gives for the start of a media file, waiting a little for it; zero
// when none says.
func (n *names) programTime(ctx context.Context, name string) (at time.Time) {
	n.until(ctx, patiencePlaylist, func() bool {
		for where, p := range n.playlists {
			for i := range p.Segments {
				if resolve(where, p.Segments[i].URI) == name {
					at = p.Segments[i].ProgramDateTime
					return true
				}
			}
		}
		return false
	})
	return at
}

// resolve returns the path that ref, found in the file at, stands for. References with a scheme or a leading slash are
// taken by what follows the last element they share with at's directory, as encoders print full URLs too.
func resolve(at, ref string) string {
	ref, _, _ = strings.Cut(ref, "?")
	if _, rest, ok := strings.Cut(ref, "://"); ok {
		if _, p, ok := strings.Cut(rest, "/"); ok {
			ref = "/" + p
		}
	}
	if !strings.HasPrefix(ref, "/") {
		return path.Join(path.Dir(at), ref)
	}
	dir := path.Dir(at)
	if dir == "." {
		return path.Base(ref)
	}
	if i := strings.LastIndex(ref, "/"+dir+"/"); i >= 0 {
		return ref[i+1:]
	}
	return path.Base(ref)
}

// relative returns name as seen from the directory of at; ok is false when it is not below it.
func relative(at, name string) (string, bool) {
	dir := path.Dir(at)
	if dir == "." {
		return name, true
	}
	return strings.CutPrefix(name, dir+"/")
}

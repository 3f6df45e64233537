package ingest

import (
	"context"
	"fmt"
	"path"
	"slices"
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
	maxTexts         = 32               // playlists that can be read back
	maxListed        = 64               // segments of a playlist: the newest, which are those still to be looked up
	maxTaken         = 16 * maxListed   // media files: those that the playlists of a ladder still list
)

// recent is a map that keeps the names that were set last.
type recent[V any] struct {
	most  int
	m     map[string]V
	order []string // oldest first
}

func newRecent[V any](most int) recent[V] { return recent[V]{most: most, m: map[string]V{}} }

// set returns the name that had to go, "" when there was room.
func (r *recent[V]) set(name string, v V) (gone string) {
	if _, have := r.m[name]; have {
		r.order = slices.DeleteFunc(r.order, func(s string) bool { return s == name })
	} else if len(r.m) >= r.most {
		gone, r.order = r.order[0], r.order[1:]
		delete(r.m, gone)
	}
	r.m[name] = v
	r.order = append(r.order, name)
	return gone
}

// names knows what the files of one input are to each other: which init segment a media file needs, which playlist lists
// it. Paths are relative to the input and clean.
type names struct {
	mu        sync.Mutex
	inits     recent[*demux.Init]
	opening   map[string]int    // init segments whose upload is under way
	guessed   map[string]string // directory and stem of a media file to its init segment, where nothing says so
	playlists recent[*manifest.Playlist]
	told      map[string]int   // path of a playlist to the tale of playlists that it was
	tale      int              // playlists received
	files     recent[struct{}] // media files that were taken
	mpds      recent[*manifest.MPD]
	stems     recent[string] // directory and stem of a media file to the variant it was once found to belong to
	called    recent[string] // path of a playlist to the variant of its files, where that is not made from the path
	languages recent[string] // of media playlists, as multivariant playlists say
	texts     recent[[]byte] // playlists and MPDs as received last
	changed   chan struct{}  // closed and replaced at every change
}

func newNames() *names {
	return &names{inits: newRecent[*demux.Init](maxNames), opening: map[string]int{}, guessed: map[string]string{},
		playlists: newRecent[*manifest.Playlist](maxNames), told: map[string]int{}, files: newRecent[struct{}](maxTaken), mpds: newRecent[*manifest.MPD](maxNames),
		stems: newRecent[string](maxNames), called: newRecent[string](maxNames), languages: newRecent[string](maxNames),
		texts: newRecent[[]byte](maxTexts), changed: make(chan struct{})}
}

// stemKey is what the media files of one variant have in common.
func stemKey(name string) string { return path.Dir(name) + "|" + mediaStem(name) }

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

// setInit remembers an init segment and returns the path of the one that is forgotten for it, "" for none.
func (n *names) setInit(name string, in *demux.Init) (gone string) {
	n.update(func() {
		if n.inits.m[name] == nil {
			clear(n.guessed)
		}
		gone = n.inits.set(name, in)
	})
	return gone
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
	if n.inits.m[name] != nil {
		return true
	}
	_, ok := initStem(name)
	return ok
}

// setPlaylist remembers a media playlist and reports whether its path is new.
func (n *names) setPlaylist(name string, p *manifest.Playlist) (fresh bool) {
	p.Segments = slices.Clone(p.Segments[max(0, len(p.Segments)-maxListed):])
	n.update(func() {
		_, have := n.playlists.m[name]
		delete(n.told, n.playlists.set(name, p))
		n.tale++
		n.told[name] = n.tale
		fresh = !have
	})
	return fresh
}

func (n *names) setMPD(name string, m *manifest.MPD) {
	n.update(func() { n.mpds.set(name, m) })
}

// initFor returns the init segment that the media file name needs, waiting for it to arrive. A header that came under
// the very name of the media file, as every segment is put to one Streams() URL, is its own.
func (n *names) initFor(ctx context.Context, name string) (*demux.Init, error) {
	if own := n.inited(name); own != nil {
		return own, nil
	}
	var found *demux.Init
	find := func(guess bool) func() bool {
		return func() bool {
			at, sure := n.initPath(name)
			if at == "" || n.opening[at] > 0 || n.inits.m[at] == nil || !sure && !guess {
				return false
			}
			if !sure && len(n.guessed) < maxNames {
				n.guessed[stemKey(name)] = at
			}
			found = n.inits.m[at]
			return true
		}
	}
	if !n.until(ctx, patienceGuess, find(false)) && !n.until(ctx, patienceInit-patienceGuess, find(true)) {
		return nil, fmt.Errorf("%w: none arrived for %s within %s", demux.ErrNoInit, name, patienceInit)
	}
	return found, nil
}

// initPath returns the path of the init segment for a media file: what a manifest says (sure), what the names say
// (sure), or else the only init segment in the directory.
func (n *names) initPath(name string) (at string, sure bool) {
	for at, p := range n.playlists.m {
		for i := range p.Segments {
			if s := &p.Segments[i]; s.Map != "" && resolve(at, s.URI) == name {
				return resolve(at, s.Map), true
			}
		}
	}
	for at, m := range n.mpds.m {
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
	for p := range n.inits.m {
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
		return only, ok && s == stem || n.guessed[stemKey(name)] == only
	}
	return "", false
}

// variant returns the name under which the tracks of an HLS media file are known, the same before and after a restart of
// the encoder or of the server: that of the playlist that lists it, of the playlist whose name it begins with, or the
// one it was given before; else, when no playlist turns up in time, one made from its path, which the first playlist that
// lists such files then keeps. fresh says that something was learned that has to be remembered.
func (n *names) variant(ctx context.Context, name string) (variant string, fresh bool) {
	key := stemKey(name)
	found := n.until(ctx, patiencePlaylist, func() bool {
		at := n.listed(name)
		if at == "" {
			variant = n.stems.m[key]
			return variant != ""
		}
		if variant = n.variantOf(at); n.called.m[at] == "" && n.stems.m[key] != "" && !n.taken(n.stems.m[key], at) {
			variant, fresh = n.stems.m[key], variant != n.stems.m[key]
			n.called.set(at, variant)
		}
		return true
	})
	if !found {
		variant, fresh = variantOf(path.Dir(name), mediaStem(name)), true
		n.update(func() { n.stems.set(key, variant) })
	}
	return variant, fresh
}

// variantOf returns the variant of the files that the playlist at lists.
func (n *names) variantOf(at string) string {
	if v := n.called.m[at]; v != "" {
		return v
	}
	return variantOf(path.Dir(at), strings.TrimSuffix(path.Base(at), path.Ext(at)))
}

// taken reports whether another playlist than at is that of variant.
func (n *names) taken(variant, at string) bool {
	for other := range n.playlists.m {
		if other != at && n.variantOf(other) == variant {
			return true
		}
	}
	return false
}

// listed returns the path of the playlist that lists name, or else of that with the longest name that name begins with.
func (n *names) listed(name string) (at string) {
	longest := 0
	for where, p := range n.playlists.m {
		for i := range p.Segments {
			if resolve(where, p.Segments[i].URI) == name {
				return where
			}
		}
		stem := strings.TrimSuffix(where, path.Ext(where))
		rest, ok := strings.CutPrefix(strings.TrimSuffix(name, path.Ext(name)), stem)
		if ok && len(stem) > longest && rest != "" && strings.Trim(rest, "0123456789-_.") == "" {
			at, longest = where, len(stem)
		}
	}
	return at
}

// entry returns what a playlist says of a media file, waiting a little for it; zero when none lists it. since is what received
// returned when the file's upload began: where a file of the name was taken before, what older playlists say is of that one,
// which an encoder sent before it was restarted.
func (n *names) entry(ctx context.Context, name string, since int) (s manifest.Segment) {
	n.until(ctx, patiencePlaylist, func() bool {
		_, again := n.files.m[name]
		for where, p := range n.playlists.m {
			if again && n.told[where] <= since {
				continue
			}
			for i := range p.Segments {
				if resolve(where, p.Segments[i].URI) == name {
					s = p.Segments[i]
					return true
				}
			}
		}
		return false
	})
	return s
}

// received returns how many playlists have come.
func (n *names) received() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tale
}

// took notes that a media file was taken.
func (n *names) took(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.files.set(name, struct{}{})
}

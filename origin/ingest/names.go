package ingest

import (
	"context"
	"fmt"
	"path"
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
	patienceOwn      = time.Second      // for the header of a Streams() URL, which comes before its media or was lost
	patienceHang     = time.Second      // for an init segment that is being sent again, or a segment and a half if longer
)

// How much an input may make us remember.
const (
	maxNames     = 256            // of each kind
	maxTexts     = 32             // playlists that can be read back
	maxListed    = 64             // segments of a playlist: the newest, which are those still to be looked up
	maxTaken     = 16 * maxListed // media files: those that the playlists of a ladder still list
	maxURI       = 4 << 10        // bytes of a reference in a playlist; three for each of a name, and where it stands
	maxInits     = 8 << 20        // bytes of init segments, which have one or two thousand
	maxPlaylists = 4 << 20        // bytes of what playlists list: 64 variants of 64 segments with names of 200 bytes have a quarter
	maxMPDs      = 8
	maxMPDBytes  = 2 << 20
)

// names knows what the files of one input are to each other: which init segment a media file needs, which playlist lists
// it. Paths are relative to the input and clean.
type names struct {
	mu        sync.Mutex
	inits     recent[*demux.Init]
	refused   recent[string]      // init segments that nothing can be made of, and why
	opening   map[string]*opening // init segments whose upload is under way
	guessed   map[string]string   // stemKey of a media file to its init segment, where nothing says so
	playlists recent[playlist]
	tale      int              // media playlists received
	files     recent[struct{}] // media files that were taken
	mpds      recent[*manifest.MPD]
	stems     recent[string]    // stemKey of a media file, streamKey of a stream, to the variant it was found to belong to
	called    recent[string]    // path of a playlist to the variant of its files, where that is not made from the path
	live      recent[struct{}]  // variants that media came of
	heard     recent[time.Time] // variants of streams, and when a header or media last came
	said      recent[rendition] // of media playlists, as multivariant playlists say
	masters   recent[struct{}]  // multivariant playlists, which are kept
	texts     recent[[]byte]    // playlists and MPDs as received last
	logged    recent[struct{}]  // what is logged once
	changed   chan struct{}     // closed and replaced at every change

	noting sync.Mutex // held while names are journaled
	noted  []byte     // as journaled last
}

// opening is the upload of an init segment under way, or several.
type opening struct {
	count     int
	outwaited bool // it hangs, or another one has ended meanwhile: media do not wait for it
}

func newNames() *names {
	return &names{inits: newRecent[*demux.Init](maxNames, maxInits), refused: newRecent[string](maxNames, 0),
		opening: map[string]*opening{}, guessed: map[string]string{}, playlists: newRecent[playlist](maxNames, maxPlaylists), files: newRecent[struct{}](maxTaken, 0),
		mpds: newRecent[*manifest.MPD](maxMPDs, maxMPDBytes), stems: newRecent[string](maxNames, 0),
		called: newRecent[string](maxNames, 0), live: newRecent[struct{}](maxNames, 0), heard: newRecent[time.Time](maxNames, 0),
		said:    newRecent[rendition](maxNames, 0),
		masters: newRecent[struct{}](maxTexts, 0), texts: newRecent[[]byte](maxTexts, 0), logged: newRecent[struct{}](maxNames, 0),
		changed: make(chan struct{})}
}

// stemKey is what the media files of one variant have in common.
func stemKey(name string) string {
	return dateless(path.Dir(name)) + "|" + dateless(mediaStem(name))
}

// update changes the names under the lock and wakes who waits.
func (n *names) update(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
	close(n.changed)
	n.changed = make(chan struct{})
}

// until calls try, under the lock, at once, after every change and at each of the limits, in order, until it succeeds, the
// last limit has passed or ctx ends. try is told how long it was waited.
func (n *names) until(ctx context.Context, try func(waited time.Duration) bool, limits ...time.Duration) bool {
	for began := time.Now(); ; {
		waited := time.Since(began)
		n.mu.Lock()
		ok, changed := try(waited), n.changed
		n.mu.Unlock()
		if ok {
			return true
		}
		for len(limits) > 0 && waited >= limits[0] {
			limits = limits[1:]
		}
		if len(limits) == 0 {
			return false
		}
		timer := time.NewTimer(limits[0] - waited)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
		timer.Stop()
	}
}

// setInit remembers an init segment and returns the paths of those that are forgotten for it.
func (n *names) setInit(name string, in *demux.Init) (gone []string) {
	n.update(func() {
		if n.inits.m[name] == nil {
			clear(n.guessed)
		}
		gone = n.inits.set(name, in, len(in.Raw))
		n.refused.remove(name)
		n.overtake(name)
	})
	return gone
}

// sameInit notes that a known init segment came again.
func (n *names) sameInit(name string) { n.update(func() { n.overtake(name) }) }

// overtake ends the waiting for an init segment that has come: what else is being sent under its name began earlier.
func (n *names) overtake(name string) {
	if o := n.opening[name]; o != nil {
		o.outwaited = true
	}
}

// refuseInit remembers that nothing can be made of an init segment, so that its media is answered at once.
func (n *names) refuseInit(name, why string) {
	n.update(func() {
		n.inits.remove(name)
		clear(n.guessed)
		n.refused.set(name, why, 0)
	})
}

// beginInit and endInit bracket the upload of a file that was an init segment before, or by its name is one.
func (n *names) beginInit(name string) {
	n.update(func() {
		o := n.opening[name]
		if o == nil {
			o = &opening{}
			n.opening[name] = o
		}
		o.count++
		o.outwaited = false
	})
}

func (n *names) endInit(name string) {
	n.update(func() {
		o := n.opening[name]
		if o.count--; o.count <= 0 {
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

// initFor returns the init segment that the media file name needs, waiting for it to arrive. A header that came under
// the very name of the media file, as every segment is put to one Streams() URL, is its own, and a Streams() URL has no
// other. step is the duration of a segment, 0 when not known. Errors: demux.ErrNoInit; demux.ErrUnsupported when nothing
// could be made of it.
func (n *names) initFor(ctx context.Context, name string, step time.Duration) (found *demux.Init, err error) {
	hang := min(max(patienceHang, step*3/2), patienceInit)
	limits := []time.Duration{min(patienceGuess, hang), max(patienceGuess, hang), patienceInit}
	_, stream := streamName(name)
	if stream {
		limits = []time.Duration{patienceOwn}
	}
	ok := n.until(ctx, func(waited time.Duration) bool {
		at := name
		if !n.inits.has(name) && !n.refused.has(name) {
			if stream {
				return false
			}
			if at = n.settled(name, waited, hang); at == "" {
				return false
			}
		}
		found = n.inits.m[at]
		if why, refused := n.refused.m[at]; refused {
			err = fmt.Errorf("%w: the init segment of %s was refused: %s", demux.ErrUnsupported, name, why)
		}
		return true
	}, limits...)
	if !ok {
		return nil, fmt.Errorf("%w: none arrived for %s within %s: send the header again, then its media", demux.ErrNoInit, name, limits[len(limits)-1])
	}
	return found, err
}

// settled returns the path of the init segment for a media file when there is nothing more to wait for, else "".
func (n *names) settled(name string, waited, hang time.Duration) string {
	at, sure := n.initPath(name)
	if !n.inits.has(at) && !n.refused.has(at) || !sure && waited < patienceGuess {
		return ""
	}
	if o := n.opening[at]; o != nil && !o.outwaited {
		if waited < hang {
			return ""
		}
		o.outwaited = true
	}
	if !sure && len(n.guessed) < maxNames {
		n.guessed[stemKey(name)] = at
	}
	return at
}

// initPath returns the path of the init segment for a media file: what a manifest says (sure), what the names say
// (sure), or else the only init segment in the directory.
func (n *names) initPath(name string) (at string, sure bool) {
	if _, f := n.listed(name, true, 0); f.init != "" {
		return f.init, true
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
	for _, p := range append(n.refused.order[:len(n.refused.order):len(n.refused.order)], n.inits.order...) {
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

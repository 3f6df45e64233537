package ingest

import (
	"context"
	"path"
	"strings"
	"time"

	"headwater/origin/ingest/manifest"
)

// This file is under which name the media of an input is known.

// listed is a segment as a playlist lists it. init is "" when the playlist names none, at zero when it gives no time.
type listed struct {
	name, init string
	at         time.Time
	duration   time.Duration
	seen       time.Time // when a playlist first said so
}

// playlist is what is remembered of a media playlist.
type playlist struct {
	files []listed
	ended bool // it has EXT-X-ENDLIST
	tale  int  // which of those that were received it is, counted from 1; 0 before a restart
}

// setPlaylist remembers what a media playlist lists, as far as uploads can have such names. Byte ranges are left out: they are
// of a file that grows, whose upload is a stream and no segment, or, in a playlist of I-frames, of segments that another lists.
// ends says that it has an end and the one before had none.
func (n *names) setPlaylist(at string, p *manifest.Playlist) (ends bool) {
	var files []listed
	now := time.Now()
	size, initURI, init := 0, "", ""
	for _, s := range p.Segments[max(0, len(p.Segments)-maxListed):] {
		if s.Map != initURI {
			initURI, init = s.Map, nameOf(at, s.Map)
			size += len(init)
		}
		if s.Ranged {
			continue
		}
		if name := nameOf(at, s.URI); name != "" {
			files = append(files, listed{name, init, s.ProgramDateTime, s.Duration, now})
			size += 72 + len(name)
		}
	}
	n.update(func() {
		n.tale++
		ends = p.Ended && !n.playlists.m[at].ended
		for _, before := range n.playlists.m[at].files {
			for i := range files {
				if f := &files[i]; f.name == before.name && f.at.Equal(before.at) {
					f.seen = before.seen
				}
			}
		}
		n.playlists.set(at, playlist{files, p.Ended, n.tale}, size)
	})
	return ends
}

// lists reports whether the playlist at lists a media file.
func (n *names) lists(at, name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	where, _ := n.listed(name, true, 0)
	return where == at
}

// ofPlaylist returns the variant of the files that the playlist at lists.
func (n *names) ofPlaylist(at string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.variantOf(at)
}

// nameOf returns the path of an upload that a reference in the file at stands for, "" when none can have it.
func nameOf(at, ref string) string {
	if ref == "" || len(ref) > maxURI {
		return ""
	}
	name := resolve(at, ref)
	if len(name) > maxName {
		return ""
	}
	return strings.Clone(name)
}

// variant returns the name under which the tracks of an HLS media file are known, the same before and after a restart of
// the encoder or of the server: that of the playlist that lists it, of the playlist whose name it begins with, or the
// one it was given before; else, when no playlist turns up in time, one made from its path, which the first playlist that
// lists such files then keeps. fresh says that it was made so.
func (n *names) variant(ctx context.Context, name string) (variant string, fresh bool) {
	key := stemKey(name)
	n.until(ctx, func(waited time.Duration) bool {
		late := waited >= patiencePlaylist
		at, _ := n.listed(name, late, 0)
		if at == "" {
			at = n.begins(name)
		}
		switch {
		case at != "":
			variant = n.variantOf(at)
			if before := n.stems.m[key]; n.called.m[at] == "" && before != "" && before != variant && !n.taken(before, at) {
				variant = before
				n.called.set(at, variant, 0)
			}
		case n.stems.m[key] != "":
			variant = n.stems.m[key]
		case late:
			variant = n.onlyVariant(name)
		}
		return variant != ""
	}, patiencePlaylist)
	if variant != "" {
		return variant, false
	}
	variant = variantOf(dateless(path.Dir(name)), dateless(mediaStem(name)))
	n.update(func() { n.stems.set(key, variant, 0) })
	return variant, true
}

// streamRest is how long nothing may have come of a stream for one of the same name in another directory, as of an encoder
// that was set up anew, to take its place.
const streamRest = 30 * time.Second

// streamVariant returns the name under which the tracks of a Streams() URL are known: its own, or, while a stream of the
// same name comes from another directory, that with the directory.
func (n *names) streamVariant(name, stream string, now time.Time) (variant string) {
	const streams = "|Streams|"
	dir := eventless(dateless(path.Dir(name)))
	key, own := dir+streams+stream, slug(stream)
	n.update(func() {
		defer func() { n.heard.set(variant, now, 0) }()
		if variant = n.stems.m[key]; variant != "" {
			return
		}
		variant = own
		for other, v := range n.stems.m {
			if v != own || !strings.Contains(other, streams) {
				continue
			}
			if now.Sub(n.heard.m[own]) < streamRest {
				variant = slug(dir + "-" + stream)
			} else {
				n.stems.remove(other)
			}
		}
		n.stems.set(key, variant, 0)
	})
	return variant
}

// eventless returns a directory without the Events(id) of Smooth Streaming's URLs ([MS-SSTR] 2.2.7.1): encoders have another id
// for every broadcast, and the tracks go on.
func eventless(dir string) string {
	var kept []string
	for part := range strings.SplitSeq(dir, "/") {
		if l := strings.ToLower(part); !strings.HasPrefix(l, "events(") || !strings.HasSuffix(l, ")") {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "/")
}

// alive notes that media of a variant came.
func (n *names) alive(variant string, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.live.set(variant, struct{}{}, 0)
	n.heard.set(variant, now, 0)
}

// hear notes that a stream goes on.
func (n *names) hear(variant string, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard.set(variant, now, 0)
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

// listed returns the path of the playlist that lists name, and how; "" when none does. ffmpeg lists segments that it puts
// into directories of their own (-strftime_mkdir, -hls_segment_filename) by their last element: such an entry, of a single
// playlist further up, is meant for name in directories with dates, and in others with loose, when no better one came. Only
// playlists after the first since count.
func (n *names) listed(name string, loose bool, since int) (at string, f listed) {
	dir, base := path.Dir(name), path.Base(name)
	loose = loose || dateless(dir) != dir
	found := 0
	for where, p := range n.playlists.m {
		if p.tale <= since {
			continue
		}
		for _, have := range p.files {
			switch {
			case have.name == name:
				return where, have
			case loose && path.Base(have.name) == base && path.Dir(have.name) == path.Dir(where) && below(where, dir):
				if found == 0 || at != where {
					found++
				}
				at, f = where, have
			}
		}
	}
	if found != 1 {
		return "", listed{}
	}
	return at, f
}

// below reports whether dir lies below the directory of at.
func below(at, dir string) bool {
	rel, ok := relative(at, dir)
	return ok && rel != "" && rel != "."
}

// begins returns the path of the playlist with the longest name that name begins with, up to its number.
func (n *names) begins(name string) (at string) {
	longest := 0
	for where := range n.playlists.m {
		stem := strings.TrimSuffix(where, path.Ext(where))
		rest, ok := strings.CutPrefix(strings.TrimSuffix(name, path.Ext(name)), stem)
		if ok && len(stem) > longest && rest != "" && strings.Trim(rest, digits+separators) == "" {
			at, longest = where, len(stem)
		}
	}
	return at
}

// onlyVariant returns the variant of an input that has one and one playlist, when name is like what that lists and changes
// with the time, in its directory or by a date: its playlist is late.
func (n *names) onlyVariant(name string) string {
	if len(n.playlists.m) != 1 {
		return ""
	}
	at := n.playlists.order[0]
	variant := n.variantOf(at)
	for _, m := range []map[string]string{n.stems.m, n.called.m} {
		for _, v := range m {
			if v != variant {
				return ""
			}
		}
	}
	dir := path.Dir(name)
	if _, ok := relative(at, name); !ok || dateless(name) == name && !below(at, dir) {
		return ""
	}
	for _, f := range n.playlists.m[at].files {
		inside := path.Dir(f.name)
		if dateless(mediaStem(f.name)) == dateless(mediaStem(name)) && (inside == path.Dir(at) || shape(inside) == shape(dir)) {
			return variant
		}
	}
	return ""
}

// overtakes is how much earlier than a file's upload its playlist may seem to come. ffmpeg sends a segment of MPEG-TS when it
// is made, and its playlist at the same instant.
const overtakes = 500 * time.Millisecond

// entry returns what a playlist says of a media file, waiting a little for it; zero when none lists it. since is what received
// returned when the file's upload began: where a file of the name was taken before, what older playlists say is of that one,
// which an encoder sent before it was restarted, unless one said it just when the upload began and that was a short one.
func (n *names) entry(ctx context.Context, name string, since int, began time.Time) (f listed) {
	short := time.Since(began) < overtakes
	n.until(ctx, func(waited time.Duration) bool {
		late, after := waited >= patiencePlaylist, 0
		if n.files.has(name) {
			if short {
				if _, f = n.listed(name, late, 0); f.seen.After(began.Add(-overtakes)) {
					return true
				}
			}
			after = since
		}
		var where string
		where, f = n.listed(name, late, after)
		return where != ""
	}, patiencePlaylist)
	return f
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
	n.files.set(name, struct{}{}, 0)
}

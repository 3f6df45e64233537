package playback

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
	"time"

	"headwater/origin/channel"
	"headwater/origin/timeline"
	"headwater/packager"
	"headwater/packager/media"
	"headwater/packager/smooth"
)

// warmKey says everything that the choice of a manifest depends on, so that for most requests no window is taken.
type warmKey struct {
	endpoint *channel.Endpoint // endpoints are immutable: another configuration is another pointer
	timeline *timeline.Timeline
	version  uint64 // of the timeline
	second   int64  // of now, where the window depends on it
	shift    shift
	host     string
	secure   bool
	proxied  bool
}

// manifestKey says everything that a rendered manifest depends on.
type manifestKey struct {
	endpoint *channel.Endpoint
	timeline *timeline.Timeline
	name     string
	base     string
	query    string
	timeURL  string
	window   uint64
}

// rendered is a manifest ready to be sent, with the values of its headers. It is shared by many answers and never changed.
type rendered struct {
	plain, packed                                       encoding
	gzip, varies                                        []string
	contentType, cacheControl, modified, last, lastTime []string
}

// encoding is one content coding of a manifest.
type encoding struct {
	body         []byte
	tag          string // entity tag with its quotes
	etag, length []string
}

func newEncoding(body []byte, tag string) encoding {
	tag = `"` + tag + `"`
	return encoding{body: body, tag: tag, etag: []string{tag}, length: []string{strconv.Itoa(len(body))}}
}

func (m *rendered) size() int64 { return int64(cap(m.plain.body)+cap(m.packed.body)) + 1024 }

func (h *Handler) manifest(w http.ResponseWriter, r *http.Request, q *request) error {
	key := warmKey{endpoint: q.endpoint, timeline: q.tl, version: q.tl.Version(), shift: q.shift, host: r.Host,
		secure: h.opt.Secure(r), proxied: proxied(r.Header)}
	if q.endpoint.TimeDelay > 0 || q.shift.shifted() {
		// Who shares a second shares a window.
		q.now = q.now.Truncate(time.Second)
		key.second = q.now.Unix()
	}
	found, err := h.warm.get(r.Context(), key, func() (manifestKey, error) {
		win, err := q.window()
		if err != nil {
			return manifestKey{}, err
		}
		return h.manifestKey(r, q, win), nil
	})
	if err != nil {
		return err
	}
	m, err := h.manifests.get(r.Context(), found, func() (*rendered, error) {
		win, err := q.window()
		if err != nil {
			return nil, err
		}
		q.options.TimeURL = found.timeURL
		return q.render(win)
	})
	if err != nil {
		return err
	}
	if n := h.opt.ActiveInput(q.ch.ID); n != 0 {
		w.Header()[activeInputHeader] = []string{strconv.Itoa(n)}
	}
	m.send(w, r)
	return nil
}

// activeInputHeader says on manifests which input feeds the channel now (reference mediapackage.md 3c). It is no part of a
// manifest: its entity tag stays. Media, which is kept for ever, does not say it: it would not be true for long.
const activeInputHeader = "X-Amzn-Mediapackage-Active-Input"

func (h *Handler) manifestKey(r *http.Request, q *request, win *packager.Window) manifestKey {
	key := manifestKey{endpoint: q.endpoint, timeline: q.tl, name: q.shift.name, base: q.shift.base, query: q.shift.query,
		window: identity(win)}
	if q.manifest.Type == channel.DASH && h.opt.TimePath != "" {
		key.timeURL = h.timeURL(r)
	}
	return key
}

// timeURL returns where DASH clients learn the time of day: absolute, since some resolve it against their page or not at
// all. By which name viewers reach us the configuration says, or the request does, which is only to be believed where no
// cache shows the answer to others: behind one we are called by a private name, or as a viewer likes. Then the path alone
// has to do, which newer players resolve against the MPD.
func (h *Handler) timeURL(r *http.Request) string {
	switch {
	case h.opt.PublicURL != "":
		return strings.TrimSuffix(h.opt.PublicURL, "/") + h.opt.TimePath
	case proxied(r.Header):
		return h.opt.TimePath
	case h.opt.Secure(r):
		return "https://" + r.Host + h.opt.TimePath
	}
	return "http://" + r.Host + h.opt.TimePath
}

// proxied reports whether a request came through a proxy or CDN, by the headers that those add.
func proxied(h http.Header) bool {
	for _, name := range [...]string{"Via", "X-Forwarded-For", "Forwarded", "X-Amz-Cf-Id"} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// window takes the window that the request asks for.
func (q *request) window() (*packager.Window, error) {
	win, err := q.tl.Window(timeline.Query{Now: q.now, Start: q.shift.start, End: q.shift.end, Length: q.endpoint.ManifestWindow,
		Startover: q.endpoint.StartoverWindow, Delay: q.endpoint.TimeDelay, Segment: q.endpoint.SegmentDuration})
	if err != nil {
		return nil, err
	}
	q.rate(win)
	if win.Live || q.options.LookAhead == 0 {
		return win, nil
	}
	// The newest fragments cannot be had before others follow them: until then the presentation is not over.
	for i := range win.Tracks {
		t := &win.Tracks[i]
		if !q.servable(t.ID, t.Last()) {
			win.Live = true
			break
		}
	}
	return win, nil
}

// rate leaves of the tracks' measured bitrates what the manifest shows. Those of a finished window are its own, so that it
// stays as it is while its channel goes on; a manifest that shows none is not another one because they have changed.
func (q *request) rate(win *packager.Window) {
	shown := q.resource.Kind == packager.Manifest && q.manifest.Type != channel.MSS
	for i := range win.Tracks {
		switch t := &win.Tracks[i]; {
		case !shown:
			t.Peak, t.Average = 0, 0
		case !win.Live:
			t.Peak, t.Average = measure(t)
		}
	}
}

// measure returns the bitrate of the largest segment in view and that of all together, bit/s.
func measure(t *packager.TrackWindow) (peak, average int) {
	var size, ticks int64
	for i := range t.Segments {
		s := &t.Segments[i]
		size, ticks = size+s.Size, ticks+s.Duration
		if s.Duration >= int64(t.Timescale)/shortest {
			peak = max(peak, int(media.At(s.Duration, t.Timescale).Rate(8*s.Size)))
		}
	}
	return peak, int(media.At(ticks, t.Timescale).Rate(8 * size))
}

// shortest is the part of a second under which the size of a segment says nothing of its bitrate, as for a live channel.
const shortest = 5

// render writes a manifest and packs it, with no lock held.
func (q *request) render(win *packager.Window) (*rendered, error) {
	v := packager.View{Window: win, Options: q.options, Base: q.shift.base, ManifestQuery: q.shift.query, SegmentQuery: q.shift.m}
	text, err := q.format.Render(v, q.resource)
	if err != nil {
		return nil, err
	}
	packed, err := pack(text)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(packed) // says as much as the text, and is a twentieth of it where that is long
	etag := hex.EncodeToString(sum[:8])
	return &rendered{
		plain: newEncoding(text, etag), packed: newEncoding(packed, etag+"-gz"),
		gzip: []string{"gzip"}, varies: []string{"Origin, Accept-Encoding"},
		contentType:  []string{q.format.ContentType(q.resource)},
		cacheControl: []string{cacheControl(classManifest, q.segmentDuration())},
		modified:     []string{win.Updated.UTC().Format(http.TimeFormat)},
		last:         []string{strconv.FormatInt(q.lastSequence(win), 10)},
		lastTime:     []string{strconv.FormatInt(win.Updated.UnixMilli(), 10)},
	}, nil
}

// packQuickly is the size from which speed matters more than the last percent: a day's playlist has 5 MB.
const packQuickly = 256 << 10

func pack(text []byte) ([]byte, error) {
	level := gzip.DefaultCompression
	if len(text) >= packQuickly {
		level = gzip.BestSpeed
	}
	var packed bytes.Buffer
	packed.Grow(len(text)/8 + 256)
	zip, err := gzip.NewWriterLevel(&packed, level)
	if err == nil {
		_, err = zip.Write(text)
	}
	if err == nil {
		err = zip.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("pack manifest: %w", err)
	}
	return packed.Bytes(), nil
}

// lastSequence returns the number of the newest segment that a manifest lists, its time where time names segments
// (reference mediapackage.md 3c).
func (q *request) lastSequence(win *packager.Window) int64 {
	t := &win.Tracks[0]
	for i := range win.Tracks {
		if len(q.resource.Tracks) > 0 && win.Tracks[i].ID == q.resource.Tracks[0] {
			t = &win.Tracks[i]
		}
	}
	switch last := t.Last(); {
	case q.manifest.Type == channel.MSS:
		if win.Live {
			last = t.Segments[max(0, len(t.Segments)-1-q.options.LookAhead)]
		}
		return smooth.Time(last.Start, t.Timescale)
	case q.options.TimeTemplate:
		return last.Start
	default:
		return last.Number
	}
}

// send answers GET and HEAD, conditionally.
func (m *rendered) send(w http.ResponseWriter, r *http.Request) {
	e := &m.plain
	packed := acceptsGzip(r.Header["Accept-Encoding"])
	if packed {
		e = &m.packed
	}
	h := w.Header()
	if v := h["Vary"]; len(v) == 1 && v[0] == "Origin" {
		h["Vary"] = m.varies // one line: some caches read only the first
	} else {
		h.Add("Vary", "Accept-Encoding")
	}
	h["Cache-Control"], h["Content-Type"], h["Etag"], h["Last-Modified"] = m.cacheControl, m.contentType, e.etag, m.modified
	h["X-Mediapackage-Manifest-Last-Sequence"], h["X-Mediapackage-Manifest-Last-Updated"] = m.last, m.lastTime
	if matches(r.Header["If-None-Match"], e.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if packed {
		h["Content-Encoding"] = m.gzip
	}
	h["Content-Length"] = e.length
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		if len(e.body) <= stride {
			_, _ = w.Write(e.body) // in the time that every answer has; a client that has left is nobody's error
			return
		}
		_, _ = newStrider(w).Write(e.body)
	}
}

// identity is equal for windows of which every manifest is equal. What a segment is never changes and numbers are unique
// in a track, so that first, last and count say which ones are in view; Parts and Updated follow from them.
func identity(w *packager.Window) uint64 {
	sum := fnv.New64a()
	buf := make([]byte, 0, 256)
	for i := range w.Tracks {
		t := &w.Tracks[i]
		first, last := t.Segments[0], t.Last()
		buf = append(append(append(append(buf, t.ID...), ' '), t.Language...), ' ')
		buf = append(strconv.AppendBool(strconv.AppendBool(buf, t.Default), t.Manual), ' ')
		buf = strconv.AppendUint(append(strconv.AppendQuote(buf, t.Name), ' '), uint64(t.Roles), 36)
		buf = append(buf, ' ')
		for _, n := range [...]int64{first.Number, first.Start, last.Number, last.End(), int64(len(t.Segments)), int64(t.Peak), int64(t.Average)} {
			buf = append(strconv.AppendInt(buf, n, 36), ' ')
		}
	}
	buf = strconv.AppendInt(append(strconv.AppendBool(strconv.AppendBool(buf, w.Live), w.Fixed), ' '), int64(w.TargetDuration), 36)
	buf = strconv.AppendInt(append(buf, ' '), int64(w.SegmentDuration), 36)
	buf = strconv.AppendInt(append(buf, ' '), w.Updated.UnixMilli(), 36)
	sum.Write(buf)
	return sum.Sum64()
}

// acceptsGzip reports whether Accept-Encoding takes gzip (RFC 9110 12.5.3): by name, else by "*".
func acceptsGzip(values []string) bool {
	byName, byStar := 0, 0 // 1: yes, -1: no
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			coding, params, _ := strings.Cut(part, ";")
			verdict := 1
			if zeroQuality(params) {
				verdict = -1
			}
			switch coding = strings.TrimSpace(coding); {
			case strings.EqualFold(coding, "gzip"), strings.EqualFold(coding, "x-gzip"):
				byName = verdict
			case coding == "*":
				byStar = verdict
			}
		}
	}
	return byName > 0 || byName == 0 && byStar > 0
}

// zeroQuality reports whether parameters of a coding say q=0.
func zeroQuality(params string) bool {
	name, value, ok := strings.Cut(strings.TrimSpace(params), "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(name), "q") {
		return false
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return err == nil && q == 0
}

// matches reports whether If-None-Match names the entity tag, which is given with its quotes (RFC 9110 13.1.2).
func matches(values []string, tag string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
			if part == "*" || part == tag {
				return true
			}
		}
	}
	return false
}

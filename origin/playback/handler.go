// Package playback answers GET and HEAD on origin endpoints: it takes a window of the channel's timeline, has the
// endpoint's format render it, and sets the headers that players and CDNs need.
//
// It does not decide who may play, write to the timeline, or know how bytes are stored. handler.go takes the window,
// cache.go holds the one table of caching headers.
package playback

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"headwater/origin/channel"
	"headwater/origin/reply"
	"headwater/origin/timeline"
	"headwater/packager"
	"headwater/packager/dash"
	"headwater/packager/hls"
	"headwater/packager/smooth"
	"headwater/storage"
)

// Source opens the stored bytes of a segment.
type Source interface {
	Open(ctx context.Context, id channel.ID, track string, start int64) (*storage.Object, error)
}

// Options of a Handler. Zero fields take the defaults named with them.
type Options struct {
	Now           func() time.Time
	ManifestBytes int64                    // memory for rendered manifests: 64 MiB
	SegmentBytes  int64                    // memory for repackaged segments: 256 MiB
	TimePath      string                   // path on the public listener that tells the time of day, for DASH clients
	Secure        func(*http.Request) bool // whether the client's side is HTTPS; nil: by r.TLS
}

// Handler serves what lies below /out/v1/{group}/{channel}/{endpoint}/. Create with New.
type Handler struct {
	source    Source
	opt       Options
	manifests *memo[manifestKey, *rendered]
	segments  *memo[string, []byte]
}

// New returns a Handler that reads media from source.
func New(source Source, opt Options) *Handler {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.ManifestBytes == 0 {
		opt.ManifestBytes = 64 << 20
	}
	if opt.SegmentBytes == 0 {
		opt.SegmentBytes = 256 << 20
	}
	return &Handler{source: source, opt: opt,
		manifests: newMemo[manifestKey](opt.ManifestBytes, func(r *rendered) int64 { return int64(len(r.plain)+len(r.packed)) + 512 }),
		segments:  newMemo[string](opt.SegmentBytes, func(b []byte) int64 { return int64(len(b)) + 256 })}
}

// request is one request on its way: parsed once, then it drives everything.
type request struct {
	ch       *channel.Channel
	endpoint *channel.Endpoint
	tl       *timeline.Timeline
	now      time.Time
	shift    shift
	resource packager.Resource
	format   packager.Format
	options  packager.Options
}

// Serve answers one request for rest, the decoded path below the endpoint. Access has been decided.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, ch *channel.Channel, e *channel.Endpoint, tl *timeline.Timeline, rest string) {
	q := &request{ch: ch, endpoint: e, tl: tl, now: h.opt.Now()}
	err := q.parse(rest, r, h.timeURL(r))
	if err == nil {
		switch q.resource.Kind {
		case packager.Manifest, packager.ChildManifest:
			err = h.manifest(w, r, q)
		case packager.Init:
			err = h.init(w, r, q)
		default:
			err = h.segment(w, r, q)
		}
	}
	if err != nil {
		reply.WriteError(w, r, err)
	}
}

// parse finds the endpoint's format that knows the name, and the manifest that it belongs to.
func (q *request) parse(rest string, r *http.Request, timeURL string) (err error) {
	if q.shift, err = parseShift(rest, r.URL.Query()); err != nil {
		return err
	}
	for _, m := range q.endpoint.Manifests {
		o := packager.Options{TimeTemplate: m.TimeTemplate, AudioGroups: q.endpoint.AudioGroups,
			LookAhead: q.endpoint.LookAhead, MPEGTS: q.endpoint.Container == channel.TS, TimeURL: timeURL}
		f := formatOf(m.Type, o)
		res, ok := f.Parse(q.shift.name)
		if ok && (res.Manifest == "" || res.Manifest == m.Name) {
			q.resource, q.format, q.options = res, f, o
			return nil
		}
	}
	return fmt.Errorf("%w: %s", reply.ErrNoEndpoint, q.shift.name)
}

// formatOf is the list of formats.
func formatOf(t channel.ManifestType, o packager.Options) packager.Format {
	switch t {
	case channel.DASH:
		return dash.Format{}
	case channel.MSS:
		return smooth.Format{}
	default:
		return hls.New(o)
	}
}

// timeURL returns the absolute URL of the time of day as the client reached us: players resolve it against their page,
// not against the MPD.
func (h *Handler) timeURL(r *http.Request) string {
	if h.opt.TimePath == "" {
		return ""
	}
	scheme := "http"
	if r.TLS != nil || h.opt.Secure != nil && h.opt.Secure(r) {
		scheme = "https"
	}
	return scheme + "://" + r.Host + h.opt.TimePath
}

func (q *request) query() timeline.Query {
	return timeline.Query{Now: q.now, Start: q.shift.start, End: q.shift.end, Length: q.endpoint.ManifestWindow,
		Startover: q.endpoint.StartoverWindow, Delay: q.endpoint.TimeDelay, Segment: q.endpoint.SegmentDuration}
}

// rendered is a manifest ready to be sent.
type rendered struct {
	plain, packed []byte // packed with gzip
	etag          string
	contentType   string
	modified      time.Time
	class         class
	last          string
}

// manifestKey says everything that a rendered manifest depends on.
type manifestKey struct {
	channel  channel.ID
	endpoint *channel.Endpoint // endpoints are immutable: another configuration is another pointer
	name     string
	base     string
	query    string
	timeURL  string
	window   uint64
}

func (h *Handler) manifest(w http.ResponseWriter, r *http.Request, q *request) error {
	win, err := q.tl.Window(q.query())
	if err != nil {
		return err
	}
	key := manifestKey{channel: q.ch.ID, endpoint: q.endpoint, name: q.shift.name, base: q.shift.base,
		query: q.shift.query, timeURL: q.options.TimeURL, window: identity(win)}
	m, err := h.manifests.get(key, func() (*rendered, error) { return h.render(q, win) })
	if err != nil {
		return err
	}
	etag := m.etag
	body := m.plain
	w.Header().Add("Vary", "Accept-Encoding")
	if acceptsGzip(r) {
		body, etag = m.packed, etag+"-gz"
		w.Header()["Content-Encoding"] = []string{"gzip"}
	}
	setHeaders(w.Header(), m.class, q.tl.Step(), m.contentType, etag, m.modified)
	w.Header()["X-Mediapackage-Manifest-Last-Sequence"] = []string{m.last}
	w.Header()["X-Mediapackage-Manifest-Last-Updated"] = []string{strconv.FormatInt(win.Updated.UnixMilli(), 10)}
	if matches(r, etag) {
		w.Header().Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that has left is nobody's error
	}
	return nil
}

// render writes a manifest and packs it, with no lock held.
func (h *Handler) render(q *request, win *packager.Window) (*rendered, error) {
	v := packager.View{Window: win, Options: q.options, Base: q.shift.base, ManifestQuery: q.shift.query, SegmentQuery: q.shift.m}
	text, err := q.format.Render(v, q.resource)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, err = zip.Write(text)
	if err == nil {
		err = zip.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("pack manifest: %w", err)
	}
	sum := fnv.New64a()
	sum.Write(text) //nolint:errcheck // a hash does not fail
	m := &rendered{plain: text, packed: packed.Bytes(), etag: strconv.FormatUint(sum.Sum64(), 16), modified: win.Updated,
		contentType: q.format.ContentType(q.resource), class: classManifest, last: strconv.FormatInt(win.Tracks[0].Last().Number, 10)}
	if !win.Live {
		m.class = classFinished
	}
	return m, nil
}

// identity is equal for windows of which every manifest is equal: what a window shows follows from its bounds.
func identity(w *packager.Window) uint64 {
	sum := fnv.New64a()
	buf := make([]byte, 0, 256)
	for i := range w.Tracks {
		t := &w.Tracks[i]
		last := t.Last()
		buf = append(buf, t.ID...)
		buf = append(buf, t.Language...)
		for _, n := range []int64{t.Segments[0].Number, last.Number, last.End(), int64(len(t.Segments)), int64(t.Peak), int64(t.Average)} {
			buf = strconv.AppendInt(append(buf, ' '), n, 36)
		}
	}
	buf = fmt.Appendf(buf, "|%v %v %d", w.Live, w.Fixed, w.TargetDuration)
	sum.Write(buf) //nolint:errcheck // a hash does not fail
	return sum.Sum64()
}

func acceptsGzip(r *http.Request) bool {
	for _, v := range r.Header["Accept-Encoding"] {
		for part := range strings.SplitSeq(v, ",") {
			coding, params, _ := strings.Cut(strings.TrimSpace(part), ";")
			if (coding == "gzip" || coding == "*") && !slices.Contains([]string{"q=0", "q=0.0"}, strings.TrimSpace(params)) {
				return true
			}
		}
	}
	return false
}

// matches reports whether If-None-Match names the entity tag (RFC 9110 13.1.2).
func matches(r *http.Request, etag string) bool {
	for _, v := range r.Header["If-None-Match"] {
		for part := range strings.SplitSeq(v, ",") {
			part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
			if part == "*" || part == `"`+etag+`"` {
				return true
			}
		}
	}
	return false
}

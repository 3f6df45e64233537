// Package playback answers GET and HEAD on origin endpoints: it takes a window of the channel's timeline, has the
// endpoint's format render it, and sets the caching headers that players and CDNs need.
//
// It does not decide who may play, answer for CORS, write to the timeline, or know how bytes are stored. handler.go is where
// a request enters, timeshift.go reads the window that it asks for, manifest.go takes it, cache.go holds the one table of
// caching headers.
package playback

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
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
	SegmentBytes  int64                    // memory for repackaged segments: 64 MiB
	TimePath      string                   // path on the public listener that tells the time of day, for DASH clients
	PublicURL     string                   // under which viewers reach the public listener, "" when that is not known
	Secure        func(*http.Request) bool // whether the client's side is HTTPS; nil: by r.TLS
	ActiveInput   func(channel.ID) int     // which input feeds a channel, 0 when that is not known; nil: never
	LookAheadWait time.Duration            // how long a Smooth fragment waits for those that it announces: 15 s
}

// Handler serves what lies below /out/v1/{group}/{channel}/{endpoint}/. Create with New.
type Handler struct {
	source    Source
	opt       Options
	warm      *memo[warmKey, manifestKey]
	manifests *memo[manifestKey, *rendered]
	asked     *memo[string, struct{}] // transport streams that were asked for
	segments  *memo[string, []byte]   // transport streams asked for again
	fragments *memo[string, moof]     // Smooth
	memory    buffers                 // of segments
	stopping  chan struct{}           // closed by Drain
	drain     sync.Once
}

// warmBytes is the memory for knowing which manifest answers which request, askedBytes for knowing which transport streams
// were asked for, moofBytes for the headers of fragments, and spareBytes for buffers that are between two uses.
const (
	warmBytes  = 4 << 20
	askedBytes = 1 << 20
	moofBytes  = 8 << 20
	spareBytes = 32 << 20
)

// renders is how many manifests are made at once, and windows taken for them. One of 24 hours takes some 8 MB until it is
// packed: with this many, about as much as is kept of finished ones.
const renders = 8

// New returns a Handler that reads media from source.
func New(source Source, opt Options) *Handler {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.ManifestBytes == 0 {
		opt.ManifestBytes = 64 << 20
	}
	if opt.SegmentBytes == 0 {
		opt.SegmentBytes = 64 << 20
	}
	if opt.Secure == nil {
		opt.Secure = func(r *http.Request) bool { return r.TLS != nil }
	}
	if opt.ActiveInput == nil {
		opt.ActiveInput = func(channel.ID) int { return 0 }
	}
	if opt.LookAheadWait == 0 {
		opt.LookAheadWait = lookAheadWait
	}
	h := &Handler{source: source, opt: opt, memory: buffers{limit: spareBytes}, stopping: make(chan struct{}),
		warm:      newMemo(warmBytes, func(k warmKey, _ manifestKey) int64 { return 1024 + int64(len(k.host)+3*len(k.shift.query)) }),
		manifests: newMemo(opt.ManifestBytes, func(_ manifestKey, r *rendered) int64 { return r.size() }),
		asked:     newMemo(askedBytes, func(k string, _ struct{}) int64 { return int64(2*len(k)) + 256 }),
		segments:  newMemo(opt.SegmentBytes, func(k string, b []byte) int64 { return int64(cap(b)+2*len(k)) + 256 }),
		fragments: newMemo(moofBytes, func(k string, m moof) int64 { return m.size() + int64(2*len(k)) + 256 })}
	h.segments.spare = h.memory.put
	h.manifests.slots = make(chan struct{}, renders)
	h.warm.slots = h.manifests.slots
	return h
}

// Drain ends the requests that wait for media, now and from now on. It returns at once.
func (h *Handler) Drain() { h.drain.Do(func() { close(h.stopping) }) }

// request is one request on its way: parsed once, then it drives everything.
type request struct {
	ch       *channel.Channel
	endpoint *channel.Endpoint
	tl       *timeline.Timeline
	now      time.Time
	shift    shift
	resource packager.Resource
	manifest channel.Manifest // that the resource belongs to, or one that knows its name
	format   packager.Format
	options  packager.Options
}

// Serve answers one request for rest, the decoded path below the endpoint. Access has been decided.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, ch *channel.Channel, e *channel.Endpoint, tl *timeline.Timeline, rest string) {
	q := &request{ch: ch, endpoint: e, tl: tl, now: h.opt.Now()}
	err := h.serve(w, r, q, rest)
	if err != nil {
		reply.WriteError(w, r, err)
	}
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, q *request, rest string) (err error) {
	var query url.Values
	if r.URL.RawQuery != "" {
		query = r.URL.Query()
	}
	if q.shift, err = parseShift(rest, query); err != nil {
		return err
	}
	if err := q.parse(); err != nil {
		return err
	}
	switch q.resource.Kind {
	case packager.Manifest, packager.ChildManifest:
		return h.manifest(w, r, q)
	case packager.Init:
		return h.init(w, r, q)
	default:
		return h.segment(w, r, q)
	}
}

// parse finds the endpoint's format that knows the name, and the manifest that it belongs to.
func (q *request) parse() error {
	for _, m := range q.endpoint.Manifests {
		o := packager.Options{TimeTemplate: m.TimeTemplate, AudioGroups: q.endpoint.AudioGroups,
			LookAhead: q.endpoint.LookAhead, MPEGTS: q.endpoint.Container == channel.TS}
		f := formatOf(m.Type, o)
		res, ok := f.Parse(q.shift.name)
		if ok && (res.Manifest == "" || res.Manifest == m.Name) {
			q.resource, q.manifest, q.format, q.options = res, m, f, o
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

// segmentDuration returns how long the endpoint's segments are: a whole multiple of the ingested ones.
func (q *request) segmentDuration() time.Duration {
	step, want := q.tl.Step(), q.endpoint.SegmentDuration
	if step <= 0 || want <= 0 {
		return step
	}
	return step * max(1, (want+step/2)/step)
}

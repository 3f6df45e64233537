package playback

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"headwater/origin/channel"
	"headwater/origin/reply"
	"headwater/origin/timeline"
	"headwater/packager"
	"headwater/packager/media"
	"headwater/packager/mpegts"
	"headwater/storage"
)

func (h *Handler) init(w http.ResponseWriter, r *http.Request, q *request) error {
	c, err := q.tl.Config(q.resource.Tracks[0], q.resource.Config)
	if err != nil {
		return err
	}
	res := q.resource
	if c.Width == 0 {
		res.Type = media.Audio
	}
	body := &content{}
	body.addBytes(c.Header)
	_ = q.send(w, r, res, answer{class: classImmutable, etag: c.ID}, body) // a client that has left is nobody's error
	return nil
}

func (h *Handler) segment(w http.ResponseWriter, r *http.Request, q *request) error {
	switch {
	case q.resource.Bitrate != 0:
		return h.smooth(w, r, q)
	case q.endpoint.Container == channel.TS:
		return h.ts(w, r, q)
	default:
		return h.cmaf(w, r, q)
	}
}

// cmaf sends stored segments as they are; a single one straight from its file.
func (h *Handler) cmaf(w http.ResponseWriter, r *http.Request, q *request) error {
	out, err := q.tl.Segment(keyOf(q.resource), q.endpoint.SegmentDuration)
	if err != nil {
		return err
	}
	res, seg := q.resource, out.Segment
	res.Type = out.Track.Kind
	a := answer{classImmutable, tag(seg.Hash), time.UnixMilli(seg.Arrived)}
	if q.unchanged(w, r, res, a) {
		return nil
	}
	body := &content{}
	if r.Method == http.MethodHead {
		body.size = seg.Size // nothing is read of it
	} else {
		stored, err := h.open(r.Context(), q.ch.ID, out)
		if err != nil {
			return err
		}
		defer stored.Close() //nolint:errcheck // read only
		body = &stored.content
	}
	_ = q.send(w, r, res, a, body) // a client that has left is nobody's error
	return nil
}

// answer is what is said of media beside its bytes.
type answer struct {
	class    class
	etag     string // without quotes
	modified time.Time
}

// send answers with a body, conditionally and in ranges as the request has it. The error is the client's leaving.
func (q *request) send(w http.ResponseWriter, r *http.Request, res packager.Resource, a answer, body *content) error {
	setMedia(w.Header(), a.class, q.format.ContentType(res), a.etag, a.modified)
	s := &sender{ResponseWriter: w, request: r, content: body}
	http.ServeContent(s, r, "", a.modified, body)
	return s.err
}

func keyOf(r packager.Resource) timeline.Key {
	return timeline.Key{Track: r.Tracks[0], Number: r.Number, Time: r.Time, ByTime: r.ByTime}
}

func tag(hash uint64) string { return strconv.FormatUint(hash, 16) }

// opened is the stored bytes of an output segment.
type opened struct {
	content
	objects []*storage.Object
}

func (o *opened) Close() error {
	var errs []error
	for _, obj := range o.objects {
		errs = append(errs, obj.Body.Close())
	}
	return errors.Join(errs...)
}

func (h *Handler) open(ctx context.Context, id channel.ID, out timeline.Output) (*opened, error) {
	o := &opened{}
	for _, s := range out.Stored {
		obj, err := h.source.Open(ctx, id, out.Track.ID, s.Start)
		if err != nil {
			_ = o.Close()
			if errors.Is(err, storage.ErrNotFound) {
				// It expired between the look at the timeline and now.
				err = fmt.Errorf("%w: %w", timeline.ErrGone, err)
			}
			return nil, err
		}
		o.objects = append(o.objects, obj)
		o.addObject(obj, 0, obj.Size)
	}
	return o, nil
}

// view returns an output segment with its stored bytes, for what needs them whole: a single one as it lies in the system's
// cache. They are there until release, if there was no error. Where the disk fails, reading them faults.
func (h *Handler) view(ctx context.Context, id channel.ID, out timeline.Output) (p packager.Piece, release func(), err error) {
	p = packager.Piece{Track: out.Track, Segment: out.Segment}
	body, err := h.open(ctx, id, out)
	if err != nil {
		return p, nil, err
	}
	defer body.Close() //nolint:errcheck // read only
	if len(body.objects) == 1 {
		p.Data, release, err = body.objects[0].Map()
		return p, release, err
	}
	data := h.memory.take(int(body.size))[:body.size]
	release = func() { h.memory.put(data) }
	if _, err := body.ReadAt(data, 0); err != nil {
		release()
		return p, nil, fmt.Errorf("%w: read segment %d of %s: %w", storage.ErrIO, out.Segment.Number, out.Track.ID, err)
	}
	p.Data = data
	return p, release, nil
}

// ts sends a segment remultiplexed into MPEG-TS, made once and kept for a while: one track, or a video with the audio
// that goes with it.
func (h *Handler) ts(w http.ResponseWriter, r *http.Request, q *request) error {
	outs, c, err := tsParts(q)
	if err != nil {
		return err
	}
	hash := uint64(1)
	for _, o := range outs {
		hash = hash*31 + o.Segment.Hash
	}
	a := answer{c, "ts" + tag(hash), time.UnixMilli(outs[0].Segment.Arrived)}
	if q.unchanged(w, r, q.resource, a) {
		return nil
	}
	// Others may wait for the same bytes: one client that leaves must not fail them.
	ctx, key := context.WithoutCancel(r.Context()), q.key(a.etag)
	body := &content{}
	if r.Method == http.MethodGet && r.Header["Range"] == nil && h.isNew(ctx, key) {
		mux, release, err := h.muxer(ctx, q.ch.ID, outs)
		if err != nil {
			return err
		}
		defer release()
		body.addMade(mux, mux.Size())
		err = mapped(func() error {
			_ = q.send(w, r, q.resource, a, body) // a client that has left is nobody's error
			return nil
		})
		if err != nil { // in the middle of the answer
			reply.Logger(ctx).Error("answer cut off", "path", r.URL.Path, "error", err)
			panic(http.ErrAbortHandler)
		}
		return nil
	}
	made, err := h.segments.hold(r.Context(), key, func() ([]byte, error) { return h.remultiplex(ctx, q.ch.ID, outs) })
	if err != nil {
		return err
	}
	body.addBytes(made.value)
	lost := true
	defer func() { h.segments.release(made, lost) }()
	// A connection that broke may hold on to what it was to send.
	lost = q.send(w, r, q.resource, a, body) != nil
	return nil
}

// isNew reports whether key is asked for the first time, or after a long while. Behind a CDN many segments are asked for
// once: they are made while they are sent, and kept only when they are wanted again.
func (h *Handler) isNew(ctx context.Context, key string) (first bool) {
	_, _ = h.asked.get(ctx, key, func() (struct{}, error) { // which does not fail
		first = true
		return struct{}{}, nil
	})
	return first
}

// muxer returns what makes a transport stream segment of outs, until release.
func (h *Handler) muxer(ctx context.Context, id channel.ID, outs []timeline.Output) (m *mpegts.Muxer, release func(), err error) {
	var pieces []packager.Piece
	var releases []func()
	all := func() {
		for _, r := range releases {
			r()
		}
	}
	defer func() {
		if m == nil { // after a panic too
			all()
		}
	}()
	for _, o := range outs {
		p, r, err := h.view(ctx, id, o)
		if err != nil {
			return nil, nil, err
		}
		pieces, releases = append(pieces, p), append(releases, r)
	}
	err = mapped(func() (err error) {
		m, err = mpegts.NewMuxer(pieces)
		return err
	})
	if errors.Is(err, mpegts.ErrCodec) {
		err = fmt.Errorf("%w: %w", packager.ErrNoTrack, err)
	}
	return m, all, err
}

// remultiplex makes a transport stream segment. It is of h.memory.
func (h *Handler) remultiplex(ctx context.Context, id channel.ID, outs []timeline.Output) ([]byte, error) {
	mux, release, err := h.muxer(ctx, id, outs)
	if err != nil {
		return nil, err
	}
	defer release()
	made := bytes.NewBuffer(h.memory.take(int(mux.Size())))
	err = mapped(func() error {
		_, err := mux.WriteTo(made)
		return err
	})
	return made.Bytes(), err
}

// mapped calls f, which reads mapped files. A fault, as where the disk fails, becomes storage.ErrIO.
func mapped(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if _, fault := p.(interface{ Addr() uintptr }); !fault {
			panic(p)
		}
		err = fmt.Errorf("%w: %v", storage.ErrIO, p)
	}()
	return f()
}

// tsParts returns what a segment is made of, and its class: a video may be asked for before its audio is there, after the
// timeline has stopped waiting for it. A part's configuration decides whether a transport stream can carry it.
func tsParts(q *request) ([]timeline.Output, class, error) {
	out, err := q.tl.Segment(keyOf(q.resource), q.endpoint.SegmentDuration)
	if err != nil {
		return nil, 0, err
	}
	if len(q.resource.Tracks) < 2 {
		return []timeline.Output{out}, classImmutable, nil
	}
	if out.Track.Kind != media.Video {
		return nil, 0, fmt.Errorf("%w: %s with another", timeline.ErrNoTrack, out.Track.ID)
	}
	from, to := media.At(out.Segment.Start, out.Track.Timescale), media.At(out.Segment.End(), out.Track.Timescale)
	audio, ok, err := q.tl.During(q.resource.Tracks[1], from, to)
	switch {
	case err != nil:
		return nil, 0, err
	case !ok:
		return []timeline.Output{out}, classPassing, nil
	case audio.Track.Kind != media.Audio:
		return nil, 0, fmt.Errorf("%w: %s beside a video", timeline.ErrNoTrack, audio.Track.ID)
	}
	c, last := classImmutable, audio.Stored[len(audio.Stored)-1]
	// By the middle of what would come next: audio ends within a frame of its video.
	if media.At(last.End()+last.Duration/2, audio.Track.Timescale).Before(to) {
		c = classPassing
	}
	return []timeline.Output{out, audio}, c, nil
}

// key names what is made of a segment. The entity tag says all that it depends on.
func (q *request) key(etag string) string { return q.ch.ID.String() + "/" + q.shift.name + "/" + etag }

// unchanged answers a client that has what a names, so that nothing need be opened or made.
func (q *request) unchanged(w http.ResponseWriter, r *http.Request, res packager.Resource, a answer) bool {
	if inm := r.Header["If-None-Match"]; len(inm) == 0 || !matches(inm, `"`+a.etag+`"`) {
		return false
	}
	setMedia(w.Header(), a.class, q.format.ContentType(res), a.etag, a.modified)
	w.WriteHeader(http.StatusNotModified)
	return true
}

package playback

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"headwater/origin/channel"
	"headwater/origin/reply"
	"headwater/origin/timeline"
	"headwater/packager"
	"headwater/packager/media"
	"headwater/packager/mpegts"
	"headwater/packager/smooth"
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
	setImmutable(w.Header(), q.format.ContentType(res), c.ID, time.Time{})
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(c.Header))
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
	etag, modified := tag(seg.Hash), time.UnixMilli(seg.Arrived)
	if unchanged(r, etag) {
		setImmutable(w.Header(), q.format.ContentType(res), etag, modified)
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	var content io.ReadSeeker
	if r.Method == http.MethodHead {
		content = io.NewSectionReader(nil, 0, seg.Size) // nothing is read of it
	} else {
		body, err := h.open(r.Context(), q.ch.ID, out)
		if err != nil {
			return err
		}
		defer body.Close() //nolint:errcheck // read only
		content = body.content
	}
	setImmutable(w.Header(), q.format.ContentType(res), etag, modified)
	http.ServeContent(w, r, "", modified, content)
	return nil
}

func keyOf(r packager.Resource) timeline.Key {
	return timeline.Key{Track: r.Tracks[0], Number: r.Number, Time: r.Time, ByTime: r.ByTime}
}

// unchanged reports whether the client has what etag (without quotes) names, so that nothing need be opened or made.
func unchanged(r *http.Request, etag string) bool {
	inm := r.Header["If-None-Match"]
	return len(inm) > 0 && matches(inm, `"`+etag+`"`)
}

func tag(hash uint64) string { return strconv.FormatUint(hash, 16) }

// opened is the stored bytes of an output segment.
type opened struct {
	content io.ReadSeeker
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
	}
	if len(o.objects) == 1 {
		o.content = o.objects[0].Body
		return o, nil
	}
	o.content = newChain(o.objects)
	return o, nil
}

// read returns the stored bytes of an output segment: repackaging needs them whole.
func (h *Handler) read(ctx context.Context, id channel.ID, out timeline.Output) (packager.Piece, error) {
	p := packager.Piece{Track: out.Track, Segment: out.Segment}
	body, err := h.open(ctx, id, out)
	if err != nil {
		return p, err
	}
	defer body.Close() //nolint:errcheck // read only
	p.Data = make([]byte, out.Segment.Size)
	if _, err := io.ReadFull(body.content, p.Data); err != nil {
		return p, fmt.Errorf("%w: read segment %d of %s: %w", storage.ErrIO, out.Segment.Number, out.Track.ID, err)
	}
	return p, nil
}

// ts sends a segment remultiplexed into MPEG-TS: one track, or a video with the audio that goes with it.
func (h *Handler) ts(w http.ResponseWriter, r *http.Request, q *request) error {
	outs, err := tsParts(q)
	if err != nil {
		return err
	}
	hash := uint64(1)
	for _, o := range outs {
		hash = hash*31 + o.Segment.Hash
	}
	return h.repackaged(w, r, q, "ts"+tag(hash), outs[0].Segment, func(ctx context.Context) ([]byte, error) {
		var pieces []packager.Piece
		for _, o := range outs {
			p, err := h.read(ctx, q.ch.ID, o)
			if err != nil {
				return nil, err
			}
			pieces = append(pieces, p)
		}
		data, err := mpegts.Segment(pieces)
		if errors.Is(err, mpegts.ErrCodec) {
			err = fmt.Errorf("%w: %w", packager.ErrNoTrack, err)
		}
		return data, err
	})
}

// tsParts returns what a segment is made of. A part's configuration decides whether a transport stream can carry it.
func tsParts(q *request) ([]timeline.Output, error) {
	out, err := q.tl.Segment(keyOf(q.resource), q.endpoint.SegmentDuration)
	if err != nil {
		return nil, err
	}
	if len(q.resource.Tracks) > 1 && out.Track.Kind != media.Video {
		return nil, fmt.Errorf("%w: %s with another", timeline.ErrNoTrack, out.Track.ID)
	}
	outs := []timeline.Output{out}
	if len(q.resource.Tracks) > 1 {
		from, to := media.At(out.Segment.Start, out.Track.Timescale), media.At(out.Segment.End(), out.Track.Timescale)
		audio, ok, err := q.tl.During(q.resource.Tracks[1], from, to)
		if err != nil {
			return nil, err
		}
		if ok && audio.Track.Kind != media.Audio {
			return nil, fmt.Errorf("%w: %s beside a video", timeline.ErrNoTrack, audio.Track.ID)
		}
		if ok {
			outs = append(outs, audio)
		}
	}
	return outs, nil
}

// smooth sends a fragment with the announcement of those that follow it; while they are missing it is too early.
func (h *Handler) smooth(w http.ResponseWriter, r *http.Request, q *request) error {
	tr, ok := q.tl.TrackByBitrate(q.resource.Type, q.resource.Bitrate)
	if !ok {
		return fmt.Errorf("%w: %s of %d bit/s", timeline.ErrNoTrack, q.resource.Type, q.resource.Bitrate)
	}
	at := media.At(q.resource.Time, smooth.TimeScale).Round(tr.Timescale)
	// Renditions of other timescales share one list of times, rounded.
	within := int64(tr.Timescale) / 1000
	out, err := q.tl.Segment(timeline.Key{Track: tr.ID, Time: at, Within: within, ByTime: true}, q.endpoint.SegmentDuration)
	if err != nil {
		return err
	}
	next := q.tl.Following(tr.ID, out.Segment.Number, q.endpoint.SegmentDuration, q.options.LookAhead)
	if len(next) < q.options.LookAhead && !q.abandoned(out.Segment) {
		return fmt.Errorf("%w: %d of %d", reply.ErrNoLookAhead, len(next), q.options.LookAhead)
	}
	hash := out.Segment.Hash
	for _, s := range next {
		hash = hash*31 + uint64(s.Start) ^ uint64(s.Duration)<<32
	}
	kind, write := "ism", smooth.Fragment
	if q.resource.Kind == packager.FragmentInfo {
		kind, write = "info", smooth.FragmentInfo
	}
	return h.repackaged(w, r, q, kind+tag(hash), out.Segment, func(ctx context.Context) ([]byte, error) {
		p, err := h.read(ctx, q.ch.ID, out)
		if err != nil {
			return nil, err
		}
		return write(p, next)
	})
}

// repackaged sends what produce makes, made once and kept for a while. The entity tag says all that it depends on.
func (h *Handler) repackaged(w http.ResponseWriter, r *http.Request, q *request, etag string, seg media.Segment,
	produce func(context.Context) ([]byte, error)) error {
	modified := time.UnixMilli(seg.Arrived)
	if !unchanged(r, etag) {
		key := q.ch.ID.String() + "/" + q.shift.name + "/" + etag
		// Others may wait for the same bytes: one client that leaves must not fail them.
		data, err := h.segments.get(key, func() ([]byte, error) { return produce(context.WithoutCancel(r.Context())) })
		if err != nil {
			return err
		}
		setImmutable(w.Header(), q.format.ContentType(q.resource), etag, modified)
		http.ServeContent(w, r, "", modified, bytes.NewReader(data))
		return nil
	}
	setImmutable(w.Header(), q.format.ContentType(q.resource), etag, modified)
	w.WriteHeader(http.StatusNotModified)
	return nil
}

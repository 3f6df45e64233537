package playback

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"headwater/origin/reply"
	"headwater/origin/timeline"
	"headwater/packager"
	"headwater/packager/cmaf"
	"headwater/packager/media"
	"headwater/packager/smooth"
	"headwater/storage"
)

// lookAheadWait is how long an answer is put off until the fragments that it announces are there. dash.js makes up its
// list of fragments from what each of them announces, asks for the next as soon as it is announced, and gives up for good
// after four refusals a second apart; a request it gives up after 20 s, a CDN after 30 s.
const lookAheadWait = 15 * time.Second

// lookAheadPatience is for how long what should follow a fragment may be overdue before its stream counts as ended. Within
// it a player that asks four times has not given up, so that it goes on with an encoder that comes back.
const lookAheadPatience = 30 * time.Second

// smooth sends a fragment with the announcement of those that follow it, and waits for them.
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
	next, err := h.following(r.Context(), q, out)
	if err != nil {
		return err
	}
	hash := out.Segment.Hash
	for _, s := range next {
		hash = hash*31 + uint64(s.Start) ^ uint64(s.Duration)<<32
	}
	kind := "ism"
	if q.resource.Kind == packager.FragmentInfo {
		kind = "info"
	}
	a := answer{classImmutable, kind + tag(hash), time.UnixMilli(out.Segment.Arrived)}
	if len(next) < q.options.LookAhead {
		a.class = classPassing // an encoder that comes back continues the track
	}
	return h.fragment(w, r, q, out, next, a)
}

// fragment sends a Smooth fragment: a header that is made once and kept for a while, then the stored sample data as it is.
func (h *Handler) fragment(w http.ResponseWriter, r *http.Request, q *request, out timeline.Output, next []media.Segment,
	a answer) error {
	if q.unchanged(w, r, q.resource, a) {
		return nil
	}
	ctx, body := context.WithoutCancel(r.Context()), &content{}
	var stored *opened // what this request opened, to make the header or to send
	defer func() {
		if stored != nil {
			_ = stored.Close() // read only
		}
	}()
	made, err := h.fragments.get(r.Context(), q.key(a.etag), func() (m moof, err error) {
		if stored, err = h.open(ctx, q.ch.ID, out); err != nil {
			return m, err
		}
		fragments, spans, err := cmaf.ReadIndex(stored, stored.size)
		if err != nil && !errors.Is(err, cmaf.ErrMalformed) {
			err = fmt.Errorf("%w: segment %d of %s: %w", storage.ErrIO, out.Segment.Number, out.Track.ID, err)
		}
		if err != nil {
			return m, err
		}
		header, err := smooth.Header(out.Track, out.Segment, fragments, next)
		return moof{header, spans}, err
	})
	if err != nil {
		return err
	}
	if q.resource.Kind == packager.FragmentInfo {
		body.addBytes(made.header[:len(made.header)-smooth.MdatHeader])
	} else {
		if stored == nil {
			if stored, err = h.open(ctx, q.ch.ID, out); err != nil {
				return err
			}
		}
		body.addBytes(made.header)
		for _, s := range made.samples {
			body.addSpan(&stored.content, s)
		}
	}
	_ = q.send(w, r, q.resource, a, body) // a client that has left is nobody's error
	return nil
}

// moof is what comes before the sample data of a Smooth fragment, and where that lies in the stored segment.
type moof struct {
	header  []byte
	samples []cmaf.Span
}

func (m moof) size() int64 { return int64(cap(m.header) + 16*cap(m.samples)) }

// following returns the fragments that one announces, after waiting for them; fewer only when the stream must have ended.
// Errors: reply.ErrNoLookAhead, reply.ErrStopping, or that of ctx.
func (h *Handler) following(ctx context.Context, q *request, out timeline.Output) ([]media.Segment, error) {
	patience := time.NewTimer(h.opt.LookAheadWait)
	defer patience.Stop()
	for {
		changed := q.tl.Changed()
		next := q.tl.Following(out.Track.ID, out.Segment.Number, q.endpoint.SegmentDuration, q.options.LookAhead)
		if len(next) >= q.options.LookAhead || q.abandoned(out.Segment) {
			return next, nil
		}
		select {
		case <-changed:
		case <-patience.C:
			return nil, fmt.Errorf("%w: %d of %d", reply.ErrNoLookAhead, len(next), q.options.LookAhead)
		case <-h.stopping:
			return nil, reply.ErrStopping
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// servable reports whether the fragments that a Smooth fragment announces are there, or will not come any more.
func (q *request) servable(track string, seg media.Segment) bool {
	return q.abandoned(seg) ||
		len(q.tl.Following(track, seg.Number, q.endpoint.SegmentDuration, q.options.LookAhead)) >= q.options.LookAhead
}

// abandoned reports whether what should follow a segment is so late that the stream must have ended.
func (q *request) abandoned(seg media.Segment) bool {
	announced := time.Duration(q.options.LookAhead) * q.segmentDuration()
	return q.now.After(time.UnixMilli(seg.Arrived).Add(announced + lookAheadPatience))
}

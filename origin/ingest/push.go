package ingest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"headwater/origin/ingest/demux"
	"headwater/packager/media"
)

// push is one upload of media: what it is part of, and what has come of it so far.
type push struct {
	*intake
	in     *input
	name   string          // path below the input, clean
	client context.Context // ends when the client leaves, or has sent everything and closes
	now    func() time.Time
	log    *slog.Logger

	lanes   map[*demux.Track]lane
	body    *patientBody
	encoder string // User-Agent
	dups    int    // copies dropped
}

// lane takes the fragments of one track of an upload.
type lane interface {
	// add takes a fragment and reads its body.
	add(ctx context.Context, f *demux.Fragment) error
	// close ends the lane: with whole, what is complete becomes visible, else what is open is dropped.
	close(ctx context.Context, whole bool) error
}

// mp4 receives a fragmented MP4 box stream: an init segment, media segments, or an endless stream of both.
func (p *push) mp4(ctx context.Context, lim demux.Limits) error {
	br := bufio.NewReaderSize(p.body, 32<<10)
	head, err := br.Peek(8)
	if len(head) == 0 && errors.Is(err, io.EOF) {
		return nil // a probe of the URL
	}
	var in *demux.Init
	if len(head) == 8 {
		switch string(head[4:]) {
		case "ftyp", "moov":
		default:
			if in, err = p.in.names.initFor(p.client, p.name); err != nil {
				return err
			}
		}
	}
	r := demux.NewMP4Reader(br, in, lim)
	defer p.closeAll(ctx, false)
	endless, empty := false, true
	for {
		ev, err := r.Next()
		empty = empty && ev.Init == nil && ev.Fragment == nil
		switch {
		case errors.Is(err, io.EOF) && empty:
			return fmt.Errorf("%w: %s holds neither an init segment nor a fragment", demux.ErrMalformed, p.name)
		case errors.Is(err, io.EOF):
			return p.closeAll(ctx, true)
		case err != nil:
			if endless {
				// The encoder is gone: keep what came whole.
				return errors.Join(fmt.Errorf("%s: %w", p.name, err), p.closeAll(ctx, true))
			}
			return fmt.Errorf("%s: %w", p.name, err)
		case ev.Init != nil:
			endless = true
			p.body.limit = 0
			if err := p.initArrived(ctx, ev.Init); err != nil {
				return err
			}
			in = ev.Init
		case ev.Fragment != nil:
			if err := p.fragment(ctx, in, ev.Fragment, endless); err != nil {
				return err
			}
		}
	}
}

// initArrived remembers an init segment, over a restart too: encoders do not send it again.
func (p *push) initArrived(ctx context.Context, in *demux.Init) error {
	if have := p.in.names.inited(p.name); have != nil && string(have.Raw) == string(in.Raw) {
		return nil
	}
	if err := p.keep(ctx, in.Raw); err != nil {
		return err
	}
	p.in.names.setInit(p.name, in)
	return nil
}

// fragment hands a fragment to the lane of its track.
func (p *push) fragment(ctx context.Context, in *demux.Init, f *demux.Fragment, endless bool) error {
	l := p.lanes[f.Track]
	if !p.claim(p.in.number, p.now()) {
		p.seen.Standby(p.id, p.in.number)
		return p.closeAll(ctx, true) // the reader skips the fragment's body
	}
	if l == nil {
		variant, err := p.variant(ctx)
		if err != nil {
			return err
		}
		tr, c, err := p.track(ctx, variant, f, len(in.Tracks) > 1)
		if err != nil {
			return err
		}
		l = p.lane(tr, c, endless)
		p.lanes[f.Track] = l
	}
	return l.add(ctx, f)
}

func (p *push) lane(tr media.Track, c *media.Config, endless bool) lane {
	file := &fileLane{push: p, track: tr, config: c}
	switch {
	case !endless:
		return file
	case tr.Kind == media.Video:
		return newVideoLane(file)
	default:
		return newAudioLane(file)
	}
}

// closeAll closes every lane once.
func (p *push) closeAll(ctx context.Context, whole bool) error {
	var errs []error
	for tr, l := range p.lanes {
		delete(p.lanes, tr)
		errs = append(errs, l.close(ctx, whole))
	}
	return errors.Join(errs...)
}

// ts receives one MPEG-TS segment.
func (p *push) ts(ctx context.Context, lim demux.Limits) error {
	frags, err := demux.ReadTS(p.body, lim)
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	if len(frags) == 0 {
		return nil
	}
	if !p.claim(p.in.number, p.now()) {
		p.seen.Standby(p.id, p.in.number)
		return nil
	}
	variant, err := p.variant(ctx)
	if err != nil {
		return err
	}
	defer p.closeAll(ctx, false)
	for i := range frags {
		f := &frags[i]
		tr, c, err := p.track(ctx, variant, f, true)
		if err != nil {
			return err
		}
		l := p.lane(tr, c, false)
		p.lanes[f.Track] = l
		if err := l.add(ctx, f); err != nil {
			return err
		}
	}
	return p.closeAll(ctx, true)
}

// variant returns the name under which the tracks of this upload are known.
func (p *push) variant(ctx context.Context) (string, error) {
	if name, ok := streamName(p.name); ok {
		return slug(name), nil
	}
	if at, sure := p.in.names.initKnown(p.name); sure {
		if s, ok := initStem(at); ok && s == mediaStem(p.name) {
			return variantOf(dirOf(p.name), s), nil
		}
	}
	v, fresh := p.in.names.variant(ctx, p.name)
	if fresh != "" {
		p.log.Debug("no playlist lists the segment: named by its path", "variant", v, "name", p.name)
		return v, p.in.rememberNames(ctx)
	}
	return v, nil
}

// track returns the track and the configuration in force for a fragment's elementary stream.
func (p *push) track(ctx context.Context, variant string, f *demux.Fragment, muxed bool) (media.Track, *media.Config, error) {
	d := f.Track
	tr := media.Track{ID: variant, Kind: d.Kind, Timescale: d.Timescale, Language: d.Language, Bitrate: d.Bitrate}
	if lang := p.in.names.language(variant); lang != "" && d.Kind == media.Audio {
		tr.Language = lang
	}
	if muxed {
		tr.ID = fmt.Sprintf("%s-%c", variant, d.Kind.String()[0])
		if d.Index > 0 {
			tr.ID = fmt.Sprintf("%s%d", tr.ID, d.Index+1)
		}
	}
	if dur := f.Duration(); tr.Bitrate == 0 && dur > 0 {
		size := int64(0)
		for i := range f.Samples {
			size += int64(f.Samples[i].Size)
		}
		tr.Bitrate = int(media.At(size*8*int64(d.Timescale)/dur, 1).Ticks+999) / 1000 * 1000
	}
	tr, err := p.tl.SetTrack(ctx, tr)
	if err != nil {
		return tr, nil, fmt.Errorf("%w: %w", demux.ErrUnsupported, err)
	}
	c, err := p.tl.SetConfig(ctx, tr.ID, d.Config)
	return tr, c, err
}

// stampOf returns the source time of a fragment.
func (p *push) stampOf(f *demux.Fragment) stamp {
	return stamp{Ticks: f.Time, Duration: f.Duration(), Scale: f.Track.Timescale, Wraps: f.Clock33, Raw: f.PTS, Usual: p.tl.Step()}
}

// accepted counts and tells of a segment that became visible.
func (p *push) accepted(tr media.Track, seg media.Segment, now time.Time) {
	p.took(1, p.encoder)
	p.seen.Segment(p.id, tr.ID, seg.Size, now.Sub(media.At(seg.End(), tr.Timescale).UTC()))
	p.log.Debug("segment", "track", tr.ID, "number", seg.Number, "start", media.At(seg.Start, tr.Timescale).UTC(),
		"duration", media.At(seg.Duration, tr.Timescale).Duration(), "bytes", seg.Size, "part", seg.Part)
}

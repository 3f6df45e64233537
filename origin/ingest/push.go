package ingest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"headwater/origin/ingest/demux"
	"headwater/origin/timeline"
	"headwater/packager/media"
)

// push is one upload of media: what it is part of, and what has come of it so far.
type push struct {
	*intake
	in      *input
	name    string // path below the input, clean
	encoder string // User-Agent
	body    *patientBody
	limits  demux.Limits
	now     func() time.Time
	log     *slog.Logger
	held    *share       // what of it waits in memory
	allowed func() error // asks again whether it may go on

	init    *demux.Init   // header in force
	endless bool          // the upload began with its header: it is a stream to be cut, not a file
	headed  bool          // that header came in this upload
	tale    int           // playlists that were received before this upload
	began   time.Time     // when it did
	timed   bool          // a track of the file was placed: its others go with that one
	anew    bool          // a track of the file is no copy though its place is taken
	left    bool          // the other input took over in the middle of a file
	feeds   bool          // its media is taken; guarded by the intake's mu
	stem    string        // of its name
	sample  *sample       // of a file that is left out
	filling atomic.Bool   // it goes where the other input's media is missing
	whole   time.Duration // of an MPEG-TS segment: its longest track. Another may have next to nothing in the first one
	lanes   map[*demux.Track]lane
	ongoing *ongoing // this upload among the endless ones, once media came
	stream  string   // variant of its tracks, at a Streams() URL
	of      string   // variant of its tracks, once media of them was taken
	final   bool     // its newest media is the last, as the brand lmsg says or an mfra box

	// Of MPEG-TS: see transport.go.
	lasting  bool      // nothing says how long the upload is
	muxed    bool      // it is MPEG-TS: each of its tracks has a name of its own
	segment  bool      // a segment, however long it is
	pictured bool      // an endless stream that has video, says its programme map
	lacks    bool      // packets: that was logged
	came     time.Time // when the fragment at hand came; zero: now

	writes []string // tracks that it counts as written to
}

// lane takes the fragments of one track of an upload.
type lane interface {
	// add takes a fragment and reads its body.
	add(ctx context.Context, f *demux.Fragment) error
	// close ends the lane: with whole, what is complete becomes visible, else what is open is dropped.
	close(ctx context.Context, whole bool) error
}

// mp4 receives a fragmented MP4 box stream: an init segment, media segments, or an endless stream of both.
func (p *push) mp4(ctx context.Context, br *bufio.Reader) error {
	head, err := br.Peek(8)
	if len(head) == 0 && errors.Is(err, io.EOF) {
		return nil // a probe of the URL
	}
	head = bytes.Clone(head)
	media := beginsMedia(br)
	if media {
		p.init, err = p.in.names.initFor(ctx, p.name, p.tl.Longest())
		if errors.Is(err, demux.ErrUnsupported) && isSparse(p.name) {
			return p.ignore()
		}
		if err != nil {
			return err
		}
	}
	if p.init != nil && len(p.init.Tracks) == 0 {
		return p.ignore()
	}
	r := demux.NewMP4Reader(br, p.init, p.limits)
	r.Charge(p.held)
	defer p.leave()
	defer p.closeAll(ctx, false) //nolint:errcheck // dropping does not fail
	for empty := true; ; empty = false {
		ev, err := r.Next()
		if errors.Is(err, io.EOF) && r.Ended() && (p.endless || empty && p.body.stream) {
			p.final, empty = true, false
		}
		switch {
		case errors.Is(err, io.EOF) && empty && p.onlyType(head):
			return nil // the first piece of a growing file: GStreamer may send no more of a header at first
		case errors.Is(err, io.EOF) && empty:
			return fmt.Errorf("%w: %s holds neither an init segment nor a fragment", demux.ErrMalformed, p.name)
		case errors.Is(err, io.EOF):
			p.keepSample()
			return errors.Join(p.closeAll(ctx, !p.endless || !p.covered(p.in.number, p.now())), p.ends(ctx))
		case errors.Is(err, demux.ErrUnsupported) && !media && !p.headed:
			refused := p.initRefused(ctx, err)
			if isSparse(p.name) {
				return errors.Join(refused, p.ignore())
			}
			err = errors.Join(err, refused)
		case err != nil:
		case ev.Init != nil:
			if err = p.initArrived(ctx, ev.Init); err == nil && len(ev.Init.Tracks) == 0 {
				return p.ignore()
			}
		default:
			p.final = ev.Last
			err = p.fragment(ctx, ev.Fragment)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", p.name, err), p.closeAll(ctx, p.keepsRest()))
		}
	}
}

// onlyType reports whether all that came of an upload that begins with head is a file type box.
func (p *push) onlyType(head []byte) bool {
	return len(head) == 8 && string(head[4:]) == "ftyp" && int64(binary.BigEndian.Uint32(head)) == p.body.count
}

// keepsRest reports whether what came whole is kept of an upload that broke off: of an endless stream, of a file nothing.
func (p *push) keepsRest() bool {
	return p.endless && !p.body.sentAgain() && !p.covered(p.in.number, p.now())
}

// beginsMedia reports whether what follows can be a media segment, which needs an init segment: it begins with a box that
// one may begin with (ISO/IEC 14496-12, 8.16) and that has room for its own header. All else is for the reader to judge.
func beginsMedia(br *bufio.Reader) bool {
	head, err := br.Peek(8)
	if err != nil {
		return false
	}
	switch string(head[4:]) {
	case "styp", "sidx", "moof", "prft", "emsg", "free", "skip", "uuid":
	default:
		return false
	}
	size := uint64(binary.BigEndian.Uint32(head))
	if size != 1 {
		return size >= 8
	}
	if head, err = br.Peek(16); err != nil {
		return false
	}
	size = binary.BigEndian.Uint64(head[8:])
	return size >= 16 && size <= math.MaxInt64
}

// initArrived remembers an init segment, over a restart too: encoders do not send it again.
func (p *push) initArrived(ctx context.Context, in *demux.Init) error {
	if p.init == in && p.headed {
		return nil // the header is repeated in the stream
	}
	if p.init != nil && p.init != in {
		// Other tracks begin: what the lanes hold of those before is complete.
		if err := p.closeAll(ctx, true); err != nil {
			return err
		}
	}
	p.init, p.endless, p.headed, p.body.limit = in, true, true, 0
	p.expect(in)
	if have := p.in.names.inited(p.name); have != nil && bytes.Equal(have.Raw, in.Raw) {
		p.in.names.sameInit(p.name)
		return nil
	}
	if err := p.keep(ctx, in.Raw); err != nil {
		return err
	}
	p.leftOut(LeftTracks, in.Ignored)
	return p.forget(ctx, p.in.names.setInit(p.name, in)...)
}

// initRefused remembers an init segment that nothing can be made of, instead of one that may have had its name.
func (p *push) initRefused(ctx context.Context, why error) error {
	had := p.in.names.inited(p.name) != nil
	p.in.names.refuseInit(p.name, why.Error())
	if !had {
		return nil
	}
	return p.forget(ctx, p.name)
}

// expect tells the timeline which tracks a header announces, where names say so: viewers wait for their media.
func (p *push) expect(in *demux.Init) {
	if name, ok := streamName(p.name); ok {
		variant := p.in.names.streamVariant(p.name, name, p.now())
		for _, d := range in.Tracks {
			if d.Kind != media.Metadata {
				p.tl.Expect(trackID(variant, d, !in.Alone(d)))
			}
		}
	}
}

// fragment hands a fragment to the lane of its track.
func (p *push) fragment(ctx context.Context, f *demux.Fragment) error {
	if err := p.allowed(); err != nil {
		return err
	}
	if f.Track.Kind == media.Metadata {
		if p.left {
			return nil
		}
		return p.beside(ctx, f)
	}
	now := p.now()
	p.brings(f.Track, now)
	if p.left {
		p.leaveOut(ctx, f)
		return nil // the reader skips the fragment's body
	}
	turn := p.claim(ctx, p.stampOf(f).onEpoch(now), now)
	if err := p.goesOn(ctx, turn == active, now); err != nil {
		return err
	}
	if turn == standby {
		p.leaveOut(ctx, f)
		return p.standBy(ctx)
	}
	p.filling.Store(turn == filling)
	if p.stream != "" {
		p.in.names.hear(p.stream, p.now())
	}
	l := p.lanes[f.Track]
	if p.unending(l) {
		p.endless, p.body.limit = true, 0
		if err := p.closeAll(ctx, true); err != nil {
			return err
		}
		l = nil
	}
	if l == nil {
		variant, muxed := p.variant(ctx), p.severed(f.Track)
		if turn == filling && !p.interchangeable(trackID(variant, f.Track, muxed), f.Track) {
			return p.standBy(ctx)
		}
		tr, c, err := p.track(ctx, variant, f, muxed)
		if err != nil {
			return err
		}
		if err := p.succeed(tr, f); err != nil {
			return err
		}
		l = p.lane(tr, c)
		p.lanes[f.Track], p.of = l, variant
	}
	p.in.ends.hear(p.of, p.name, now)
	if err := l.add(ctx, f); errors.Is(err, errApart) {
		p.leaveOut(ctx, f)
		return p.standBy(ctx)
	} else if err != nil {
		return err
	}
	if turn == filling {
		p.fills(now)
	}
	return nil
}

// severed reports whether a track of the upload has a name of its own, as others of the upload need theirs.
func (p *push) severed(d *demux.Track) bool { return p.muxed || !p.init.Alone(d) }

// standBy leaves out media of an input that is not the active one.
func (p *push) standBy(ctx context.Context) error {
	p.standsBy()
	p.left = !p.endless
	defer p.stopFeeding()
	return p.closeAll(ctx, p.endless)
}

// interchangeable reports whether what another input sends of a track can stand beside what the active one did.
func (p *push) interchangeable(id string, d *demux.Track) bool {
	tr, known := p.tl.Track(id)
	last, has := p.tl.Last(id)
	return known && has && tr.Timescale == d.Timescale && last.Config.ID == d.Config.ID
}

// longestFile is how much media one upload to a Streams() URL may hold and still be one segment. A stream whose header came
// in an upload of its own cannot be told from a segment by how it begins.
const longestFile = 20 * time.Second

func (p *push) unending(l lane) bool {
	file, ok := l.(*fileLane)
	if !ok || file.open == nil && !file.dropped && file.doubt == nil {
		return false
	}
	if _, stream := streamName(p.name); !stream {
		return false
	}
	long := media.At(file.until-file.from, file.track.Timescale).Duration()
	return long >= max(longestFile, 4*p.channel.Load().CutDuration())
}

func (p *push) lane(tr media.Track, c *media.Config) lane {
	file := &fileLane{push: p, track: tr, config: c}
	switch {
	case !p.endless:
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

// variant returns the name under which the tracks of this upload are known: of an endless one its own.
func (p *push) variant(ctx context.Context) string {
	name, stream := streamName(p.name)
	if !stream && p.endless && p.muxed {
		name, stream = strings.TrimSuffix(path.Base(p.name), path.Ext(p.name)), true // numbers in it are no segment's
	}
	if stream {
		p.stream = p.in.names.streamVariant(p.name, name, p.now())
		return p.stream
	}
	if at, sure := p.in.names.initKnown(p.name); sure {
		if s, ok := initStem(at); ok && s == mediaStem(p.name) {
			return variantOf(path.Dir(p.name), s)
		}
	}
	v, fresh := p.in.names.variant(ctx, p.name)
	if fresh {
		p.log.Debug("no playlist listed the segment: named by its path", "variant", v, "name", p.name)
	}
	return v
}

// track returns the track and the configuration in force for a fragment's elementary stream.
func (p *push) track(ctx context.Context, variant string, f *demux.Fragment, muxed bool) (media.Track, *media.Config, error) {
	d := f.Track
	tr := media.Track{ID: trackID(variant, d, muxed), Kind: d.Kind, Timescale: d.Timescale, Language: d.Language, Bitrate: bitrate(f)}
	p.tell(&tr, d, variant)
	set, err := p.setTrack(ctx, tr)
	if errors.Is(err, timeline.ErrChanged) {
		// An encoder that began again at another frame rate, say: what a track has stored cannot change, so there is a second.
		tr.ID = fmt.Sprintf("%s-%c%d", tr.ID, tr.Kind.String()[0], tr.Timescale)
		set, err = p.setTrack(ctx, tr)
	}
	if errors.Is(err, timeline.ErrChanged) {
		err = fmt.Errorf("%w: %w", demux.ErrUnsupported, err)
	}
	if err != nil {
		return tr, nil, err
	}
	tr = set
	c, err := p.tl.SetConfig(ctx, tr.ID, d.Config)
	if err != nil {
		return tr, nil, err
	}
	return tr, c, p.in.rememberNames(ctx, variant, p.now())
}

// trackID returns the ID of a track of a variant, which has others where it is muxed.
func trackID(variant string, d *demux.Track, muxed bool) string {
	switch {
	case !muxed:
		return variant
	case d.Index > 0:
		return fmt.Sprintf("%s-%c%d", variant, d.Kind.String()[0], d.Index+1)
	default:
		return fmt.Sprintf("%s-%c", variant, d.Kind.String()[0])
	}
}

// maxBitrate is the highest bitrate that a track is said to have, in bit/s, short of what a timeline takes so that it can
// still be made unique.
const maxBitrate = 2_000_000_000

// bitrate returns the bitrate of a fragment's track in bit/s: what the encoder declared, else what the fragment has, in
// whole kbit/s; 0 when it has no duration.
func bitrate(f *demux.Fragment) int {
	dur := f.Duration()
	if f.Track.Bitrate != 0 || dur <= 0 {
		return min(f.Track.Bitrate, maxBitrate)
	}
	bits := float64(sizeOf(f)) * 8 * float64(f.Track.Timescale) / float64(dur)
	return int(math.Ceil(min(bits, maxBitrate)/1000)) * 1000
}

// stampOf returns the source time of a fragment.
func (p *push) stampOf(f *demux.Fragment) stamp {
	return stamp{Ticks: f.Time, Duration: f.Duration(), Scale: f.Track.Timescale, Wraps: f.Clock33, Raw: f.PTS,
		Usual: max(p.tl.Longest(), p.whole), Headed: p.headed, Filling: p.filling.Load()}
}

// accepted counts and tells of a segment that became visible.
func (p *push) accepted(s *segment, seg media.Segment, now time.Time) {
	tr := s.track
	p.in.fed.set(tr.ID, now)
	p.took(s, seg, now)
	p.seen.Segment(p.id, tr.ID, seg.Size, now.Sub(media.At(seg.End(), tr.Timescale).UTC()))
	p.log.Debug("segment", "track", tr.ID, "number", seg.Number, "start", media.At(seg.Start, tr.Timescale).UTC(),
		"duration", media.At(seg.Duration, tr.Timescale).Duration(), "bytes", seg.Size, "part", seg.Part)
}

// standsBy counts and tells of an upload that is not needed while the other input is active.
func (p *push) standsBy() {
	protocol, m := p.protocol(), &p.meters[p.in.number-1]
	p.seen.Standby(p.id, p.in.number)
	m.hear(p.encoder, p.now())
	p.mu.Lock()
	defer p.mu.Unlock()
	m.protocol = string(protocol)
}

// dropSegment counts and tells of a segment of an endless stream that was not taken.
func (p *push) dropSegment(err error) {
	const reason = "overlap"
	p.seen.Rejected(p.id, reason)
	p.reject(p.in.number, refusal(p.name, reason, err, p.now()))
	p.falters(p.in.number, p.now())
	p.log.Warn("segment rejected", "reason", reason, "error", err)
}

// protocol is the kind of a push.
type protocol string

const (
	protocolTS   protocol = "hls-ts"
	protocolFMP4 protocol = "hls-fmp4"
	protocolDASH protocol = "dash"
	protocolCMAF protocol = "cmaf"

	protocolSmooth protocol = "smooth" // fragmented MP4 with a LiveServerManifest

	protocolTransport protocol = "mpeg-ts" // an endless stream
)

// words names the protocol for people.
func (p protocol) words() string {
	switch p {
	case protocolTransport:
		return "MPEG-TS"
	case protocolCMAF:
		return "CMAF"
	case protocolSmooth:
		return "Smooth Streaming"
	case protocolTS:
		return "HLS (TS)"
	case protocolFMP4:
		return "HLS (fMP4)"
	}
	return "DASH"
}

func (p *push) protocol() protocol {
	_, stream := streamName(p.name)
	switch {
	case p.muxed && p.endless:
		return protocolTransport
	case p.init != nil && p.init.Smooth:
		return protocolSmooth
	case stream:
		return protocolCMAF
	case p.muxed:
		return protocolTS
	case p.hls():
		return protocolFMP4
	}
	return protocolDASH
}

package timeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
	"headwater/storage"
	"headwater/storage/mem"
)

// noon is where most tests begin: seconds since the epoch, a multiple of 60.
const noon = 1_795_003_200

// tester is what *testing.T, *testing.B and *rapid.T have in common.
type tester interface {
	require.TestingT
	Helper()
}

// world is a channel under test and its journal.
type world struct {
	t       tester
	ctx     context.Context
	name    string
	opt     Options
	journal storage.Journal
	tl      *Timeline
	configs map[string]*media.Config
}

func newWorld(t tester, opt Options) *world {
	return newWorldOn(t, opt, mem.New(time.Now))
}

func newWorldOn(t tester, opt Options, j storage.Journal) *world {
	w := &world{t: t, ctx: context.Background(), name: "default/one", opt: opt, journal: j, configs: map[string]*media.Config{}}
	w.restart()
	return w
}

// restart replays the journal.
func (w *world) restart() {
	w.t.Helper()
	tl, err := Open(w.ctx, w.journal, w.name, w.opt)
	require.NoError(w.t, err)
	w.tl = tl
	for id := range w.configs {
		w.configs[id] = w.config(id)
	}
}

func (w *world) config(id string) *media.Config {
	w.t.Helper()
	c, err := w.tl.SetConfig(w.ctx, id, &media.Config{ID: "c0ffee00", Codec: "avc1.64001f", Header: []byte("header")})
	require.NoError(w.t, err)
	return c
}

// track adds a track; video where scale is not that of audio.
func (w *world) track(id string, kind media.Kind, scale uint32) {
	w.t.Helper()
	_, err := w.tl.SetTrack(w.ctx, media.Track{ID: id, Kind: kind, Timescale: scale, Bitrate: 1_000_000})
	require.NoError(w.t, err)
	w.configs[id] = w.config(id)
}

func (w *world) part(start media.Time) uint32 {
	w.t.Helper()
	p, err := w.tl.BeginPart(w.ctx, start)
	require.NoError(w.t, err)
	return p.Ordinal
}

// segment is one to append: ticks of the track, absolute.
func (w *world) segment(track string, start, end int64) Add {
	var part uint32
	if p, ok := w.tl.CurrentPart(); ok {
		part = p.Ordinal
	}
	return Add{Segment: media.Segment{Start: start, Duration: end - start, Size: (end - start) / 10, Hash: uint64(start), Arrived: end / 90,
		Part: part, Config: w.configs[track]}}
}

func (w *world) add(track string, start, end int64) (int64, error) {
	s, err := w.tl.Append(w.ctx, track, w.segment(track, start, end))
	return s.Number, err
}

func (w *world) must(track string, start, end int64) int64 {
	w.t.Helper()
	n, err := w.add(track, start, end)
	require.NoError(w.t, err)
	return n
}

// at returns ticks of 90 kHz, s seconds after noon.
func at(s float64) int64 { return noon*90000 + int64(s*90000) }

// clock returns the instant s seconds after noon.
func clock(s float64) time.Time {
	return time.Unix(noon, 0).Add(time.Duration(s * float64(time.Second))).UTC()
}

// simple is a channel with a video "v" of 2 s segments, from and to in seconds after noon.
func simple(t tester, from, to int) *world {
	w := newWorld(t, Options{})
	w.track("v", media.Video, 90000)
	w.part(media.At(at(float64(from)), 90000))
	w.video(from, to)
	return w
}

func (w *world) video(from, to int) {
	w.t.Helper()
	for s := from; s < to; s += 2 {
		w.must("v", at(float64(s)), at(float64(s+2)))
	}
}

// audio appends audio of 48 kHz to "a", cut at the frames nearest to multiples of 2 s.
func (w *world) audio(from, to int) {
	w.t.Helper()
	for s := from; s < to; s += 2 {
		w.must("a", frame(s), frame(s+2))
	}
}

func frame(s int) int64 { return ((noon+int64(s))*48000 + 512) / 1024 * 1024 }

// numbers returns the numbers of a track's stored segments.
func (w *world) numbers(track string) (out []int64) {
	for _, s := range w.tl.snap.Load().track(track).segments {
		out = append(out, s.Number)
	}
	return out
}

// view is what readers see of a timeline, for comparison.
func (w *world) view() string {
	s := w.tl.snap.Load()
	out := fmt.Sprintf("parts %v counted %v longest %v usual %v steps %v\n", s.parts, s.counted, s.longest.Duration(), s.usual, s.steps)
	for _, tr := range s.tracks {
		out += fmt.Sprintf("track %+v gone %d peak %d average %d configs %d\n", tr.Track, tr.gone.number, tr.peak, tr.average, len(tr.configs))
		for i, seg := range tr.segments {
			c := seg.Config
			seg.Config = nil
			out += fmt.Sprintf("%+v %s @%d\n", seg, c.ID, tr.positions[i])
		}
	}
	for _, tr := range w.tl.state.order {
		out += fmt.Sprintf("held %d gone %v\n", len(tr.held), tr.gone)
	}
	return out
}

var errDisk = errors.New("the disk is full")

// faulty is a journal of which some appends fail, as fail decides.
type faulty struct {
	storage.Journal
	fail func(stream string) bool
}

func (f *faulty) Append(ctx context.Context, stream string, records ...[]byte) (storage.Position, error) {
	if f.fail != nil && f.fail(stream) {
		return 0, errDisk
	}
	return f.Journal.Append(ctx, stream, records...)
}

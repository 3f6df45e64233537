package ingest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
	"headwater/origin/ingest/demux"
	"headwater/origin/reply"
	"headwater/origin/timeline"
	"headwater/packager/cmaf"
	"headwater/packager/media"
	"headwater/storage"
	"headwater/storage/mem"
)

var chID = channel.ID{Group: "g", Name: "c"}

// rig is a Handler over an engine in memory that can fail, with one channel. In a synctest bubble its clock is the bubble's.
type rig struct {
	tb      testing.TB
	engine  *mem.Engine
	faults  *faults
	channel *channel.Channel
	gone    error // instead of the channel
	options Options
	log     *slog.Logger
	tl      *timeline.Timeline
	h       *Handler

	mu   sync.Mutex
	seen map[string]int
}

func newRig(tb testing.TB, change ...func(*rig)) *rig {
	tb.Helper()
	g := &rig{tb: tb, engine: mem.New(time.Now), channel: &channel.Channel{ID: chID}, seen: map[string]int{},
		log: slog.New(slog.DiscardHandler)}
	g.faults = &faults{Driver: g.engine, Journal: g.engine}
	for _, f := range change {
		f(g)
	}
	g.restart()
	return g
}

// restart is what a server does that begins anew over the same storage.
func (g *rig) restart() {
	tl, err := timeline.Open(g.tb.Context(), g.faults, chID.String(), timeline.Options{})
	require.NoError(g.tb, err)
	g.tl = tl
	g.h = New(g, storage.New(g.faults, storage.Options{}), g, g.options)
}

func (g *rig) Resolve(channel.ID) (*channel.Channel, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.channel, g.gone
}

func (g *rig) Live(context.Context, channel.ID) (*channel.Channel, *timeline.Timeline, error) {
	return g.channel, g.tl, nil
}

func (g *rig) count(what string) { g.counts(what, 1) }

func (g *rig) counts(what string, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen[what] += n
}

func (g *rig) counted(what string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen[what]
}

func (g *rig) Received(channel.ID, int64)                               {}
func (g *rig) Segment(_ channel.ID, t string, _ int64, _ time.Duration) { g.count("segment " + t) }
func (g *rig) Duplicate(channel.ID, string)                             { g.count("duplicate") }
func (g *rig) Rejected(_ channel.ID, reason string)                     { g.count("rejected " + reason) }
func (g *rig) LeftOut(_ channel.ID, what string, n int)                 { g.counts("left "+what, n) }
func (g *rig) Standby(channel.ID, int)                                  { g.count("standby") }

// faults lets an engine fail.
type faults struct {
	storage.Driver
	storage.Journal
	mu      sync.Mutex
	full    bool
	journal error
	open    int // uploads neither committed nor aborted
}

func (f *faults) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *faults) Append(ctx context.Context, stream string, records ...[]byte) (storage.Position, error) {
	f.mu.Lock()
	err := f.journal
	f.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return f.Journal.Append(ctx, stream, records...)
}

func (f *faults) Create(ctx context.Context, key storage.Key, attrs storage.Attrs) (storage.Upload, error) {
	up, err := f.Driver.Create(ctx, key, attrs)
	if err == nil {
		f.set(func() { f.open++ })
	}
	return &faultyUpload{Upload: up, f: f}, err
}

type faultyUpload struct {
	storage.Upload
	f    *faults
	done bool
}

func (u *faultyUpload) Write(p []byte) (int, error) {
	u.f.mu.Lock()
	full := u.f.full
	u.f.mu.Unlock()
	if full {
		return 0, storage.ErrNoSpace
	}
	return u.Upload.Write(p)
}

func (u *faultyUpload) end() {
	u.f.set(func() {
		if !u.done {
			u.done = true
			u.f.open--
		}
	})
}

func (u *faultyUpload) Commit(ctx context.Context) (storage.Info, error) {
	u.end()
	return u.Upload.Commit(ctx)
}

func (u *faultyUpload) Abort() {
	u.end()
	u.Upload.Abort()
}

// table is what package origin says of the errors of demux.
func table() reply.Table {
	line := func(err error, status int, reason string) reply.Rule {
		return reply.Rule{Err: err, Answer: reply.Answer{Status: status, Type: "T", Reason: reason, Text: reason}}
	}
	return reply.Table{line(ErrStalled, 408, "stalled"), line(demux.ErrNoInit, 412, "no_init"), line(demux.ErrUnsupported, 415, "unsupported_media"),
		line(demux.ErrTooLarge, 413, "media_limit"), line(demux.ErrTruncated, 400, "truncated"), line(demux.ErrMalformed, 400, "malformed"),
		line(ErrBitrate, 429, "max_bitrate"), line(ErrRequestRate, 429, "max_request_rate"), line(ErrConcurrent, 429, "max_concurrent"),
		line(ErrTooManyTracks, 409, "max_tracks"), line(ErrAhead, 409, "too_far_ahead"), line(timeline.ErrOverlap, 409, "overlap"),
		line(channel.ErrNotFound, 404, "no_channel")}
}

func (g *rig) handler(input int) http.Handler {
	return reply.Requests(g.log, table())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.h.Serve(w, r, chID, input, strings.TrimPrefix(r.URL.Path, "/"))
	}))
}

func (g *rig) request(method string, input int, name string, body io.Reader) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	g.serve(w, method, input, name, body)
	return w
}

func (g *rig) serve(w http.ResponseWriter, method string, input int, name string, body io.Reader) {
	r := httptest.NewRequest(method, "/", body)
	r.URL = &url.URL{Path: "/" + name}
	r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
	g.handler(input).ServeHTTP(w, r)
}

// connection is an answer on a connection whose reads can be ended, as net/http's can.
type connection struct {
	*httptest.ResponseRecorder
	body *io.PipeReader
}

func (c connection) SetReadDeadline(t time.Time) error {
	if !t.After(time.Now()) {
		return c.body.CloseWithError(os.ErrDeadlineExceeded)
	}
	return nil
}

// put uploads to input 1 and returns the status.
func (g *rig) put(name string, parts ...[]byte) int {
	return g.request(http.MethodPut, 1, name, bytes.NewReader(bytes.Join(parts, nil))).Code
}

func (g *rig) accept(name string, parts ...[]byte) {
	g.tb.Helper()
	require.Equal(g.tb, http.StatusOK, g.put(name, parts...), name)
}

// cut is a body that breaks off.
func cut(b []byte) io.Reader { return io.MultiReader(bytes.NewReader(b), broken{}) }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// stream begins an endless upload. send hands over bytes, end ends it and returns the status.
func (g *rig) stream(input int, name string) (send func(...[]byte), end func(error) int) {
	r, w := io.Pipe()
	status := make(chan int, 1)
	go func() {
		answer := connection{httptest.NewRecorder(), r}
		g.serve(answer, http.MethodPost, input, name, r)
		status <- answer.Code
	}()
	g.tb.Cleanup(func() { _ = w.Close() })
	send = func(parts ...[]byte) {
		_, err := w.Write(bytes.Join(parts, nil))
		require.NoError(g.tb, err)
		synctest.Wait()
	}
	return send, func(err error) int { _ = w.CloseWithError(err); return <-status }
}

// segments returns what is visible of a track.
func (g *rig) segments(track string) []media.Segment {
	g.tb.Helper()
	return g.tl.Following(track, 0, 0, 10_000)
}

// clean requires that nothing is left open: no temporary upload and no reservation.
func (g *rig) clean() {
	g.tb.Helper()
	g.faults.set(func() { require.Zero(g.tb, g.faults.open, "uploads left open") })
}

// stored returns the fragments of a visible segment, which must be whole.
func (g *rig) stored(track string, s media.Segment) []cmaf.Fragment {
	g.tb.Helper()
	obj, err := g.engine.Open(g.tb.Context(), SegmentKey(chID, track, s.Start))
	require.NoError(g.tb, err)
	b, err := io.ReadAll(obj.Body)
	require.NoError(g.tb, err)
	require.Len(g.tb, b, int(s.Size))
	frags, err := cmaf.ReadSegment(b)
	require.NoError(g.tb, err)
	return frags
}

// source makes the media of one track: 25 pictures a second with a sync sample every gop pictures, or AAC.
type source struct {
	kind  media.Kind
	scale uint32
	frame uint32 // ticks
	gop   int
	size  int
	id    byte
	delay int32 // composition offset of every sample, ticks
}

func video(gop int) *source {
	return &source{kind: media.Video, scale: 12800, frame: 512, gop: gop, size: 100, id: 1}
}
func audio() *source {
	return &source{kind: media.Audio, scale: 48000, frame: 1024, gop: 1, size: 20, id: 1}
}

// spss are parameter sets of 320x192 and 640x384.
var spss = []string{"6742c00bda0a37e4c044000003000400000300c83c50aa80", "6742c01eda0280bfe5c044000003000400000300c83c58ba80"}

func initOf(tb testing.TB, sps string, sources ...*source) []byte {
	tb.Helper()
	init := mp4.CreateEmptyInit()
	for i, s := range sources {
		init.AddEmptyTrack(s.scale, s.kind.String(), "und")
		s.id = byte(i + 1)
		trak := init.Moov.Traks[i]
		if s.kind == media.Video {
			raw, err := hex.DecodeString(sps)
			require.NoError(tb, err)
			require.NoError(tb, trak.SetAVCDescriptor("avc1", [][]byte{raw}, [][]byte{{0x68, 0xce, 0x0f, 0xc8}}, true))
		} else {
			require.NoError(tb, trak.SetAACDescriptor(2, 48000))
		}
	}
	var b bytes.Buffer
	require.NoError(tb, init.Encode(&b))
	return b.Bytes()
}

func (s *source) init(tb testing.TB) []byte { return initOf(tb, spss[0], s) }

// frames returns the number of the frame that begins at seconds.
func (s *source) frames(seconds float64) int {
	return int(seconds*float64(s.scale)/float64(s.frame) + 0.5)
}

// fragment returns frames [from, to) as moof and mdat; zero is the decode time of frame 0.
func (s *source) fragment(zero int64, from, to int) []byte {
	f := cmaf.Fragment{Sequence: 1, DecodeTime: zero + int64(from)*int64(s.frame)}
	var data []byte
	for n := from; n < to; n++ {
		d := make([]byte, s.size)
		binary.BigEndian.PutUint32(d, uint32(s.size-4))
		d[4] = 0x41
		if n%s.gop == 0 {
			d[4] = 0x65
		}
		binary.BigEndian.PutUint32(d[5:], uint32(n))
		f.Samples = append(f.Samples, cmaf.Sample{Duration: s.frame, Size: uint32(s.size), Sync: n%s.gop == 0, CompositionOffset: s.delay})
		data = append(data, d...)
	}
	b, err := cmaf.AppendHeader(nil, f, s.kind)
	if err != nil {
		panic(err)
	}
	b[47] = s.id // track_ID of tfhd
	return append(b, data...)
}

// seconds returns the fragment of [from, to) seconds.
func (s *source) seconds(from, to float64) []byte {
	return s.fragment(0, s.frames(from), s.frames(to))
}

// regular requires segments of length that follow one another with numbers that do.
func regular(t testing.TB, segs []media.Segment, scale uint32, length time.Duration) {
	t.Helper()
	for i, s := range segs {
		require.Equal(t, length, media.At(s.Duration, scale).Duration(), "length of segment %d of %d", i, len(segs))
		if i > 0 {
			require.Equal(t, segs[i-1].End(), s.Start, "start of segment %d", i)
			require.Equal(t, segs[i-1].Number+1, s.Number)
		}
	}
}

// errEOF ends a stream as an encoder does, errCut as a network.
var (
	errEOF = io.EOF
	errCut = errors.New("connection reset by peer")
)

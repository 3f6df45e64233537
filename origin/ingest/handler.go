// Package ingest receives what encoders push over HTTP, maps it to the UTC axis, stores it as CMAF segments and appends
// them to the channel's timeline: object durable, then journal, then visible.
//
// An upload of MPEG-TS is a segment or an endless stream, as MPEG-TS tells neither. It is a segment when it says its length,
// when a playlist lists its name or such as differ from it in numbers only, and when it ends before more media came of it than
// a segment has: three of the channel's segments, or, where a number in its name may be a segment's, a minute. Any other is an
// endless stream and is cut from its beginning on (transport.go).
//
// It does not package for players or decide who may watch. handler.go is where a request enters, limits.go what a channel may
// push, sniff.go what an upload is; clock.go and session.go where time becomes UTC, drift.go and reanchor.go where an encoder's
// clock is followed; choice.go which input feeds the channel, align.go what two of them share, ends.go what they tell of their
// end; push.go and the lanes where bytes become segments, beside.go where metadata does.
package ingest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"headwater/origin/access"
	"headwater/origin/channel"
	"headwater/origin/ingest/demux"
	"headwater/origin/reply"
	"headwater/origin/timeline"
	"headwater/storage"
)

// Directory gives the channels that may be pushed to.
type Directory interface {
	// Resolve returns the channel that a push to id would reach, making nothing.
	Resolve(id channel.ID) (*channel.Channel, error)
	// Live returns the channel, made on first push where that is allowed, and its timeline.
	Live(ctx context.Context, id channel.ID) (*channel.Channel, *timeline.Timeline, error)
}

// Observer is told what happens, for metrics.
type Observer interface {
	Received(id channel.ID, bytes int64)
	Segment(id channel.ID, track string, bytes int64, lag time.Duration)
	Duplicate(id channel.ID, track string)
	Rejected(id channel.ID, reason string)
	Standby(id channel.ID, input int)
	LeftOut(id channel.ID, what string, n int) // LeftPackets, LeftTracks, LeftUploads or LeftDrift
}

// Options of a Handler. Zero fields take the defaults named with them.
type Options struct {
	Idle      time.Duration // longest silence of a body, and in which leastProgress must come, where the channel has no limit: 60 s
	MaxUpload int64         // bytes of one file where the channel has no limit; endless streams are not counted: 1 GiB
	HeldBytes int64         // bytes of uploads held in memory at once, of which a channel alone gets half: 256 MiB
	Limits    demux.Limits  // demux.DefaultLimits
	Now       func() time.Time
}

// Handler serves the ingest URLs below /in/v1/{group}/{1|2}/{channel}/ and /in/v2/{channel's GUID}/{input's GUID}/. Create
// with New.
type Handler struct {
	dir   Directory
	store *storage.Store
	seen  Observer
	opt   Options

	encoders *access.Encoders
	copies   *sync.Pool
	held     *budget
	drains   drains
	joins    joining

	mu         sync.Mutex
	channels   map[channel.ID]*intake
	strays     ring[stray]       // keptStrays
	challenged recent[time.Time] // when a request without credentials last came to an input, by its key
}

// New returns a Handler that stores in store.
func New(dir Directory, store *storage.Store, seen Observer, opt Options) *Handler {
	if opt.Idle == 0 {
		opt.Idle = channel.DefaultIdle
	}
	if opt.MaxUpload == 0 {
		opt.MaxUpload = channel.DefaultUpload
	}
	if opt.HeldBytes == 0 {
		opt.HeldBytes = 256 << 20
	}
	if opt.Limits == (demux.Limits{}) {
		opt.Limits = demux.DefaultLimits
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Handler{dir: dir, store: store, seen: seen, opt: opt, encoders: access.NewEncoders(), copies: newCopies(),
		held: newBudget(opt.HeldBytes), joins: joining{open: map[string]*joined{}},
		drains: drains{open: map[*patientBody]struct{}{}}, channels: map[channel.ID]*intake{},
		challenged: newRecent[time.Time](keptStrays, 0)}
}

// Drain ends the endless uploads under way and those that still come: what came whole of them is kept, and the answer is
// that of reply.ErrStopping. Files that are being uploaded may end. It returns at once.
func (h *Handler) Drain() { h.drains.begin() }

// Serve takes one request of an input known by its number. rest is what follows the channel in the URL, decoded, with any
// slashes.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, id channel.ID, number int, rest string) {
	h.serve(w, r, id, access.Door{Input: number, Began: h.opt.Now()}, rest)
}

// ServeV2 takes one request of an input known by its GUID. rest is what follows that in the URL, decoded, with any slashes.
func (h *Handler) ServeV2(w http.ResponseWriter, r *http.Request, id channel.ID, number int, guid, rest string) {
	h.serve(w, r, id, access.Door{Input: number, GUID: guid, Began: h.opt.Now()}, rest)
}

// ServeInner takes a request that the server itself makes for an input: who sent the body was let in elsewhere.
func (h *Handler) ServeInner(w http.ResponseWriter, r *http.Request, id channel.ID, number int, rest string) {
	h.serve(w, r, id, access.Door{Input: number, Inner: true, Began: h.opt.Now()}, rest)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, id channel.ID, by access.Door, rest string) {
	// What is refused unread is read by net/http, for a while.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.opt.Idle))
	// Before any byte of the body: "Expect: 100-continue" is answered by its first read.
	if err := h.allowed(r, id, by); err != nil {
		h.turnedAway(r, id, by.Input, rest, err)
		reply.WriteError(w, r, err)
		return
	}
	name, err := objectName(rest, r)
	if err != nil {
		reason := reply.Describe(r.Context(), err).Reason
		h.seen.Rejected(id, reason)
		h.rejected(id, by.Input, refusal(rest, reason, err, h.opt.Now()))
		reply.WriteError(w, r, err)
		return
	}
	leave, err := h.enter(r, id)
	var over *limitError
	switch {
	case errors.As(err, &over):
		h.overLimit(w, r, id, by.Input, name, over)
		return
	case err != nil:
		h.refuse(w, r, id, by.Input, name, h.body(w, r, id), err, h.log(r, id, by.Input, name))
		return
	}
	defer leave()
	switch {
	case (r.Method == http.MethodPut || r.Method == http.MethodPost) && r.Header.Get("Content-Range") != "":
		h.piece(w, r, id, by, name)
	case r.Method == http.MethodPut, r.Method == http.MethodPost:
		h.upload(w, r, id, by, name, h.body(w, r, id))
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		h.readBack(w, r, id, by.Input, name)
	case r.Method == http.MethodDelete:
		// A hint: what leaves an encoder's window stays in ours (reference ingest.md section 1, rule 13).
		h.body(w, r, id).drain()
		w.WriteHeader(http.StatusOK)
	default:
		h.body(w, r, id).drain()
		h.webDAV(w, r, id, by.Input, name)
	}
}

// turnedAway counts a request that may not push with wrong credentials. One that asks for a challenge, as encoders with a
// password begin, is only noted.
func (h *Handler) turnedAway(r *http.Request, id channel.ID, number int, rest string, err error) {
	answer := reply.Describe(r.Context(), err)
	if access.Presents(r) && !access.Begins(err) {
		h.seen.Rejected(id, answer.Reason)
		h.rejected(id, number, refusal(rest, answer.Reason, err, h.opt.Now()))
	} else if answer.Status == http.StatusUnauthorized && len(id.Group)+len(id.Name) <= maxName {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.challenged.set(pushedTo{id.String(), number}.key(), h.opt.Now(), 0)
	}
}

// allowed reports whether a request may push to a channel, as the configuration now in force has it.
func (h *Handler) allowed(r *http.Request, id channel.ID, by access.Door) error {
	ch, err := h.dir.Resolve(id)
	if err != nil {
		return err
	}
	if t := h.known(id); t != nil {
		t.gate.adopt(h.limitsOf(ch))
	}
	return h.encoders.Check(r, ch, by)
}

// upload receives a body and answers when what it made is durable.
func (h *Handler) upload(w http.ResponseWriter, r *http.Request, id channel.ID, by access.Door, name string, body *patientBody) {
	log := h.log(r, id, by.Input, name)
	_, body.stream = streamName(name)
	if !body.stream && r.ContentLength > body.limit {
		body.err = tooLarge(body.limit)
		h.refuse(w, r, id, by.Input, name, body, body.err, log)
		return
	}
	lasting := r.ContentLength < 0 || r.ContentLength > body.limit
	if lasting {
		defer h.drains.watch(body)()
	}
	held := &share{of: h.held, id: id}
	defer held.release()
	p := &push{name: name, encoder: r.UserAgent(), body: body, held: held, limits: h.opt.Limits, now: h.opt.Now, log: log,
		lanes: map[*demux.Track]lane{}, lasting: lasting, allowed: func() error { return h.allowed(r, id, by) }}
	err := h.receive(r, id, by.Input, p)
	h.seen.Received(id, body.count)
	err = body.explain(err)
	if body.count == 0 && unframed(r) {
		err = fmt.Errorf("%w: the body has neither a length nor chunks", reply.ErrBadRequest)
	}
	switch {
	case err == nil:
		p.meters[by.Input-1].took(p.encoder, h.opt.Now())
		body.drain()
		w.WriteHeader(http.StatusOK)
	case errors.Is(err, reply.ErrStopping):
		log.Info("upload ended: the server is stopping", "bytes", body.count, "error", err)
		w.Header().Set("Connection", "close")
		reply.WriteError(w, r, err)
	default:
		h.refuse(w, r, id, by.Input, name, body, err, log)
	}
}

// refuse counts an upload that was not taken, and answers it.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, id channel.ID, number int, name string, body *patientBody,
	err error, log *slog.Logger) {
	reason := reply.Describe(r.Context(), err).Reason
	h.seen.Rejected(id, reason)
	h.rejected(id, number, refusal(name, reason, err, h.opt.Now()))
	if t := h.known(id); t != nil {
		t.falters(number, h.opt.Now())
	}
	log.Warn("upload rejected", "reason", reason, "bytes", body.count, "client", r.RemoteAddr, "error", err)
	body.drain()
	retryAfter(w, err)
	reply.WriteKnown(w, r, err)
}

// log returns the logger of an upload.
func (h *Handler) log(r *http.Request, id channel.ID, input int, name string) *slog.Logger {
	return reply.Logger(r.Context()).With("channel", id.String(), "input", input, "name", name)
}

// unframed reports whether a request says nothing of its body's length, as of ffmpeg with -chunked_post 0: what follows is
// not its body for HTTP (RFC 9112 6.3), and all of it is lost.
func unframed(r *http.Request) bool {
	return r.ContentLength == 0 && len(r.TransferEncoding) == 0 && r.ProtoMajor == 1 && r.Header.Get("Content-Length") == ""
}

// receive finds out what is being uploaded and hands it to its receiver.
func (h *Handler) receive(r *http.Request, id channel.ID, number int, p *push) error {
	// Encoders close the connection after the last byte without waiting for the answer, which cancels the request's
	// context: what was received whole is stored all the same.
	ctx := context.WithoutCancel(r.Context())
	t, err := h.intake(ctx, id)
	if err != nil {
		return err
	}
	in, err := t.input(ctx, number)
	if err != nil {
		return err
	}
	p.intake, p.in, p.tale = t, in, in.names.received()
	p.began = time.Now()
	defer p.written()
	defer p.stopFeeding()
	if named := kindOf(p.name); (named == fileMP4 || named == fileOther) && in.names.looksLikeInit(p.name) {
		in.names.beginInit(p.name)
		defer in.names.endInit(p.name)
	}
	br := bufio.NewReaderSize(p.body, 32<<10)
	switch p.kind(br) {
	case filePlaylist, fileMPD, filePacked:
		return p.manifest(ctx, br)
	case fileTS:
		return p.ts(ctx, br)
	case fileMP4:
		return p.mp4(ctx, br)
	default:
		return p.ignore()
	}
}

// readBack answers an encoder that reads its playlist back (ffmpeg's append_list).
func (h *Handler) readBack(w http.ResponseWriter, r *http.Request, id channel.ID, number int, name string) {
	text, ok := h.text(id, number, name)
	if !ok {
		reply.WriteError(w, r, fmt.Errorf("%s: %w", name, storage.ErrNotFound))
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(text)
}

// text returns a playlist or MPD as an input received it last.
func (h *Handler) text(id channel.ID, number int, name string) ([]byte, bool) {
	t := h.known(id)
	if t == nil {
		return nil, false
	}
	in := t.opened(number)
	if in == nil {
		return nil, false
	}
	return in.names.text(name)
}

// intake returns the ingest side of a channel, with the channel's present settings.
func (h *Handler) intake(ctx context.Context, id channel.ID) (*intake, error) {
	ch, tl, err := h.dir.Live(ctx, id)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.channels[id]
	if t == nil || t.tl != tl {
		t = &intake{id: id, tl: tl, store: h.store, seen: h.seen, cuts: newCuts(), copies: h.copies, feed: newFeed(tl, h.opt.Now()),
			writing: writing{by: map[string]int{}}, inputs: map[int]*input{}, air: map[storage.Key]chan struct{}{},
			streams: map[string]*ongoing{}}
		for i := range t.meters {
			t.meters[i].tracks = map[string]*trackMeter{}
		}
		t.resumeActive()
		h.channels[id] = t
	}
	t.channel.Store(ch)
	t.gate.adopt(h.limitsOf(ch))
	return t, nil
}

// known returns the ingest side of a channel, nil when nothing was pushed to it since the server began.
func (h *Handler) known(id channel.ID) *intake {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.channels[id]
}

// rejected counts what was not taken of an input, for people.
func (h *Handler) rejected(id channel.ID, input int, r Refusal) {
	h.mu.Lock()
	t := h.channels[id]
	if t == nil && len(id.Group)+len(id.Name) <= maxName {
		h.strays.add(stray{pushedTo{id.String(), input}, r}, keptStrays)
	}
	h.mu.Unlock()
	if t != nil {
		t.reject(input, r)
	}
}

// Status returns what is known of a channel's inputs, for people.
func (h *Handler) Status(id channel.ID) (s Status, ok bool) {
	t := h.known(id)
	if t == nil {
		return s, false
	}
	return t.status(h.opt.Now()), true
}

// Active returns the active input of a channel, 0 when nothing was pushed to it since the server began.
func (h *Handler) Active(id channel.ID) int {
	t := h.known(id)
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.choice.active
}

// insideStream returns what stands between the parentheses of a DASH-IF ingest URL, "video.cmfv" of "Streams(video.cmfv)".
func insideStream(name string) (string, bool) {
	base := path.Base(name)
	if len(base) < len("Streams()") || !strings.EqualFold(base[:8], "Streams(") || !strings.HasSuffix(base, ")") {
		return "", false
	}
	return base[8 : len(base)-1], true
}

// streamName returns the track's name of a DASH-IF ingest URL, "video" of "Streams(video.cmfv)".
func streamName(name string) (string, bool) {
	base, ok := insideStream(name)
	if !ok {
		return "", false
	}
	if k := kindOf(base); k != fileMP4 {
		return base, true // a dot that is part of the name
	}
	return strings.TrimSuffix(base, path.Ext(base)), true
}

// Package demo is the built-in synthetic encoder: it pushes a looped test programme through the real HTTP ingest, as an
// epoch-locked CMAF encoder does (DASH-IF Live Media Ingest, Interface-1; reference/ingest.md section 3).
//
// The programme is ours and embedded: two video renditions with a running clock and one audio rendition, whose tone sounds
// on every UTC second. It encodes nothing, starts no server and reads no configuration.
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"
)

// SegmentDuration is the length of every segment on the epoch grid. Audio segments are cut at the frame nearest to it.
const SegmentDuration = 2 * time.Second

// Timing of the push.
const (
	backlog        = 20 * time.Second // media sent at once when the push begins, so that players start immediately
	giveUp         = 60 * time.Second // a segment that could not be delivered for this long is left out
	requestTimeout = 10 * time.Second
	firstRetry     = 200 * time.Millisecond // doubles with each failure
	lastRetry      = 2 * time.Second
)

// DefaultGroup and DefaultChannel name the channel that a demo pushes to.
const (
	DefaultGroup   = "demo"
	DefaultChannel = "clock"
)

// ErrRefused is returned when the server does not let the encoder in (401 or 403): trying again cannot help.
var ErrRefused = errors.New("demo: the server refuses the push")

// Options say where and how to push. Only BaseURL is required.
type Options struct {
	BaseURL       string           // of the public listener, such as "http://127.0.0.1:8080"
	Group         string           // DefaultGroup when empty
	Channel       string           // DefaultChannel when empty
	Client        *http.Client     // http.DefaultClient when nil
	Now           func() time.Time // time.Now when nil
	Logger        *slog.Logger     // discards when nil
	Authorization string           // value of the Authorization header; none when empty
}

// Run pushes the programme until ctx ends, one request per track and segment, each when the segment's end time has come.
// It begins with the last 20 s. A failed request is repeated, header first; a segment that stays undeliverable for a
// minute is left out, and the next keeps its place on the grid. Run returns nil when ctx ends and ErrRefused when
// credentials are wanting; all its goroutines have ended by then.
func Run(ctx context.Context, opt Options) error {
	base, err := url.Parse(opt.BaseURL)
	if err != nil || base.Host == "" {
		return fmt.Errorf("demo: base URL %q is not absolute", opt.BaseURL)
	}
	tracks, err := load()
	if err != nil {
		return err
	}
	opt = opt.withDefaults()
	push := base.JoinPath("in/v1", opt.Group, "1", opt.Channel)
	first := slot(opt.Now().Add(-backlog))
	group, ctx := errgroup.WithContext(ctx)
	led := make(chan struct{}) // closed when the first track's first segment is through
	for i, t := range tracks {
		p := &pusher{Options: opt, track: t, url: push.String() + "/Streams(" + t.name + ")"}
		if i == 0 {
			group.Go(func() error { return p.lead(ctx, first, led) })
			continue
		}
		group.Go(func() error { return p.follow(ctx, first, led) })
	}
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Group == "" {
		o.Group = DefaultGroup
	}
	if o.Channel == "" {
		o.Channel = DefaultChannel
	}
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// slot returns the number of the segment that holds t: whole segment durations since the epoch.
func slot(t time.Time) int64 { return t.UnixNano() / int64(SegmentDuration) }

// slotEnd returns when segment k is complete.
func slotEnd(k int64) time.Time { return time.Unix(0, (k+1)*int64(SegmentDuration)).UTC() }

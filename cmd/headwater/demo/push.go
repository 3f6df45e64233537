package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"headwater/packager/media"
)

// pusher sends one track. It is used by one goroutine.
type pusher struct {
	Options
	track *track
	url   string
	open  bool // the server has taken the header since the last failure
}

// lead runs the track that goes first: the receiver learns from video where segments begin and end, so audio must not
// outrun it when a backlog is sent at once. led is closed after the first segment.
func (p *pusher) lead(ctx context.Context, k int64, led chan<- struct{}) error {
	if err := p.deliver(ctx, k); err != nil {
		return err
	}
	close(led)
	return p.run(ctx, k+1)
}

// follow runs a track from the moment at which led is closed.
func (p *pusher) follow(ctx context.Context, k int64, led <-chan struct{}) error {
	select {
	case <-led:
		return p.run(ctx, k)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run sends segment k and all that follow it until ctx ends.
func (p *pusher) run(ctx context.Context, k int64) error {
	for ; ; k++ {
		if err := p.waitFor(ctx, slotEnd(k)); err != nil {
			return err
		}
		if err := p.deliver(ctx, k); err != nil {
			return err
		}
	}
}

// deliver sends segment k, again and again until the server takes it, finds fault with it, or it is too old.
func (p *pusher) deliver(ctx context.Context, k int64) error {
	body, err := p.track.segment(k)
	if err != nil {
		return err
	}
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		err := p.send(ctx, body)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrRefused):
			return err
		}
		p.open = false
		var fault faultError
		if errors.As(err, &fault) || p.Now().Sub(slotEnd(k)) > giveUp {
			p.Logger.Warn("demo: segment left out", "track", p.track.name, "segment", k, "error", err)
			return nil
		}
		p.Logger.Info("demo: push failed, trying again", "track", p.track.name, "segment", k, "error", err)
		if err := p.waitFor(ctx, p.Now().Add(retry)); err != nil {
			return err
		}
	}
}

// send puts the header, unless the server has it, and then a segment.
func (p *pusher) send(ctx context.Context, segment []byte) error {
	if !p.open {
		if err := p.put(ctx, p.track.header); err != nil {
			return fmt.Errorf("header: %w", err)
		}
		p.open = true
	}
	return p.put(ctx, segment)
}

// faultError is an answer that would be the same for the same bytes.
type faultError struct{ status string }

func (e faultError) Error() string { return e.status }

// put sends one request and judges the answer.
func (p *pusher) put(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, p.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "video/mp4")
	if p.track.kind == media.Audio {
		req.Header.Set("Content-Type", "audio/mp4")
	}
	req.Header.Set("User-Agent", "headwater-demo")
	req.Header.Set("DASH-IF-Ingest", "1.2")
	if p.Authorization != "" {
		req.Header.Set("Authorization", p.Authorization)
	}
	resp, err := p.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	status := strings.TrimSpace(resp.Status + " " + string(said))
	switch code := resp.StatusCode; {
	case code/100 == 2:
		return nil
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fmt.Errorf("%w: %s: %s", ErrRefused, p.url, status)
	case code/100 == 4 && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests && code != http.StatusTooEarly:
		return faultError{status}
	default:
		return errors.New(status)
	}
}

// waitFor returns when Now has reached t, at once if it has, or with ctx's error.
func (p *pusher) waitFor(ctx context.Context, t time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d := t.Sub(p.Now())
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

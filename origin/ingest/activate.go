package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"headwater/origin/channel"
)

// This file is where somebody chooses the active input.

// ErrInputSilent refuses to make an input active that sends nothing.
var ErrInputSilent = errors.New("the input has sent nothing lately")

// Activate makes an input the active one with its next media, and holds it, over a restart of the server too, until it falls
// silent and the other one takes over. Input 0 lets go: the active input stays what it is, and may be left for the preferred
// one. The channel must exist. Errors: ErrInputSilent, or the journal's.
func (h *Handler) Activate(ctx context.Context, id channel.ID, number int) error {
	if number != 0 && h.known(id) == nil {
		return fmt.Errorf("%w: input %d since the server began", ErrInputSilent, number)
	}
	t, err := h.intake(ctx, id)
	if err != nil {
		return err
	}
	if err := t.sends(number, h.opt.Now()); err != nil {
		return err
	}
	if err := t.feed.hold(ctx, t.tl, number); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.choice.held, t.choice.yields = number, false
	return nil
}

// sends returns an error when an input is silent; number 0 is none.
func (t *intake) sends(number int, now time.Time) error {
	if number == 0 {
		return nil
	}
	patience := t.patience()
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.choice.heard[number-1]) >= patience {
		return fmt.Errorf("%w: input %d within %s", ErrInputSilent, number, patience)
	}
	return nil
}

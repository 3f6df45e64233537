package timeline

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// endedKey is the key of the note of End.
const endedKey = "ended"

// End notes that what feeds the channel told, at a time, that it has ended: no more is to come, on purpose. With the zero time
// it goes on after all. Windows stay live either way; State tells it, also after a restart.
func (t *Timeline) End(ctx context.Context, at time.Time) error {
	if at.Equal(t.snap.Load().ended) {
		return nil
	}
	value, err := json.Marshal(at.UTC())
	if err != nil {
		return fmt.Errorf("timeline: encode end: %w", err)
	}
	return t.describe(ctx, func(*state) ([]byte, error) { return encodeNote(endedKey, value), nil }, func(s *state) { s.notes[endedKey] = value })
}

// Ended returns when what feeds the channel told that it has ended, zero while it goes on.
func (t *Timeline) Ended() time.Time { return t.snap.Load().ended }

// ended reads the note of End; one that cannot be read is as none.
func (s *state) ended() (at time.Time) {
	if raw := s.notes[endedKey]; raw != nil && json.Unmarshal(raw, &at) != nil {
		return time.Time{}
	}
	return at
}

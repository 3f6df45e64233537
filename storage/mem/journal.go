package mem

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"headwater/storage"
)

// Append adds records.
func (e *Engine) Append(ctx context.Context, name string, records ...[]byte) (storage.Position, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if name == "" {
		return 0, fmt.Errorf("journal append: %w: empty stream name", storage.ErrInvalidKey)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.streams[name]
	if s == nil {
		if len(records) == 0 {
			return 0, nil
		}
		s = &stream{first: 1}
		e.streams[name] = s
	}
	for _, record := range records {
		s.records = append(s.records, bytes.Clone(record))
	}
	return s.next() - 1, nil
}

// next is the position that the next record will have.
func (s *stream) next() storage.Position { return s.first + storage.Position(len(s.records)) }

// Read yields the records that are there when the iteration begins.
func (e *Engine) Read(ctx context.Context, name string, from storage.Position) iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(storage.Record{}, err)
			return
		}
		at, records := e.snapshot(name, from)
		for i, data := range records {
			if err := ctx.Err(); err != nil {
				yield(storage.Record{}, err)
				return
			}
			if !yield(storage.Record{Position: at + storage.Position(i), Data: slices.Clone(data)}, nil) {
				return
			}
		}
	}
}

// snapshot returns the records from position from, or from the oldest, and the position of the first of them. Append only
// writes behind what it returns.
func (e *Engine) snapshot(name string, from storage.Position) (storage.Position, [][]byte) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	s := e.streams[name]
	if s == nil || from >= s.next() {
		return 0, nil
	}
	from = max(from, s.first)
	return from, s.records[from-s.first:]
}

// Trim forgets records.
func (e *Engine) Trim(ctx context.Context, name string, before storage.Position) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.streams[name]
	if s == nil || before <= s.first {
		return nil
	}
	before = min(before, s.next())
	s.records = slices.Clone(s.records[before-s.first:]) // so that the rest can be collected
	s.first = before
	return nil
}

// Streams lists the names of streams in byte order.
func (e *Engine) Streams(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	return slices.Sorted(maps.Keys(e.streams)), nil
}

// Drop forgets a stream.
func (e *Engine) Drop(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.streams, name)
	return nil
}

package iprange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Source names a file of address ranges.
type Source struct {
	Name string
	File string
	// Services selects entries of a file in the format of AWS's ip-ranges.json, e.g. CLOUDFRONT_ORIGIN_FACING. With
	// none, the file is a plain list with one prefix per line.
	Services []string
}

// Sources are named sets of ranges that follow their files. Readers see an immutable snapshot and never wait; the
// writers (Set, Refresh, Run) take turns. Create with NewSources.
type Sources struct {
	log      *slog.Logger
	snapshot atomic.Pointer[map[string]*loaded]
	mu       sync.Mutex // held by writers
}

// loaded is a source as last read. Immutable.
type loaded struct {
	Source
	prefixes Prefixes
	stamp    stamp // of the file when it was last read, whether or not what it held was good
}

// stamp tells whether a file is still the one that was read.
type stamp struct {
	modified time.Time
	size     int64
}

// NewSources returns an empty set of sources that logs to log what happens to their files.
func NewSources(log *slog.Logger) *Sources {
	s := &Sources{log: log}
	s.snapshot.Store(&map[string]*loaded{})
	return s
}

// Set replaces all sources. Each file is read; if one cannot be used nothing changes, and every problem is reported.
func (s *Sources) Set(sources []Source) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[string]*loaded, len(sources))
	var problems []error
	for _, src := range sources {
		l, err := load(src)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if next[src.Name] != nil {
			problems = append(problems, fmt.Errorf("ip source %s is defined twice", src.Name))
		}
		next[src.Name] = l
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	s.snapshot.Store(&next)
	return nil
}

// Check reads the sources' files and reports every problem, without using them.
func Check(sources []Source) error { return NewSources(slog.New(slog.DiscardHandler)).Set(sources) }

// Contains reports whether any of the named sources holds the address. A name that does not exist holds nothing.
func (s *Sources) Contains(a netip.Addr, names ...string) bool {
	snapshot := *s.snapshot.Load()
	for _, name := range names {
		if l := snapshot[name]; l != nil && l.prefixes.Contains(a) {
			return true
		}
	}
	return false
}

// Has reports whether there is a source of that name.
func (s *Sources) Has(name string) bool { return (*s.snapshot.Load())[name] != nil }

// Refresh reads those files again that have changed since they were last read. What a good file held stays in force
// while the file is missing or bad; that is logged once per change of the file.
func (s *Sources) Refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := *s.snapshot.Load()
	next := make(map[string]*loaded, len(current))
	changed := false
	for name, l := range current {
		next[name] = s.refresh(l)
		changed = changed || next[name] != l
	}
	if changed {
		s.snapshot.Store(&next)
	}
}

// refresh returns l itself when its file has not changed.
func (s *Sources) refresh(l *loaded) *loaded {
	now := stat(l.File)
	if now == l.stamp {
		return l
	}
	fresh, err := load(l.Source)
	if err != nil {
		s.log.Error("ip source is bad, its last good ranges stay in force", "source", l.Name, "error", err)
		return &loaded{Source: l.Source, prefixes: l.prefixes, stamp: now}
	}
	s.log.Info("ip source read again", "source", l.Name, "ranges", fresh.prefixes.Len())
	return fresh
}

// Run calls Refresh every interval until ctx ends.
func (s *Sources) Run(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.Refresh()
		}
	}
}

// stat returns the stamp of a file, the zero stamp when there is none.
func stat(file string) stamp {
	info, err := os.Stat(file)
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime(), info.Size()}
}

// load reads one source.
func load(src Source) (*loaded, error) {
	l := &loaded{Source: src, stamp: stat(src.File)} // before reading: a change meanwhile is seen next time
	data, err := read(src.File)
	if err != nil {
		return nil, fmt.Errorf("ip source %s: %w", src.Name, err)
	}
	if len(src.Services) > 0 {
		l.prefixes, err = ParseAWS(data, src.Services)
	} else {
		l.prefixes, err = ParseList(data)
	}
	if err != nil {
		return nil, fmt.Errorf("ip source %s: reading %s: %w", src.Name, src.File, err)
	}
	return l, nil
}

// read returns a whole file of at most MaxFileBytes.
func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	if len(data) > MaxFileBytes {
		return nil, fmt.Errorf("reading %s: %w: more than %d bytes", file, ErrSyntax, MaxFileBytes)
	}
	return data, nil
}

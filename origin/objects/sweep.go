package objects

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"headwater/origin/container"
	"headwater/storage"
)

// Pace of a sweep. Objects are hidden on time whatever it is; this is about the disk.
const (
	sweepBatch = 1000             // objects looked at in one go
	sweepPoll  = 5 * time.Second  // between looks for what is due
	sweepPause = 20 * time.Second // between two passes through a container: transient objects go within a minute of their time
	sweepMost  = time.Hour        // between two passes, whatever was seen: clocks are set
)

// SweepOptions of a Sweep. All are required but Expired.
type SweepOptions struct {
	Containers func() []*container.Container
	Index      storage.Index
	Remover    storage.Remover                 // of the same engine
	Expired    func(*container.Container, int) // told how many objects were deleted
	Now        func() time.Time
	Log        *slog.Logger
}

// Sweep deletes objects that have expired. It goes through each container whose lifecycle policy lets objects expire, in
// batches, one of each container after the other, and rests as long as it works: the largest container holds up neither the
// others nor requests. When it is through it knows when the next object is due, and does not look again before. Create with
// NewSweep. For one goroutine.
type Sweep struct {
	opt    SweepOptions
	passes map[string]*pass // by container ID
}

// pass is a way through a container.
type pass struct {
	policy  string    // in force when it began
	since   time.Time // as Settings.LifecycleSince
	due     time.Time // when it begins
	began   time.Time // zero: not yet
	after   string    // where it goes on
	nearest time.Time // the earliest expiry to come of what it saw; zero: none
}

// NewSweep returns a Sweep.
func NewSweep(opt SweepOptions) *Sweep {
	if opt.Expired == nil {
		opt.Expired = func(*container.Container, int) {}
	}
	return &Sweep{opt: opt, passes: map[string]*pass{}}
}

// Run sweeps until ctx ends.
func (s *Sweep) Run(ctx context.Context) {
	for {
		began := time.Now()
		rest := sweepPoll
		if s.Round(ctx) {
			rest = time.Since(began)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
	}
}

// Round takes one batch of each container that is due, and reports whether there was any.
func (s *Sweep) Round(ctx context.Context) (worked bool) {
	passes := make(map[string]*pass, len(s.passes)) // without containers that are gone
	for _, c := range s.opt.Containers() {
		if !c.Expires() {
			continue
		}
		p := s.passes[c.ID]
		if p == nil || p.policy != c.Lifecycle || !p.since.Equal(c.LifecycleSince) {
			p = &pass{policy: c.Lifecycle, since: c.LifecycleSince}
		}
		passes[c.ID] = p
		if ctx.Err() == nil && !s.opt.Now().Before(p.due) {
			worked = true
			s.batch(ctx, c, p)
		}
	}
	s.passes = passes
	return worked
}

// batch takes the next objects of a container, and deletes those that have expired.
func (s *Sweep) batch(ctx context.Context, c *container.Container, p *pass) {
	now := s.opt.Now()
	if p.began.IsZero() {
		p.began = now
	}
	expired, more, err := s.look(ctx, c, p, now)
	deleted := 0
	for _, info := range expired {
		switch failed := s.opt.Remover.DeleteVersion(ctx, info); {
		case failed == nil:
			deleted++
		case !errors.Is(failed, storage.ErrNotFound): // it was not replaced, nor deleted by somebody else
			err = failed
			p.nearest = now // next time
		}
	}
	if deleted > 0 {
		s.opt.Expired(c, deleted)
	}
	if err != nil && ctx.Err() == nil {
		s.opt.Log.Error("objects: sweep", "container", c.Name, "error", err)
		p.due = now.Add(sweepPause)
	}
	if err == nil && !more {
		*p = p.next(c, s.opt.Now())
	}
}

// look returns which of the next objects have expired, and whether there are more behind them.
func (s *Sweep) look(ctx context.Context, c *container.Container, p *pass, now time.Time) (expired []storage.Info, more bool, err error) {
	seen := 0
	for info, err := range s.opt.Index.Attributed(ctx, c.ID, "", p.after) {
		if err != nil {
			return expired, false, err
		}
		if seen == sweepBatch {
			return expired, true, nil
		}
		seen++
		p.after = info.Key.Path
		fate := c.Fate(info.Key.Path, info.Modified)
		switch {
		case !fate.Expires:
		case !now.Before(fate.At):
			expired = append(expired, info)
		case p.nearest.IsZero() || fate.At.Before(p.nearest):
			p.nearest = fate.At
		}
	}
	return expired, false, nil
}

// next returns the pass that follows: when the first object is due of those that were seen, or may have been put since.
func (p *pass) next(c *container.Container, now time.Time) pass {
	age, _ := c.LeastLifetime()
	due := p.began.Add(age)
	if !p.nearest.IsZero() && p.nearest.Before(due) {
		due = p.nearest
	}
	if least := now.Add(sweepPause); due.Before(least) {
		due = least
	}
	if most := now.Add(sweepMost); due.After(most) {
		due = most
	}
	return pass{policy: p.policy, since: p.since, due: due}
}

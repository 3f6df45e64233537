package container

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"headwater/storage"
)

// stream is where the registry's records are in the journal: docs/formats/containers.md.
const stream = "containers"

// MaxContainers is how many containers there may be (reference 1.9), those of the configuration not counted.
const MaxContainers = 100

// compactAt is how many records are kept before those that are out of date are dropped.
const compactAt = 1000

// Options of a Registry.
type Options struct {
	Account  Account
	Extended bool                             // permit what MediaStore did not: lifetimes by seconds of any length
	Policies func(document, arn string) error // checks a container policy; an error's text names the statement
	Now      func() time.Time
}

// Registry holds the containers that exist: those of the configuration and those made by the API. What the API makes and
// changes is journaled before it is seen. Readers see immutable containers and never wait. Create with Open.
type Registry struct {
	opt     Options
	journal storage.Journal

	snapshot atomic.Pointer[snapshot]
	mu       sync.Mutex // held by writers, which are rare and write to the journal
	records  int        // in the journal
}

// snapshot is immutable, and so are the containers it points to.
type snapshot struct {
	byName, byID map[string]*Container
	list         []*Container // by name
}

// record is one entry of the journal: a container as it is now, or the name of one that is gone.
type record struct {
	Put     *Container `json:"put,omitempty"`
	Deleted string     `json:"deleted,omitempty"`
}

// Open returns the registry that the journal remembers.
func Open(ctx context.Context, j storage.Journal, opt Options) (*Registry, error) {
	r := &Registry{opt: opt, journal: j}
	byName := map[string]*Container{}
	for rec, err := range j.Read(ctx, stream, 0) {
		if err != nil {
			return nil, fmt.Errorf("container: replay: %w", err)
		}
		var e record
		if err := json.Unmarshal(rec.Data, &e); err != nil {
			return nil, fmt.Errorf("container: replay record %d: %w", rec.Position, err)
		}
		r.records++
		if e.Put == nil {
			delete(byName, e.Deleted)
			continue
		}
		if err := r.compile(e.Put, true); err != nil {
			return nil, fmt.Errorf("container: replay %s: %w", e.Put.Name, err)
		}
		e.Put.Status = Active // also of one whose removal was cut short
		byName[e.Put.Name] = e.Put
	}
	r.publish(byName)
	return r, nil
}

func (r *Registry) publish(byName map[string]*Container) {
	s := &snapshot{byName: byName, byID: make(map[string]*Container, len(byName))}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		c := byName[name]
		s.byID[c.ID], s.list = c, append(s.list, c)
	}
	r.snapshot.Store(s)
}

// Get returns a container by its name. Error: ErrNotFound.
func (r *Registry) Get(name string) (*Container, error) {
	if c, ok := r.snapshot.Load().byName[name]; ok {
		return c, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrNotFound, strings.Map(printable, name[:min(len(name), maxName)]))
}

func printable(c rune) rune {
	if c < ' ' || c > '~' {
		return '?'
	}
	return c
}

// ByID returns a container by the label of its endpoint.
func (r *Registry) ByID(id string) (*Container, bool) {
	c, ok := r.snapshot.Load().byID[id]
	return c, ok
}

// List returns all containers by name. The slice must not be modified.
func (r *Registry) List() []*Container { return r.snapshot.Load().list }

// Account returns the owner of all containers.
func (r *Registry) Account() Account { return r.opt.Account }

// Declaration is a container of the configuration.
type Declaration struct {
	Name          string
	AccessLogging bool
	Tags          []Tag
	Settings
}

// Declare puts the containers of the configuration in force, in place of those of the last time. One that the API made and
// that is declared now is the configuration's from then on; what is declared no more stays, as the API's, when it was the
// API's before. On error, which tells all problems, nothing has changed.
func (r *Registry) Declare(all []Declaration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := map[string]*Container{}
	for name, c := range r.snapshot.Load().byName {
		if !c.Configured {
			next[name] = c
		} else if c.beneath != nil {
			next[name] = c.beneath
		}
	}
	var problems []string
	declared := map[string]bool{}
	for _, d := range all {
		c := r.make(d.Name)
		c.Configured, c.AccessLogging, c.Settings, c.Created = true, d.AccessLogging, d.Settings, time.Time{}
		err := CheckName(d.Name)
		if err == nil {
			err = c.Tag(d.Tags)
		}
		if err == nil {
			err = r.compile(c, false)
		}
		if err == nil && declared[d.Name] {
			err = fmt.Errorf("%w: declared twice", ErrInvalid)
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("container %q: %v", d.Name, err))
		}
		declared[d.Name] = true
		if have := next[d.Name]; have != nil {
			c.beneath, c.Created = have, have.Created
		}
		next[d.Name] = c
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w: %s", ErrInvalid, strings.Join(problems, "; "))
	}
	r.publish(next)
	return nil
}

func (r *Registry) make(name string) *Container {
	arn := r.opt.Account.ARN(name)
	return &Container{ID: containerID(arn), Name: name, ARN: arn, Created: r.opt.Now().UTC().Truncate(time.Second), Status: Active}
}

// Create makes a container. Errors: ErrInvalid, ErrInUse, ErrLimit, or the journal's.
func (r *Registry) Create(ctx context.Context, name string, tags []Tag) (*Container, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	c := r.make(name)
	if err := c.Tag(tags); err != nil {
		return nil, err
	}
	if err := r.compile(c, false); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.snapshot.Load()
	if _, exists := s.byName[name]; exists {
		return nil, fmt.Errorf("%w: %s exists", ErrInUse, name)
	}
	own := 0
	for _, have := range s.list {
		if !have.Configured {
			own++
		}
	}
	if own >= MaxContainers {
		return nil, fmt.Errorf("%w: there are %d containers already", ErrLimit, MaxContainers)
	}
	return c, r.put(ctx, c)
}

// Change has a container changed by change, which gets a copy to work on. Errors: ErrNotFound, ErrConfigured, ErrInUse
// (it is being deleted), what change returns, ErrInvalid, or the journal's; nothing has changed then.
func (r *Registry) Change(ctx context.Context, name string, change func(*Container) error) (*Container, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	have, err := r.Get(name)
	if err != nil {
		return nil, err
	}
	if have.Configured {
		return nil, fmt.Errorf("%w: %s", ErrConfigured, name)
	}
	if have.Status != Active {
		return nil, fmt.Errorf("%w: Container must be ACTIVE in order to perform this operation", ErrInUse)
	}
	c := *have
	if err := change(&c); err != nil {
		return nil, err
	}
	if c.Lifecycle != have.Lifecycle {
		c.LifecycleSince = r.opt.Now().UTC()
	}
	if err := r.compile(&c, false); err != nil {
		return nil, err
	}
	return &c, r.put(ctx, &c)
}

// Delete removes a container that holds nothing, as empty tells. From the moment at which empty is asked until the end nothing
// can be put into it. Errors: ErrNotFound, ErrConfigured, ErrInUse (it holds objects), empty's, or the journal's.
func (r *Registry) Delete(ctx context.Context, name string, empty func(*Container) (bool, error)) error {
	c, err := r.Change(ctx, name, func(c *Container) error { c.Status = Deleting; return nil })
	if err != nil {
		return err
	}
	none, err := empty(c)
	if err == nil && !none {
		err = fmt.Errorf("%w: %s is not empty", ErrInUse, name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		back := *c
		back.Status = Active
		return joinErr(err, r.put(ctx, &back))
	}
	return r.write(ctx, record{Deleted: name}, func(byName map[string]*Container) { delete(byName, name) })
}

func joinErr(err, other error) error {
	if other != nil {
		return fmt.Errorf("%w; and %w", err, other)
	}
	return err
}

// put journals and shows a container. The caller holds mu.
func (r *Registry) put(ctx context.Context, c *Container) error {
	return r.write(ctx, record{Put: c}, func(byName map[string]*Container) { byName[c.Name] = c })
}

func (r *Registry) write(ctx context.Context, rec record, apply func(map[string]*Container)) error {
	raw, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("container: encode: %w", err)
	}
	if _, err := r.journal.Append(ctx, stream, raw); err != nil {
		return fmt.Errorf("container: append: %w", err)
	}
	r.records++
	next := maps.Clone(r.snapshot.Load().byName)
	apply(next)
	r.publish(next)
	if r.records >= compactAt {
		return r.compact(ctx)
	}
	return nil
}

// compact writes what is true now once more and drops all that stood before.
func (r *Registry) compact(ctx context.Context) error {
	var records [][]byte
	for _, c := range r.snapshot.Load().list {
		if c.Configured {
			if c = c.beneath; c == nil {
				continue
			}
		}
		raw, err := json.Marshal(record{Put: c})
		if err != nil {
			return fmt.Errorf("container: encode: %w", err)
		}
		records = append(records, raw)
	}
	if len(records) == 0 {
		records = append(records, []byte(`{"deleted":""}`))
	}
	last, err := r.journal.Append(ctx, stream, records...)
	if err != nil {
		return fmt.Errorf("container: append: %w", err)
	}
	r.records = len(records)
	return r.journal.Trim(ctx, stream, last+1-storage.Position(len(records)))
}

// compile checks what was put on a container and makes it ready for use; stored says that it was accepted once.
func (r *Registry) compile(c *Container, stored bool) error {
	c.rules = nil
	if c.Lifecycle != "" {
		rules, err := parseLifecycle(c.Lifecycle, r.opt.Extended || stored)
		if err != nil {
			return err
		}
		c.rules = rules
	}
	if c.CORS != nil {
		if err := checkCORS(c.CORS); err != nil {
			return err
		}
	}
	if c.Metric != nil {
		if err := checkMetric(c.Metric); err != nil {
			return err
		}
	}
	if c.Policy != "" && r.opt.Policies != nil {
		if err := r.opt.Policies(c.Policy, c.ARN); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return nil
}

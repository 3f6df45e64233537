package channel

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
)

// Errors that a Registry returns (wrapped) and a caller can match.
var (
	ErrNotFound = errors.New("no such channel")   // HTTP 404
	ErrTooMany  = errors.New("too many channels") // HTTP 429

	ErrSharedKey = errors.New("the stream key is of several channels") // HTTP 403
)

// DefaultMax is how many channels a registry lets appear on first push.
const DefaultMax = 1000

// Template makes the channel that appears when something is pushed to an ID that is not configured. It is pure.
type Template func(ID) Channel

// Registry holds the channels that exist: those configured, and those that appeared on first push. Readers see an
// immutable snapshot and never wait; writers take turns. Create with NewRegistry.
type Registry struct {
	snapshot atomic.Pointer[snapshot]
	mu       sync.Mutex // held by writers
}

// snapshot is immutable, and so are the channels it points to.
type snapshot struct {
	byID       map[ID]*Channel
	list       []*Channel                     // by group, then name
	byGUID     map[string]*Channel            // V2.ID
	byKey      map[[sha256.Size]byte]*Channel // hash of a token; nil: of several channels
	configured map[ID]bool
	template   Template // nil: channels do not appear on first push
	max        int
}

// NewRegistry returns a registry without channels that lets none appear; Replace fills it.
func NewRegistry() *Registry {
	r := &Registry{}
	r.snapshot.Store(&snapshot{})
	return r
}

// Get returns a channel that exists. The channel must not be modified.
func (r *Registry) Get(id ID) (*Channel, bool) {
	ch, ok := r.snapshot.Load().byID[id]
	return ch, ok
}

// Find returns the channel and the number of its input that are known by these GUIDs; a channel that appeared on first push
// has none. Errors: ErrNotFound.
func (r *Registry) Find(guid, input string) (*Channel, int, error) {
	if ch, ok := r.snapshot.Load().byGUID[guid]; ok {
		for i := range ch.V2.Inputs {
			if ch.V2.Inputs[i].ID == input {
				return ch, i + 1, nil
			}
		}
	}
	return nil, 0, fmt.Errorf("no input %s of a channel %s: %w", input, guid, ErrNotFound)
}

// FindByKey returns the configured channel that a stream key is for: a token that it alone has. The time it takes says nothing of the
// tokens, of which there are only hashes. Errors: ErrNotFound, ErrSharedKey.
func (r *Registry) FindByKey(key string) (*Channel, error) {
	ch, known := r.snapshot.Load().byKey[sha256.Sum256([]byte(key))]
	switch {
	case !known:
		return nil, fmt.Errorf("a stream key: %w", ErrNotFound)
	case ch == nil:
		return nil, ErrSharedKey
	}
	return ch, nil
}

// keys notes whose the tokens of channels are. Those of channels that may yet appear are nobody's.
func (s *snapshot) keys() {
	note := func(ch, owner *Channel) {
		for _, token := range ch.Ingest.Tokens {
			sum := sha256.Sum256([]byte(token))
			if other, taken := s.byKey[sum]; taken && other != ch {
				s.byKey[sum] = nil
			} else {
				s.byKey[sum] = owner
			}
		}
	}
	if s.template != nil {
		made := s.template(ID{})
		note(&made, nil)
	}
	for id := range s.configured {
		note(s.byID[id], s.byID[id])
	}
}

// List returns every channel, ordered by group and name. The slice must not be modified.
func (r *Registry) List() []*Channel { return r.snapshot.Load().list }

// Resolve returns the channel of that ID, or the one that a first push would make, without making it: so that a request
// can be authenticated before anything is kept for it. Errors: ErrNotFound, ErrInvalid.
func (r *Registry) Resolve(id ID) (*Channel, error) {
	return r.snapshot.Load().resolve(id)
}

func (s *snapshot) resolve(id ID) (*Channel, error) {
	if ch, ok := s.byID[id]; ok {
		return ch, nil
	}
	if s.template == nil {
		return nil, fmt.Errorf("channel %q: %w", id, ErrNotFound)
	}
	if err := id.Validate(); err != nil {
		return nil, err
	}
	ch := s.template(id)
	return &ch, nil
}

// Create returns the channel of that ID and makes it when it does not exist and may appear on first push. Of several
// callers at once, one makes it and all get the same. Errors: ErrNotFound, ErrInvalid, ErrTooMany.
func (r *Registry) Create(id ID) (*Channel, error) {
	if ch, ok := r.Get(id); ok {
		return ch, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.snapshot.Load()
	ch, err := s.resolve(id)
	if err != nil {
		return nil, err
	}
	if _, exists := s.byID[id]; exists {
		return ch, nil
	}
	if len(s.byID) >= s.max {
		return nil, fmt.Errorf("channel %q: %w: %d exist", id, ErrTooMany, len(s.byID))
	}
	next := *s
	next.byID = maps.Clone(s.byID)
	next.byID[ch.ID] = ch
	next.list = sorted(next.byID)
	r.snapshot.Store(&next)
	return ch, nil
}

// Set is what Replace puts in force.
type Set struct {
	Channels []Channel // configured; valid, each ID once
	Template Template  // nil: channels do not appear on first push
	Max      int       // of all channels together, beyond which none appears on first push; 0: DefaultMax
}

// Changes tells what Replace did, each list ordered by group and name.
type Changes struct{ Added, Changed, Removed []ID }

// Replace puts a new set of configured channels in force. Channels that appeared on first push stay, made anew from the
// template, if there still is one; without one they go, as they would at the next start, and so do channels that were
// configured and no longer are. Replace is atomic: a reader sees all of it or nothing. On error nothing has changed.
// Errors: ErrInvalid.
func (r *Registry) Replace(set Set) (Changes, error) {
	var problems []error
	next := &snapshot{
		byID: make(map[ID]*Channel), configured: make(map[ID]bool), byGUID: make(map[string]*Channel),
		byKey: make(map[[sha256.Size]byte]*Channel), template: set.Template,
		max: cmp.Or(set.Max, DefaultMax),
	}
	for _, ch := range set.Channels {
		if err := ch.Validate(); err != nil {
			problems = append(problems, fmt.Errorf("channel %q: %w", ch.ID, err))
		}
		if next.configured[ch.ID] {
			problems = append(problems, fmt.Errorf("channel %q is defined twice: %w", ch.ID, ErrInvalid))
		}
		if other := next.byGUID[ch.V2.ID]; other != nil {
			problems = append(problems, fmt.Errorf("channels %q and %q have the same id %s: %w", other.ID, ch.ID, ch.V2.ID, ErrInvalid))
		}
		next.byID[ch.ID], next.configured[ch.ID] = &ch, true
		if ch.V2.ID != "" {
			next.byGUID[ch.V2.ID] = &ch
		}
	}
	if len(problems) > 0 {
		return Changes{}, errors.Join(problems...)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.snapshot.Load()
	for id := range old.byID {
		if old.configured[id] || next.configured[id] || set.Template == nil {
			continue
		}
		made := set.Template(id)
		next.byID[id] = &made
	}
	changes := next.since(old)
	next.keys()
	next.list = sorted(next.byID)
	r.snapshot.Store(next)
	return changes, nil
}

// since compares with an older snapshot and keeps its pointers for channels that are the same.
func (s *snapshot) since(old *snapshot) (c Changes) {
	for id, ch := range s.byID {
		was, ok := old.byID[id]
		switch {
		case !ok:
			c.Added = append(c.Added, id)
		case reflect.DeepEqual(was, ch):
			s.byID[id] = was
			if was.V2.ID != "" {
				s.byGUID[was.V2.ID] = was
			}
		default:
			c.Changed = append(c.Changed, id)
		}
	}
	for id := range old.byID {
		if s.byID[id] == nil {
			c.Removed = append(c.Removed, id)
		}
	}
	for _, list := range [][]ID{c.Added, c.Changed, c.Removed} {
		slices.SortFunc(list, compareIDs)
	}
	return c
}

func sorted(channels map[ID]*Channel) []*Channel {
	return slices.SortedFunc(maps.Values(channels), func(a, b *Channel) int { return compareIDs(a.ID, b.ID) })
}

func compareIDs(a, b ID) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Name, b.Name))
}

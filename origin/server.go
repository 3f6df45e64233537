// Package origin is where storage, packager and auth meet: the server that encoders push to and CDNs pull from.
//
// It holds the channels that are live and routes requests to what serves them; receiving is in ingest, what exists when
// in timeline, answering viewers in playback. It reads no configuration and opens no listeners.
package origin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"headwater/origin/access"
	"headwater/origin/channel"
	"headwater/origin/console"
	"headwater/origin/ingest"
	"headwater/origin/metrics"
	"headwater/origin/playback"
	"headwater/origin/timeline"
	"headwater/storage"
)

// Config is what a Server is made of. All fields but the durations and URLs are required.
type Config struct {
	Channels *channel.Registry
	Store    *storage.Store
	Journal  storage.Journal
	Access   *access.Checker
	Metrics  *metrics.Metrics
	Logger   *slog.Logger
	Now      func() time.Time

	MediaStore *MediaStore // nil: without the object store

	Grace      time.Duration // how long media stays fetchable after it left every manifest; 0: 5 minutes
	Ingest     ingest.Options
	Playback   playback.Options
	PublicURL  string // base URL of the public listener as viewers see it, "" to derive it from PublicAddr
	PublicAddr string
	Version    string
}

// Server is one origin. Create with New, then Recover, then serve Public and Admin while Run runs.
type Server struct {
	cfg      Config
	ingest   *ingest.Handler
	playback *playback.Handler
	console  http.Handler
	store    *store // nil: none

	ready, draining atomic.Bool

	mu   sync.Mutex
	live map[channel.ID]*opening
}

// opening is the timeline of a live channel, opened once.
type opening struct {
	once sync.Once
	tl   *timeline.Timeline
	err  error
	done atomic.Bool
	keep time.Duration // how long its media is kept, as of when the channel was last there; Expire and Sweep, which do not run at once, alone use it
}

// New returns a Server that is not ready yet: see Recover.
func New(cfg Config) (*Server, error) {
	if cfg.Grace == 0 {
		cfg.Grace = 5 * time.Minute
	}
	cfg.Ingest.Now, cfg.Playback.Now = cfg.Now, cfg.Now
	cfg.Playback.TimePath, cfg.Playback.PublicURL = timePath, cfg.PublicURL
	cfg.Playback.Secure = cfg.Access.Secure
	s := &Server{cfg: cfg, live: map[channel.ID]*opening{}}
	s.store = newStore(s)
	s.ingest = ingest.New(s, cfg.Store, cfg.Metrics, cfg.Ingest)
	cfg.Playback.ActiveInput = s.ingest.Active
	s.playback = playback.New(segments{cfg.Store}, cfg.Playback)
	var err error
	s.console, err = console.New(console.Options{Source: s, PublicURL: cfg.PublicURL, PublicAddr: cfg.PublicAddr,
		Version: cfg.Version, Now: cfg.Now, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	cfg.Metrics.Register(&heads{s})
	cfg.Metrics.Register(&inputs{s})
	cfg.Metrics.Register(&clocks{s})
	return s, nil
}

// segments opens stored segments for playback.
type segments struct{ store *storage.Store }

func (m segments) Open(ctx context.Context, id channel.ID, track string, start int64) (*storage.Object, error) {
	return m.store.Open(ctx, ingest.SegmentKey(id, track, start))
}

// Resolve implements ingest.Directory.
func (s *Server) Resolve(id channel.ID) (*channel.Channel, error) { return s.cfg.Channels.Resolve(id) }

// Live implements ingest.Directory.
func (s *Server) Live(ctx context.Context, id channel.ID) (*channel.Channel, *timeline.Timeline, error) {
	ch, err := s.cfg.Channels.Create(id)
	if err != nil {
		return nil, nil, err
	}
	tl, err := s.open(ctx, ch)
	if err == nil {
		tl.Number(numbering(ch.Numbering)) // it may have been opened before it was known how
	}
	return ch, tl, err
}

// open returns the timeline of a channel, replayed from the journal the first time.
func (s *Server) open(ctx context.Context, ch *channel.Channel) (*timeline.Timeline, error) {
	s.mu.Lock()
	o := s.live[ch.ID]
	if o == nil {
		o = &opening{keep: longestRetention}
		s.live[ch.ID] = o
	}
	s.mu.Unlock()
	o.once.Do(func() {
		// The client that happens to be first may leave; the others still want the channel.
		o.tl, o.err = timeline.Open(context.WithoutCancel(ctx), s.cfg.Journal, ch.ID.String(), timeline.Options{Numbering: numbering(ch.Numbering)})
		if o.err == nil && len(o.tl.State().Tracks) == 0 {
			s.cfg.Logger.Info("channel is new", "channel", ch.ID.String())
		}
		o.done.Store(true)
	})
	if o.err != nil {
		s.mu.Lock()
		if s.live[ch.ID] == o {
			delete(s.live, ch.ID) // the next one tries again
		}
		s.mu.Unlock()
	}
	return o.tl, o.err
}

func numbering(n channel.Numbering) timeline.Numbering {
	switch n {
	case channel.NumberingEpoch:
		return timeline.Epoch
	case channel.NumberingCounter:
		return timeline.Counter
	}
	return timeline.Auto
}

// timelineOf returns the timeline of a channel that is live; ok is false when nothing was ever pushed to it.
func (s *Server) timelineOf(id channel.ID) (tl *timeline.Timeline, ok bool) {
	s.mu.Lock()
	o := s.live[id]
	s.mu.Unlock()
	if o == nil || !o.done.Load() || o.err != nil {
		return nil, false
	}
	return o.tl, true
}

// Recover opens every channel that the journal remembers and that may exist, and makes the server ready.
func (s *Server) Recover(ctx context.Context) error {
	names, err := timeline.Channels(ctx, s.cfg.Journal)
	if err != nil {
		return err
	}
	for _, name := range names {
		group, ch, _ := strings.Cut(name, "/")
		id := channel.ID{Group: group, Name: ch}
		_, _, err := s.Live(ctx, id)
		if errors.Is(err, channel.ErrNotFound) || errors.Is(err, channel.ErrInvalid) || errors.Is(err, channel.ErrTooMany) {
			s.cfg.Logger.Warn("stored channel is not served, its media is kept for the longest start-over window there is",
				"channel", name, "reason", err)
			if _, err = s.open(ctx, &channel.Channel{ID: id}); err != nil {
				s.cfg.Logger.Error("stored channel cannot be read", "channel", name, "error", err)
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("recover channel %s: %w", name, err)
		}
	}
	s.ready.Store(true)
	return nil
}

// Drain makes the server not ready, so that load balancers send nothing more, and ends the endless uploads, which would
// outlast any grace; their encoders connect again. It returns at once.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.ingest.Drain()
	s.playback.Drain()
}

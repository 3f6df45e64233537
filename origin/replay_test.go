package origin

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/auth"
	"headwater/origin/channel"
	"headwater/origin/metrics"
	"headwater/origin/timeline"
	"headwater/packager/media"
)

// TestCapturesReplayed plays each capture as it was recorded, to the moment: over net/http, on connections in memory, by a
// clock that stands still while anything is under way. What comes of it is in its golden file.
func TestCapturesReplayed(t *testing.T) {
	for _, r := range recipes {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			c := readCapture(t, r.name)
			synctest.Test(t, func(t *testing.T) {
				p := &replay{t: t, recipe: r, capture: c, conns: map[int]*replayed{}, answers: map[string]int{}}
				p.play()
				p.compare()
			})
		})
	}
}

// replay is a capture that is played to a server of its own.
type replay struct {
	t       *testing.T
	recipe  recipe
	capture capture
	rig     *rig
	http    *http.Server
	dialed  chan net.Conn
	conns   map[int]*replayed
	edge    time.Time

	mu      sync.Mutex
	answers map[string]int // how often each kind of request was answered with a status
}

// replayed is a connection of the encoder, which writes without waiting for answers, as to a socket's buffer.
type replayed struct {
	out     chan []byte
	chunked bool
	served  atomic.Int64 // requests that the server began to answer

	mu   sync.Mutex
	ends []time.Time // when the body of each request was all sent, zero before
}

// connKey is where the context of a request has its connection.
type connKey struct{}

// late returns how long ago the body of request n was all sent, 0 when it was not.
func (c *replayed) late(n int) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends[n].IsZero() {
		return 0
	}
	return time.Since(c.ends[n])
}

func (c *replayed) note(e event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Head != nil {
		c.ends = append(c.ends, time.Time{})
	} else if e.Done {
		c.ends[len(c.ends)-1] = time.Now()
	}
}

// piped is the server's end of a connection.
type piped struct {
	net.Conn
	*replayed
}

// sent is how many events a connection may be behind.
const sent = 1 << 14

// play sends everything that was recorded, when it was.
func (p *replay) play() {
	time.Sleep(time.Until(p.capture.about.Began))
	p.serve()
	for _, e := range p.capture.events {
		time.Sleep(time.Until(p.capture.about.Began.Add(e.At)))
		p.send(e)
		synctest.Wait() // what has come is dealt with before more comes
		p.requireEdge()
	}
	for _, c := range p.conns {
		close(c.out)
	}
	time.Sleep(settled)
	p.requireEdge()
}

// settled is when everything that came is on the timeline or refused.
const settled = 15 * time.Second

func (p *replay) serve() {
	p.rig = newRigAt(p.t, time.Now, nil, func(ch *channel.Channel) {
		ch.Endpoints = endpointsOf(standard())
		if p.recipe.secret {
			ch.Ingest.Users = []channel.User{{Name: "user", Password: "secret"}}
		}
	})
	p.dialed = make(chan net.Conn)
	p.http = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		watched := metrics.Watch(w)
		c := r.Context().Value(connKey{}).(*replayed)
		n := int(c.served.Add(1)) - 1
		p.rig.public.ServeHTTP(watched, r)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.answers[answered(r, watched.Status, c.late(n))]++
	})}
	p.http.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(auth.Connected(ctx, conn), connKey{}, conn.(*piped).replayed)
	}
	go func() { _ = p.http.Serve(&pipes{p.dialed}) }()
	p.t.Cleanup(func() {
		_ = p.http.Close()
		time.Sleep(2 * time.Minute) // a growing file that gets no more pieces ends by itself
	})
}

// pipes is a listener of connections in memory.
type pipes struct{ dialed chan net.Conn }

func (l *pipes) Accept() (net.Conn, error) {
	c, ok := <-l.dialed
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l *pipes) Close() error {
	close(l.dialed)
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *replay) send(e event) {
	c := p.conns[e.Conn]
	if c == nil {
		if e.Close {
			return // a client that came and left
		}
		c = p.dial()
		p.conns[e.Conn] = c
	}
	if e.Head != nil {
		c.chunked = e.chunked()
	}
	c.note(e)
	if e.Close {
		close(c.out)
		delete(p.conns, e.Conn)
		return
	}
	if b := e.wire(c.chunked); len(b) > 0 {
		c.out <- b
	}
}

func (p *replay) dial() *replayed {
	near, far := net.Pipe()
	c := &replayed{out: make(chan []byte, sent)}
	p.dialed <- &piped{far, c}
	go func() { _, _ = io.Copy(io.Discard, near) }()
	go func() {
		defer func() { _ = near.Close() }()
		for b := range c.out {
			if _, err := near.Write(b); err != nil {
				for range c.out { //nolint:revive // the server has hung up: what is still sent is lost
				}
				return
			}
		}
	}()
	return c
}

// slow is how long after a body's end an answer is told to be late.
const slow = 50 * time.Millisecond

// answered names a kind of request, in whose file's name the number does not count, and how it was answered.
func answered(r *http.Request, status int, late time.Duration) string {
	name := strings.TrimPrefix(r.URL.Path, channelPath)
	if file := r.URL.Query().Get("file"); file != "" {
		name += "?file=" + file
	}
	said := fmt.Sprintf("%s %s: %d", r.Method, counter.ReplaceAllString(name, "N$1"), status)
	if late > slow {
		said += fmt.Sprintf(", %s after its end", late.Round(time.Millisecond))
	}
	return said
}

// requireEdge states that what viewers see last never goes back.
func (p *replay) requireEdge() {
	p.t.Helper()
	tl, ok := p.rig.server.timelineOf(chID)
	if !ok {
		return
	}
	w, err := tl.Window(timeline.Query{Now: time.Now(), Length: time.Hour})
	if err != nil {
		require.ErrorIs(p.t, err, timeline.ErrNotYet)
		require.True(p.t, p.edge.IsZero(), "there was something to see")
		return
	}
	var edge time.Time
	for _, tr := range w.Tracks {
		if end := media.At(tr.Last().End(), tr.Timescale).UTC(); end.After(edge) {
			edge = end
		}
	}
	require.False(p.t, edge.Before(p.edge), "the live edge went back from %s to %s", p.edge, edge)
	p.edge = edge
}

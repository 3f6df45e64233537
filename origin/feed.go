package origin

import (
	"net/http"
	"net/url"
	"sync"
	"time"

	"headwater/origin/channel"
	"headwater/origin/container"
	"headwater/origin/reply"
	"headwater/storage"
)

// maxFed bounds the objects that wait for a channel, each of which is an open file. It is a minute of six tracks with segments
// of 2 s and their playlists, less than which no channel should be behind.
const maxFed = 360

// headStart is how long an object has to be taken before the next one of its channel may be: ingest takes it in milliseconds,
// unless it has to wait for one that comes later, as a segment does for its header or playlist. Since ingest waits for less than
// half a minute, fewer than a hundred are taken at once.
const headStart = 250 * time.Millisecond

// Source is where what is put at a path of a container goes: to an input of a channel, as rest below it.
type Source struct {
	Channel channel.ID
	Input   int
	Rest    string
}

// Feed gives channels what is put into containers (docs/adr/0007-channels-from-containers.md). It is an objects.Observer. Of one
// channel objects begin to be taken in the order in which they were put. Create with Server.Feed.
type Feed struct {
	server *Server
	find   func(container, path string) (Source, bool)

	mu      sync.Mutex
	waiting map[channel.ID][]fed // has a key while a goroutine feeds the channel
	running sync.WaitGroup
}

// fed is an object on its way to a channel.
type fed struct {
	source Source
	from   string // name of the container
	object *storage.Object
}

// Feed returns what feeds the channels that find names for an object's container and path. find is called with each upload.
func (s *Server) Feed(find func(container, path string) (Source, bool)) *Feed {
	return &Feed{server: s, find: find, waiting: map[channel.ID][]fed{}}
}

// Committed implements objects.Observer.
func (f *Feed) Committed(c *container.Container, path string, open func() (*storage.Object, error)) {
	src, ok := f.find(c.Name, path)
	if !ok {
		return
	}
	log := f.server.cfg.Logger.With("channel", src.Channel.String(), "container", c.Name, "path", path)
	object, err := open() // now: it may be replaced or deleted before its turn
	if err != nil {
		log.Error("object does not reach the channel", "error", err)
		return
	}
	if !f.enqueue(fed{src, c.Name, object}) {
		object.Body.Close()
		log.Error("object does not reach the channel", "error", "too many wait", "waiting", maxFed)
	}
}

// enqueue reports whether an object could be taken.
func (f *Feed) enqueue(o fed) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, running := f.waiting[o.source.Channel]
	if len(before) == maxFed {
		return false
	}
	f.waiting[o.source.Channel] = append(before, o)
	if !running {
		f.running.Go(func() { f.feed(o.source.Channel) })
	}
	return true
}

// feed pushes what waits for a channel, until nothing does.
func (f *Feed) feed(id channel.ID) {
	for {
		f.mu.Lock()
		if len(f.waiting[id]) == 0 {
			delete(f.waiting, id)
			f.mu.Unlock()
			return
		}
		next := f.waiting[id][0]
		f.waiting[id] = f.waiting[id][1:]
		f.mu.Unlock()
		taken := make(chan struct{})
		f.running.Go(func() {
			defer close(taken)
			f.one(next)
		})
		late := time.NewTimer(headStart)
		select {
		case <-taken:
		case <-late.C:
		}
		late.Stop()
	}
}

// one pushes an object as an encoder would. What is wrong with it is logged and counted as it is for encoders.
func (f *Feed) one(o fed) {
	defer o.object.Body.Close()
	defer func() { _ = recover() }() // how a handler cuts a connection, after it has logged why: there is none here
	r := &http.Request{Method: http.MethodPut, URL: &url.URL{Path: "/" + o.source.Rest}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": {"container/" + o.from}}, Body: o.object.Body, ContentLength: o.object.Size, RemoteAddr: "container"}
	if o.object.Size == 0 {
		r.Header.Set("Content-Length", "0") // it says that it is empty
	}
	push := recovered(func(w http.ResponseWriter, r *http.Request) {
		f.server.ingest.ServeInner(w, r, o.source.Channel, o.source.Input, o.source.Rest)
	})
	reply.Requests(f.server.cfg.Logger, errorTable())(push).ServeHTTP(noWriter{}, r)
}

// noWriter is for answers that nobody waits for.
type noWriter struct{}

func (noWriter) Header() http.Header         { return http.Header{} }
func (noWriter) Write(p []byte) (int, error) { return len(p), nil }
func (noWriter) WriteHeader(int)             {}

// Wait returns when all that was put has reached its channels, or was refused by them.
func (f *Feed) Wait() { f.running.Wait() }

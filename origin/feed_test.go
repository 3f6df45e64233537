package origin

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
	"headwater/origin/container"
	"headwater/origin/inflight"
	"headwater/origin/objects"
	"headwater/origin/reply"
	"headwater/storage"
	"headwater/storage/mem"
)

// everyone may do everything with containers.
type everyone struct{}

func (everyone) Authorize(*http.Request, *container.Container, objects.Operation, string) (objects.Requester, error) {
	return objects.Requester{Name: "anonymous"}, nil
}

// feedRig is a server with a container, of which the folder live is the source of the channel default/ch.
type feedRig struct {
	*rig
	feed    *Feed
	objects http.Handler
}

func newFeedRig(t *testing.T, setUp func(*channel.Channel)) *feedRig {
	t.Helper()
	var engine *mem.Engine
	g := &feedRig{rig: newRigAt(t, nil, func(now func() time.Time) (storage.Driver, storage.Journal) {
		engine = mem.New(now)
		return engine, engine
	}, setUp)}
	registry, err := container.Open(t.Context(), engine, container.Options{Account: container.Account{ID: "123456789012", Region: "eu-west-1"}, Now: g.now})
	require.NoError(t, err)
	c, err := registry.Create(t.Context(), "blogdemo", nil)
	require.NoError(t, err)
	g.feed = g.server.Feed(func(container, path string) (Source, bool) {
		rest, ok := strings.CutPrefix(path, "live/")
		return Source{channel.ID{Group: "default", Name: "ch"}, 1, rest}, ok && container == "blogdemo"
	})
	h := objects.New(objects.Options{Store: g.server.cfg.Store, Index: engine, InFlight: &inflight.Objects{}, Access: everyone{},
		Exists: func(*container.Container) bool { return true }, Now: g.now, Observer: g.feed})
	g.objects = reply.Requests(g.server.cfg.Logger, errorTable())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.Serve(w, r, c, r.URL.Path)
	}))
	return g
}

// object sends a request for an object of the container, and returns what is told of it.
func (g *feedRig) object(method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	g.objects.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

func (g *feedRig) store(path, body string) {
	g.tb.Helper()
	w := g.object(http.MethodPut, path, body)
	require.Equal(g.tb, http.StatusOK, w.Code, w.Body)
}

// playlist is a window of three segments that ends with k.
func playlist(k int) string {
	text := fmt.Sprintf("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-MAP:URI=\"init.mp4\"\n",
		int(segmentLength.Seconds()), max(k-2, 0))
	for n := max(k-2, 0); n <= k; n++ {
		text += fmt.Sprintf("#EXTINF:%.3f,\ns%05d.m4s\n", segmentLength.Seconds(), n)
	}
	return text
}

// segment is what the encoder uploads of a segment, k from noon on.
func (g *feedRig) segment(k int) string {
	return string(g.tracks["video"].segment(g.tb, noon.Add(time.Duration(k)*segmentLength)))
}

// pushHLS uploads segments, each with its playlist before or after it, and deletes what has left the playlist.
func (g *feedRig) pushHLS(to int, playlistFirst bool) {
	g.tb.Helper()
	g.store("/live/v/init.mp4", string(g.tracks["video"].header))
	for k := 0; k <= to; k++ {
		g.at(noon.Add(time.Duration(k+1) * segmentLength))
		if playlistFirst {
			g.store("/live/v/index.m3u8", playlist(k))
		}
		g.store(fmt.Sprintf("/live/v/s%05d.m4s", k), g.segment(k))
		if !playlistFirst {
			g.store("/live/v/index.m3u8", playlist(k))
		}
		if k > 2 {
			gone := fmt.Sprintf("/live/v/s%05d.m4s", k-3)
			require.Equal(g.tb, http.StatusOK, g.object(http.MethodDelete, gone, "").Code)
		}
		g.feed.Wait()
	}
}

func TestAChannelPlaysWhatIsPutIntoItsContainer(t *testing.T) {
	for name, playlistFirst := range map[string]bool{"segments before their playlists": false, "playlists before their segments": true} {
		t.Run(name, func(t *testing.T) {
			g := newFeedRig(t, func(ch *channel.Channel) {
				ch.Endpoints = endpointsOf(standard())
				ch.Ingest = channel.IngestAuth{Tokens: []string{"of encoders that push to the channel"}}
			})
			const last = 7
			g.pushHLS(last, playlistFirst)
			require.Equal(t, http.StatusUnauthorized, g.upload("video.cmfv", g.tracks["video"].header), "the channel itself is as closed as it was")
			tl, ok := g.server.timelineOf(channel.ID{Group: "default", Name: "ch"})
			require.True(t, ok)
			require.Len(t, tl.State().Tracks, 1)
			main := g.get("/out/v1/default/ch/cmaf/index.m3u8")
			require.Equal(t, http.StatusOK, main.Code)
			require.Equal(t, last+1, len(g.segmentsOf(main.Body.String())), "what has left the container stays in the channel")
			require.Equal(t, http.StatusNotFound, g.object(http.MethodGet, "/live/v/s00000.m4s", "").Code)
			require.Equal(t, g.segment(last), g.object(http.MethodGet, "/live/v/s00007.m4s", "").Body.String())
		})
	}
}

// segmentsOf returns the lines that name segments in the media playlist that a main playlist names, each of which answers.
func (g *feedRig) segmentsOf(main string) (names []string) {
	g.tb.Helper()
	uris := func(text string) (all []string) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				all = append(all, line)
			}
		}
		return all
	}
	for _, media := range uris(main) {
		list := g.get("/out/v1/default/ch/cmaf/" + media)
		require.Equal(g.tb, http.StatusOK, list.Code)
		for _, name := range uris(list.Body.String()) {
			folder := media[:strings.LastIndexByte(media, '/')+1]
			require.Equal(g.tb, http.StatusOK, g.get("/out/v1/default/ch/cmaf/"+folder+name).Code, name)
			names = append(names, name)
		}
	}
	return names
}

func TestAnObjectThatIsPutTwiceIsInTheChannelOnce(t *testing.T) {
	g := newFeedRig(t, func(ch *channel.Channel) { ch.Endpoints = endpointsOf(standard()) })
	g.pushHLS(4, false)
	before := len(g.segmentsOf(g.get("/out/v1/default/ch/cmaf/index.m3u8").Body.String()))
	g.store("/live/v/s00004.m4s", g.segment(4))
	g.feed.Wait()
	require.Len(t, g.segmentsOf(g.get("/out/v1/default/ch/cmaf/index.m3u8").Body.String()), before)
}

func TestAnObjectGoesToTheChannelAsItWasPutAlthoughItIsGone(t *testing.T) {
	g := newFeedRig(t, func(ch *channel.Channel) { ch.Endpoints = endpointsOf(standard()) })
	g.at(noon.Add(segmentLength))
	g.store("/live/v/init.mp4", string(g.tracks["video"].header))
	g.store("/live/v/index.m3u8", playlist(0))
	g.store("/live/v/s00000.m4s", g.segment(0))
	g.object(http.MethodDelete, "/live/v/s00000.m4s", "")
	g.feed.Wait()
	tl, ok := g.server.timelineOf(channel.ID{Group: "default", Name: "ch"})
	require.True(t, ok)
	require.Len(t, tl.State().Tracks, 1)
}

func TestWhatAChannelRefusesStaysInItsContainer(t *testing.T) {
	g := newFeedRig(t, func(ch *channel.Channel) { ch.Endpoints = endpointsOf(standard()) })
	g.store("/live/v/s00000.m4s", "this is no media")
	g.store("/live/empty", "")
	g.store("/other/s00000.m4s", string(g.tracks["video"].header))
	g.feed.Wait()
	require.Equal(t, "this is no media", g.object(http.MethodGet, "/live/v/s00000.m4s", "").Body.String())
	if tl, ok := g.server.timelineOf(channel.ID{Group: "default", Name: "ch"}); ok {
		require.Empty(t, tl.State().Tracks)
	}
}

func TestAChannelThatCannotFollowLosesObjectsAndNotTheServerItsFiles(t *testing.T) {
	g := newFeedRig(t, func(*channel.Channel) {})
	id := channel.ID{Group: "default", Name: "ch"}
	g.feed.waiting[id] = make([]fed, maxFed)
	g.store("/live/v/s00000.m4s", g.segment(0))
	require.Len(t, g.feed.waiting[id], maxFed)
	require.Equal(t, g.segment(0), g.object(http.MethodGet, "/live/v/s00000.m4s", "").Body.String())
}

func TestAChannelNamesTheFolderThatIsItsSource(t *testing.T) {
	g := newFeedRig(t, func(ch *channel.Channel) { ch.Source = "container/blogdemo/live" })
	_, err := g.server.cfg.Channels.Create(channel.ID{Group: "default", Name: "ch"})
	require.NoError(t, err)
	src, ok := g.server.sourceOf("blogdemo", "live/hi/s1.m4s")
	require.True(t, ok)
	require.Equal(t, Source{channel.ID{Group: "default", Name: "ch"}, 1, "hi/s1.m4s"}, src)
	for _, other := range [][2]string{{"blogdemo", "live"}, {"blogdemo", "live2/a"}, {"blogdemo", "vod/live/a"}, {"other", "live/a"}} {
		_, ok = g.server.sourceOf(other[0], other[1])
		require.False(t, ok, "%v", other)
	}
}

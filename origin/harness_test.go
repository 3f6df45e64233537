package origin

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"

	"headwater/auth/iprange"
	"headwater/origin/access"
	"headwater/origin/channel"
	"headwater/origin/metrics"
	"headwater/origin/playback"
	"headwater/packager/cmaf"
	"headwater/packager/media"
	"headwater/storage"
	"headwater/storage/mem"
)

// noon is when every test begins: a whole multiple of every segment duration used here since the epoch.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// segmentLength is the duration of a pushed segment.
const segmentLength = 2 * time.Second

// chID is the channel that tests push to.
var chID = channel.ID{Group: "default", Name: "ch"}

// rig is a whole Server on a memory store, with a clock that only the test moves.
type rig struct {
	tb     testing.TB
	server *Server
	public http.Handler
	clock  atomic.Int64 // Unix nanoseconds
	tracks map[string]*encoder
	opened map[string]bool // tracks whose header was sent
}

// brief is how long a Smooth fragment waits for those that it announces, of the clock on the wall.
const brief = time.Millisecond

// newRig returns a Server whose channels have these endpoints.
func newRig(tb testing.TB, store func(now func() time.Time) (storage.Driver, storage.Journal), endpoints ...channel.Endpoint) *rig {
	tb.Helper()
	return newRigAt(tb, nil, store, func(ch *channel.Channel) { ch.Endpoints = endpoints })
}

// newRigAt returns a Server by another clock than the test's, with channels that are set up as wanted.
func newRigAt(tb testing.TB, clock func() time.Time, store func(now func() time.Time) (storage.Driver, storage.Journal),
	setUp func(*channel.Channel)) *rig {
	tb.Helper()
	g := &rig{tb: tb, tracks: encoders(tb), opened: map[string]bool{}}
	g.at(noon)
	if clock == nil {
		clock = g.now
	}
	if store == nil {
		store = func(now func() time.Time) (storage.Driver, storage.Journal) {
			e := mem.New(now)
			return e, e
		}
	}
	driver, journal := store(clock)
	channels := channel.NewRegistry()
	_, err := channels.Replace(channel.Set{Template: func(id channel.ID) channel.Channel {
		ch := channel.Default(id)
		setUp(&ch)
		return ch
	}})
	require.NoError(tb, err)
	trusted, err := iprange.Parse("127.0.0.1")
	require.NoError(tb, err)
	log := slog.New(slog.DiscardHandler)
	g.server, err = New(Config{
		Channels: channels, Store: storage.New(driver, storage.Options{}), Journal: journal,
		Access:  access.NewChecker(trusted, iprange.NewSources(log)),
		Metrics: metrics.New(func(id channel.ID) bool { _, ok := channels.Get(id); return ok }),
		Logger:  log, Now: clock, PublicAddr: "127.0.0.1:8080", Playback: playback.Options{LookAheadWait: brief},
	})
	require.NoError(tb, err)
	require.NoError(tb, g.server.Recover(tb.Context()))
	g.public = g.server.Public()
	return g
}

func (g *rig) now() time.Time { return time.Unix(0, g.clock.Load()).UTC() }

func (g *rig) at(t time.Time) { g.clock.Store(t.UnixNano()) }

// put uploads segment k of a track, counted from noon, its header first where it was not sent yet; shift moves its media
// time. It returns the status.
func (g *rig) put(track string, k int, shift time.Duration) int {
	g.tb.Helper()
	e := g.tracks[track]
	g.open(track)
	return g.upload(e.name, e.segment(g.tb, noon.Add(time.Duration(k)*segmentLength+shift)))
}

// open uploads the header of a track where it was not sent yet.
func (g *rig) open(track string) {
	g.tb.Helper()
	if e := g.tracks[track]; !g.opened[track] {
		require.Equal(g.tb, http.StatusOK, g.upload(e.name, e.header), "header of %s", track)
		g.opened[track] = true
	}
}

func (g *rig) upload(name string, body []byte) int {
	r := httptest.NewRequest(http.MethodPut, "/in/v1/default/1/ch/Streams("+name+")", bytes.NewReader(body))
	w := httptest.NewRecorder()
	g.public.ServeHTTP(w, r)
	return w.Code
}

// push moves the clock and uploads the segments from to to of all tracks, each when it ends.
func (g *rig) push(from, to int) {
	g.tb.Helper()
	for k := from; k <= to; k++ {
		g.at(noon.Add(time.Duration(k+1) * segmentLength))
		for _, name := range []string{"video", "audio"} {
			require.Equal(g.tb, http.StatusOK, g.put(name, k, 0), "%s %d", name, k)
		}
	}
}

// get sends a request for a path of the public listener. Headers come in pairs.
func (g *rig) get(path string, header ...string) *httptest.ResponseRecorder {
	return g.do(http.MethodGet, path, header...)
}

func (g *rig) do(method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	g.public.ServeHTTP(w, r)
	return w
}

// encoder makes the segments of one track, on the epoch axis.
type encoder struct {
	name      string // as in Streams(name)
	kind      media.Kind
	timescale uint32
	frame     uint32 // ticks
	header    []byte
}

func encoders(tb testing.TB) map[string]*encoder {
	tb.Helper()
	video := &encoder{name: "video.cmfv", kind: media.Video, timescale: 90000, frame: 45000}
	audio := &encoder{name: "audio.cmfa", kind: media.Audio, timescale: 48000, frame: 1024}
	sps, err := hex.DecodeString("6742c00bda0a37e4c044000003000400000300c83c50aa80")
	require.NoError(tb, err)
	for _, e := range []*encoder{video, audio} {
		init := mp4.CreateEmptyInit()
		init.AddEmptyTrack(e.timescale, e.kind.String(), "eng")
		if e.kind == media.Video {
			require.NoError(tb, init.Moov.Trak.SetAVCDescriptor("avc1", [][]byte{sps}, [][]byte{{0x68, 0xce, 0x0f, 0xc8}}, true))
		} else {
			require.NoError(tb, init.Moov.Trak.SetAACDescriptor(2, 48000))
		}
		var b bytes.Buffer
		require.NoError(tb, init.Encode(&b))
		e.header = b.Bytes()
	}
	return map[string]*encoder{"video": video, "audio": audio}
}

// boundary returns the number of the frame, counted from the epoch, nearest to an instant.
func (e *encoder) boundary(at time.Time) int64 {
	return (media.FromUTC(at).Round(e.timescale) + int64(e.frame)/2) / int64(e.frame)
}

// segment returns the segment that begins at about start and lasts about segmentLength.
func (e *encoder) segment(tb testing.TB, start time.Time) []byte { return e.sized(tb, start, 64) }

// sized is segment with frames of a number of bytes.
func (e *encoder) sized(tb testing.TB, start time.Time, frame int) []byte {
	tb.Helper()
	from, to := e.boundary(start), e.boundary(start.Add(segmentLength))
	f := cmaf.Fragment{Sequence: 1, DecodeTime: from * int64(e.frame)}
	for n := from; n < to; n++ {
		data := make([]byte, frame)
		binary.BigEndian.PutUint64(data[8:], uint64(n))
		if e.kind == media.Video {
			binary.BigEndian.PutUint32(data, uint32(len(data)-4))
			data[4] = 0x41
			if n == from {
				data[4] = 0x65
			}
		}
		f.Samples = append(f.Samples, cmaf.Sample{Duration: e.frame, Size: uint32(len(data)), Sync: e.kind == media.Audio || n == from, Data: data})
	}
	b, err := cmaf.AppendHeader(cmaf.AppendSegmentType(nil), f, e.kind)
	require.NoError(tb, err)
	for i := range f.Samples {
		b = append(b, f.Samples[i].Data...)
	}
	return b
}

// endpointsOf returns one origin endpoint per way of packaging, with the settings of base.
func endpointsOf(base channel.Endpoint) []channel.Endpoint {
	var out []channel.Endpoint
	add := func(name string, c channel.Container, manifests ...channel.Manifest) *channel.Endpoint {
		e := base
		e.Name, e.Container, e.Manifests = name, c, manifests
		out = append(out, e)
		return &out[len(out)-1]
	}
	add("cmaf", channel.CMAF, channel.Manifest{Name: "index", Type: channel.HLS}, channel.Manifest{Name: "index", Type: channel.DASH},
		channel.Manifest{Name: "time", Type: channel.DASH, TimeTemplate: true})
	add("ts", channel.TS, channel.Manifest{Name: "index", Type: channel.HLS})
	add("groups", channel.TS, channel.Manifest{Name: "index", Type: channel.HLS}).AudioGroups = true
	add("ism", channel.ISM, channel.Manifest{Name: "index", Type: channel.MSS}).LookAhead = 2
	return out
}

// entry is one way into the channel: a manifest of an endpoint.
type entry struct{ name, endpoint, manifest string }

// entries are the ways in, one per format.
var entries = []entry{
	{"hls", "cmaf", "index.m3u8"},
	{"dash", "cmaf", "index.mpd"},
	{"time", "cmaf", "time.mpd"},
	{"ts", "ts", "index.m3u8"},
	{"groups", "groups", "index.m3u8"},
	{"smooth", "ism", "index.ism/Manifest"},
}

func (e entry) root() string { return "/out/v1/default/ch/" + e.endpoint + "/" }

func (e entry) path() string { return e.root() + e.manifest }

func standard() channel.Endpoint {
	return channel.Endpoint{ManifestWindow: time.Minute, StartoverWindow: time.Hour}
}

func number(k int) int64 { return noon.Unix()/int64(segmentLength/time.Second) + int64(k) }

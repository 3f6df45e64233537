package ingest

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"

	"headwater/origin/ingest/demux"
	"headwater/origin/timeline"
	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// eventHeader is the header of a track of events as MediaLive sends it: its dates begin in 1970.
func eventHeader(t testing.TB) []byte {
	t.Helper()
	init := mp4.CreateEmptyInit()
	init.Moov.Mvhd.CreationTime = 2082844800
	trak := init.AddEmptyTrack(90000, "text", "und")
	trak.Mdia.Hdlr.HandlerType = "meta"
	evte := &mp4.EvteBox{DataReferenceIndex: 1}
	evte.AddChild(&mp4.BtrtBox{AvgBitrate: 1000, MaxBitrate: 2000})
	evte.AddChild(&mp4.SilbBox{Schemes: []mp4.SilbEntry{{SchemeIdURI: "urn:scte:scte35:2013:bin"}}})
	trak.Mdia.Minf.Stbl.Stsd.AddChild(evte)
	var b bytes.Buffer
	require.NoError(t, init.Encode(&b))
	return b.Bytes()
}

// event returns a fragment with one sample of metadata.
func event(sample []byte, start, duration int64) []byte {
	f := cmaf.Fragment{Sequence: 1, DecodeTime: start, Samples: []cmaf.Sample{{Duration: uint32(duration), Size: uint32(len(sample)), Sync: true}}}
	b, err := cmaf.AppendHeader(nil, f, media.Metadata)
	if err != nil {
		panic(err)
	}
	return append(b, sample...)
}

// Samples of events: none, and a splice that begins 4 s later.
var idle = []byte("\x00\x00\x00\x08emeb")

func splice(t testing.TB) []byte {
	var b bytes.Buffer
	require.NoError(t, (&mp4.EmibBox{PresentationTimeDelta: 4 * 90000, EventDuration: 30 * 90000, Id: 7, SchemeIdURI: "urn:scte:scte35:2013:bin",
		MessageData: []byte{0xfc, 0x30, 0x20}}).Encode(&b))
	return b.Bytes()
}

// liveEvents is an encoder as reference ingest.md 14.2 found it: segments of 1.92 s on the epoch's grid, audio and video shown
// 40 ms after they are decoded, the first segment joined in its middle, a track of events beside them.
type liveEvents struct {
	*rig
	video, audio *source
	slot         int64 // of the grid, the one that is sent next
	events       map[int64][]byte
}

const slotTicks = 172_800 // of 90 kHz: 1.92 s

func newLiveEvents(g *rig) *liveEvents {
	m := &liveEvents{rig: g, events: map[int64][]byte{},
		video: &source{kind: media.Video, scale: 90000, frame: 3600, gop: 48, size: 100, id: 1, delay: 3600},
		audio: &source{kind: media.Audio, scale: 48000, frame: 1024, gop: 1, size: 20, id: 1, delay: 1920},
		slot:  time.Now().UnixMilli() / 1920}
	return m
}

func (m *liveEvents) headers(t testing.TB) {
	m.accept("Streams(video.cmfv)", m.video.init(t))
	m.accept("Streams(audio.cmfa)", m.audio.init(t))
	m.accept("Streams(scte.cmfm)", eventHeader(t))
}

// segment waits for the end of the next segment and sends it. The events are first.
func (m *liveEvents) segment(skipped int) {
	m.tb.Helper()
	n := m.slot
	m.slot++
	time.Sleep(time.Until(time.UnixMilli(m.slot * 1920)))
	brands := "\x00\x00\x00\x14stypcmfc\x00\x00\x00\x00cmfs"
	v, gop := int(n)*48, m.video.gop
	if skipped > 0 { // the first segment begins with a sync sample wherever it begins
		brands = "\x00\x00\x00\x18stypcmfc\x00\x00\x00\x00cmffcmfs"
		m.video.gop = v + skipped
	}
	sample := idle
	if own := m.events[n]; own != nil {
		sample = own
	}
	left := int64(skipped * 3600)
	sent := make(chan int, 1)
	go func() {
		sent <- m.put("Streams(scte.cmfm)", []byte(brands), event(sample, n*slotTicks+left, slotTicks-left))
	}()
	a := int(n) * 90
	m.accept("Streams(audio.cmfa)", []byte(brands), m.audio.fragment(0, a+skipped*90/48, a+90))
	m.accept("Streams(video.cmfv)", []byte(brands), m.video.fragment(0, v+skipped, v+48))
	m.video.gop = gop
	require.Equal(m.tb, http.StatusOK, <-sent)
}

func TestEventsOfMediaLiveAreKeptBesideItsMedia(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		m := newLiveEvents(g)
		first := m.slot
		m.events[first+4] = splice(t)
		m.headers(t)
		m.segment(11)
		for range 6 {
			m.segment(0)
		}
		require.Equal(t, []string{"video", "audio", "scte"}, g.tracks())
		for range 2 {
			st := g.tl.State()
			require.Equal(t, 1, st.Parts)
			require.False(t, st.Counted)
			scte := st.Tracks[2]
			require.Equal(t, "metadata", scte.Kind.String())
			require.Equal(t, "evte", scte.Config.Codec)
			own, err := demux.ParseInit(scte.Config.Header)
			require.NoError(t, err)
			require.Equal(t, media.Metadata, own.Tracks[0].Kind)
			require.Contains(t, string(scte.Config.Header), "urn:scte:scte35:2013:bin", "the schemes of silb are kept")

			vs, as, es := g.segments("video"), g.segments("audio"), g.segments("scte")
			require.GreaterOrEqual(t, len(vs), 7)
			require.Len(t, es, len(vs))
			require.Len(t, as, len(vs))
			for i := range vs {
				slot := first + int64(i)
				require.Equal(t, slot, vs[i].Number)
				require.Equal(t, slot, as[i].Number)
				if i > 0 {
					require.Equal(t, slot*slotTicks, es[i].Start)
					require.Equal(t, int64(slotTicks), es[i].Duration)
					require.Equal(t, es[i].Start+3600, vs[i].Start, "shown 40 ms after it is decoded")
					require.Equal(t, media.At(vs[i].Start, 90000).UTC(), media.At(as[i].Start, 48000).UTC())
				}
				want := idle
				if own := m.events[slot]; own != nil {
					want = own
				}
				frags := g.stored("scte", es[i])
				require.Len(t, frags, 1)
				require.Equal(t, want, frags[0].Samples[0].Data, "byte for byte")
			}
			require.Equal(t, vs[1].Start-37*3600, vs[0].Start)
			w, err := g.tl.Window(timeline.Query{Now: time.Now(), Length: time.Minute})
			require.NoError(t, err)
			require.Len(t, w.Tracks, 2, "no viewer sees it")
			require.Equal(t, vs[len(vs)-1].End(), w.Tracks[0].Last().End())

			g.restart()
			m.segment(0)
			m.headers(t)
			m.segment(0)
		}
		kinds := map[string]int{}
		for _, tr := range g.h.Report(chID).Inputs[0].Tracks {
			kinds[tr.Kind.String()]++
		}
		require.Equal(t, map[string]int{"video": 1, "audio": 1, "metadata": 1}, kinds)
		require.Zero(t, g.counted("left tracks"))
		g.clean()
	})
}

func TestMetadataDecidesNothing(t *testing.T) {
	at := func(s float64) int64 { return int64(s * 90000) }
	for name, rule := range map[string]func(*testing.T, *rig){
		"alone it is left out, and shows nothing": func(t *testing.T, g *rig) {
			g.accept("Streams(scte.cmfm)", eventHeader(t))
			began := time.Now()
			g.accept("Streams(scte.cmfm)", event(idle, 0, 90000))
			require.LessOrEqual(t, time.Since(began), patienceBeside)
			require.Equal(t, 1, g.counted("left tracks"))
			require.Zero(t, g.tl.State().Parts)
			st, _ := g.h.Status(chID)
			require.Zero(t, st.Active)
			v := video(50)
			g.accept("v/init.cmfv", v.init(t))
			g.live(v, "v", 0, 3)
			require.Len(t, g.segments("v"), 3)
			_, err := g.tl.Window(timeline.Query{Now: time.Now(), Length: time.Minute})
			require.NoError(t, err, "nobody waits for its media")
		},
		"where it lags or stops, the others go on": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("v/init.cmfv", v.init(t))
			g.accept("Streams(scte.cmfm)", eventHeader(t))
			g.live(v, "v", 0, 2)
			g.accept("Streams(scte.cmfm)", event(idle, at(0), at(2)))
			g.live(v, "v", 2, 8)
			w, err := g.tl.Window(timeline.Query{Now: time.Now(), Length: time.Minute})
			require.NoError(t, err)
			require.Len(t, w.Tracks[0].Segments, 8)
		},
		"on the clock of its encoder it is where the media is": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("v/init.cmfv", v.init(t))
			g.accept("Streams(scte.cmfm)", eventHeader(t))
			for n := range 4 {
				g.live(v, "v", n, n+1)
				g.accept("Streams(scte.cmfm)", event(idle, at(float64(2*n)), at(2)))
			}
			vs, es := g.segments("v"), g.segments("scte")
			require.Len(t, es, 4)
			for i := range es {
				require.Equal(t, media.At(vs[i].Start, v.scale).UTC(), media.At(es[i].Start, 90000).UTC())
			}
			time.Sleep(20 * time.Second) // the encoder is restarted, and its events come first
			done := make(chan int, 1)
			go func() {
				time.Sleep(1900 * time.Millisecond)
				done <- g.put("Streams(scte.cmfm)", event(idle, at(0), at(2)))
			}()
			g.live(v, "v", 0, 1)
			require.Equal(t, http.StatusOK, <-done)
			vs, es = g.segments("v"), g.segments("scte")
			require.Len(t, es, 5)
			require.Equal(t, 2, g.tl.State().Parts)
			require.Equal(t, media.At(vs[4].Start, v.scale).UTC(), media.At(es[4].Start, 90000).UTC())
			require.Equal(t, vs[4].Part, es[4].Part)
		},
		"another header of it begins no part": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("v/init.cmfv", v.init(t))
			for n := range 4 {
				g.live(v, "v", n, n+1)
				g.accept("Streams(scte.cmfm)", bytes.Replace(eventHeader(t), []byte("2013"), fmt.Append(nil, 2013+n), 1))
				g.accept("Streams(scte.cmfm)", event(idle, at(float64(2*n)), at(2)))
			}
			require.Len(t, g.segments("scte"), 4)
			require.Equal(t, 1, g.tl.State().Parts)
		},
		"it neither makes nor keeps an input active": func(t *testing.T, g *rig) {
			v := video(50)
			g.upload(2, "v/init.cmfv", v.init(t))
			g.upload(2, "v/0.cmfv", v.seconds(0, 2))
			g.upload(1, "Streams(scte.cmfm)", eventHeader(t))
			g.upload(2, "Streams(scte.cmfm)", eventHeader(t))
			g.upload(1, "Streams(scte.cmfm)", event(idle, at(0), at(2)))
			require.Empty(t, g.segments("scte"), "of the input that is not active nothing is taken")
			for n := range 10 {
				time.Sleep(2 * time.Second)
				g.upload(2, "Streams(scte.cmfm)", event(idle, at(float64(2*n)), at(2)))
			}
			g.upload(1, "v/init.cmfv", v.init(t))
			g.upload(1, "v/0.cmfv", v.seconds(0, 2))
			st, _ := g.h.Status(chID)
			require.Equal(t, 1, st.Active, "the media of the other had stopped")
		},
		"in one upload with video it does not hold that up": func(t *testing.T, g *rig) {
			v := video(50)
			head := mp4.CreateEmptyInit()
			both, err := mp4.DecodeFile(bytes.NewReader(eventHeader(t)))
			require.NoError(t, err)
			one, err := mp4.DecodeFile(bytes.NewReader(v.init(t)))
			require.NoError(t, err)
			for i, trak := range []*mp4.TrakBox{one.Moov.Trak, both.Moov.Trak} {
				trak.Tkhd.TrackID = uint32(i + 1)
				head.Moov.AddChild(trak)
				head.Moov.Mvex.AddChild(mp4.CreateTrex(uint32(i + 1)))
			}
			var b bytes.Buffer
			require.NoError(t, head.Encode(&b))
			send, end := g.stream(1, "Streams(x.cmfv)")
			send(b.Bytes())
			for n := range 5 {
				time.Sleep(2 * time.Second)
				e := event(idle, at(float64(2*n)), at(2))
				e[47] = 2
				send(e, v.seconds(float64(2*n), float64(2*n+2)))
			}
			require.Equal(t, http.StatusOK, end(errEOF))
			require.Equal(t, []string{"x", "x-m"}, g.tracks())
			require.Len(t, g.segments("x"), 5)
			require.Len(t, g.segments("x-m"), 4, "the first came before anything said where it is")
			require.Equal(t, 1, g.counted("left tracks"))
		},
		"segments that come twice, and late, are in their places": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("v/init.cmfv", v.init(t))
			g.accept("scte/init.cmfm", eventHeader(t))
			g.live(v, "v", 0, 4)
			for _, n := range []int{3, 0, 1, 1, 2, 3} {
				g.accept(fmt.Sprintf("scte/%d.cmfm", n), event(idle, at(float64(2*n)), at(2)))
			}
			require.Len(t, g.segments("scte"), 4)
			require.Equal(t, 2, g.counted("duplicate"))
			require.Equal(t, http.StatusBadRequest, g.request(http.MethodPut, 1, "scte/4.cmfm", cut(event(idle, at(8), at(2))[:100])).Code)
			require.Len(t, g.segments("scte"), 4)
			g.clean()
		},
	} {
		t.Run(name, func(t *testing.T) { bubble(t, rule) })
	}
}

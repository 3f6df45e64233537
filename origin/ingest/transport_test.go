package ingest

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
	"github.com/stretchr/testify/require"

	"headwater/origin/ingest/demux"
	"headwater/packager/media"
)

// programme makes an endless MPEG-TS of 25 pictures a second with a sync sample every gop ones, and AAC.
type programme struct {
	t     *testing.T
	gop   int
	zero  int64 // 90 kHz, of picture 0
	sps   []byte
	id    byte
	out   bytes.Buffer
	video *mpegts.Track
	audio *mpegts.Track
	w     *mpegts.Writer
}

func newProgramme(t *testing.T, gop int) *programme {
	p := &programme{t: t, gop: gop, zero: 126_000, video: &mpegts.Track{Codec: &codecs.H264{}},
		audio: &mpegts.Track{Codec: &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
			Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2, ChannelCount: 2}}}}
	p.size(spss[0])
	p.tables()
	return p
}

func (p *programme) size(sps string) {
	var err error
	p.sps, err = hex.DecodeString(sps)
	require.NoError(p.t, err)
}

func (p *programme) tables() {
	p.w = &mpegts.Writer{W: &p.out, Tracks: []*mpegts.Track{p.video, p.audio}}
	require.NoError(p.t, p.w.Initialize())
	_, err := p.w.WriteTables()
	require.NoError(p.t, err)
}

// seconds returns what lies in [from, to) seconds.
func (p *programme) seconds(from, to float64) []byte {
	const rate, picture, frame = 90_000, 3600, 1920
	for n := int64(from*25 + 0.5); n < int64(to*25+0.5); n++ {
		at := p.zero + n*picture
		nals := [][]byte{{0x41, 4, byte(n) | 1, p.id, 1}}
		if n%int64(p.gop) == 0 {
			nals = [][]byte{p.sps, {0x68, 0xce, 0x0f, 0xc8}, {0x65, 1, byte(n) | 1, p.id, 1}}
		}
		require.NoError(p.t, p.w.WriteH264(p.video, at, at, nals))
		for a := n * picture / frame * frame; a+frame <= (n+1)*picture; a += frame { // those that end in it
			require.NoError(p.t, p.w.WriteMPEG4Audio(p.audio, p.zero+a, [][]byte{[]byte("audio")}))
		}
	}
	defer p.out.Reset()
	return bytes.Clone(p.out.Bytes())
}

// flow sends [from, to) seconds in pieces, each when it ends.
func (p *programme) flow(send func(...[]byte), from, to float64) {
	const piece = 0.2
	for at := from; at < to-piece/2; at += piece {
		time.Sleep(200 * time.Millisecond)
		send(p.seconds(at, at+piece))
	}
}

// together requires that audio is cut where its video is, without gaps, and returns how many segments there are.
func (g *rig) together(video, audio string) int {
	g.tb.Helper()
	vs, as := g.segments(video), g.segments(audio)
	require.Len(g.tb, as, len(vs))
	for i := range vs {
		require.LessOrEqual(g.tb, startOf(vs[i], 90_000).Sub(startOf(as[i], 48_000)).Abs(), 22*time.Millisecond, "segment %d", i)
		require.Equal(g.tb, vs[i].Number, as[i].Number)
		require.Equal(g.tb, vs[i].Part, as[i].Part)
		require.True(g.tb, g.stored(video, vs[i])[0].Samples[0].Sync)
	}
	return len(vs)
}

func TestAnEndlessTransportStreamIsCutWhileItFlows(t *testing.T) {
	for _, tt := range []struct {
		name   string
		url    string
		gop    int
		known  time.Duration // when it is known to be one
		length time.Duration
		tracks string
	}{
		{"of a name without number", "live.ts", 50, 6 * time.Second, 2 * time.Second, "live"},
		{"of no name at all", "", 50, 6 * time.Second, 2 * time.Second, "main"},
		{"of a name without extension", "studio/live", 25, 6 * time.Second, 2 * time.Second, "live"},
		{"at a Streams() URL", "Streams(cam1)", 50, 6 * time.Second, 2 * time.Second, "cam1"},
		{"of a name with a number", "cam1.ts", 50, time.Minute, 2 * time.Second, "cam1"},
		{"with GOPs that are longer than the target", "live.ts", 250, 6 * time.Second, 10 * time.Second, "live"},
		{"with GOPs of 1.92 s", "live.ts", 48, 6 * time.Second, 1920 * time.Millisecond, "live"},
		{"with a key frame every second and a half", "live.ts", 38, 6 * time.Second, 1520 * time.Millisecond, "live"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				began := time.Now()
				p := newProgramme(t, tt.gop)
				send, end := g.stream(1, tt.url)
				p.flow(send, 0, tt.known.Seconds()-0.4)
				require.Empty(t, g.tracks(), "it may be a segment")
				p.flow(send, tt.known.Seconds()-0.4, 91)
				vs := g.segments(tt.tracks + "-v")
				require.NotEmpty(t, vs)
				require.Less(t, time.Since(startOf(vs[len(vs)-1], 90_000).Add(tt.length)), tt.length+1200*time.Millisecond, "in time")
				require.InDelta(t, 0, startOf(vs[0], 90_000).Sub(began).Seconds(), 0.3, "its clock is that of when it came")
				require.Equal(t, http.StatusOK, end(errEOF))
				n := g.together(tt.tracks+"-v", tt.tracks+"-a")
				vs = g.segments(tt.tracks + "-v")
				regular(t, vs[:n-1], 90_000, tt.length)
				require.Equal(t, int64(91*90_000), vs[n-1].End()-vs[0].Start, "all of it")
				require.Equal(t, "MPEG-TS", g.h.channels[chID].protocol)
				require.Zero(t, g.counted("left packets"))
				g.clean()
			})
		})
	}
}

func TestATransportStreamThatIsASegmentStaysOne(t *testing.T) {
	const length = 90
	for _, tt := range []struct {
		name, url string
		list      []byte
		seconds   float64
	}{
		{"as it ends in time", "live.ts", nil, 6},
		{"as its number says, and it ends in time", "seg7.ts", nil, 60},
		{"as the playlist says that lists it", "live.ts", listing(time.Time{}, "", "live.ts"), length},
		{"as the playlist says that lists others", "seg7.ts", listing(time.Time{}, "", "seg5.ts", "seg6.ts"), length},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				if tt.list != nil {
					g.accept("index.m3u8", tt.list)
				}
				p := newProgramme(t, 50)
				send, end := g.stream(1, tt.url)
				p.flow(send, 0, tt.seconds)
				require.Equal(t, http.StatusOK, end(errEOF))
				require.Len(t, g.tracks(), 2)
				for _, tr := range g.tl.State().Tracks {
					segs := g.segments(tr.ID)
					require.Len(t, segs, 1)
					require.InDelta(t, tt.seconds, media.At(segs[0].Duration, tr.Timescale).Seconds(), 0.03)
				}
			})
		})
	}
	t.Run("as its length says", func(t *testing.T) {
		_, srv := serve(t)
		res, err := http.Post(srv.URL+"/live.ts", "video/mp2t", bytes.NewReader(newProgramme(t, 50).seconds(0, 12)))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode)
	})
}

func TestATransportStreamThatIsJoinedWithinAGOPIsCutWhereItsVideoBegins(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		p := newProgramme(t, 100)
		send, end := g.stream(1, "live.ts")
		p.flow(send, 0.4, 20)
		require.Equal(t, http.StatusOK, end(errEOF))
		vs, as := g.segments("live-v"), g.segments("live-a")
		require.Len(t, vs, 4)
		require.Len(t, as, 5)
		require.InDelta(t, 3.6, media.At(as[0].Duration, 48_000).Seconds(), 0.03)
		for i := range vs {
			require.Equal(t, vs[i].Number, as[i+1].Number)
		}
		require.Positive(t, g.counted("left packets"), "pictures before the first key frame")
	})
}

func TestAnEndlessTransportStreamHasNoLimitOfAFile(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		p := newProgramme(t, 50)
		send, end := g.stream(1, "live.ts")
		p.flow(send, 0, 60)
		require.Equal(t, http.StatusOK, end(errEOF))
		require.Equal(t, 30, g.together("live-v", "live-a"))
		require.Zero(t, g.h.held.used)
	}, func(g *rig) { g.options.MaxUpload = 400_000 })
}

func TestTheClockOfAnEndlessTransportStreamMayWrap(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		p := newProgramme(t, 50)
		p.zero = wrap33 - 15*90_000 - 7
		send, end := g.stream(1, "live.ts")
		p.flow(send, 0, 30)
		require.Equal(t, http.StatusOK, end(errEOF))
		time.Sleep(time.Second)
		send, end = g.stream(1, "live.ts") // it connected again
		p.tables()
		p.flow(send, 32, 50)
		require.Equal(t, http.StatusOK, end(errEOF))
		require.Equal(t, 24, g.together("live-v", "live-a"))
		vs := g.segments("live-v")
		regular(t, vs[:15], 90_000, 2*time.Second)
		require.Equal(t, 2*time.Second, media.At(vs[15].Start-vs[14].End(), 90_000).Duration(), "its clock goes on")
		require.Equal(t, vs[0].Part, vs[23].Part)
	})
}

func TestAnEncoderOfAnEndlessTransportStreamThatBeginsAgainBeginsAPart(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		for run := range 2 {
			p := newProgramme(t, 50)
			p.id = byte(run)
			send, end := g.stream(1, "live.ts")
			p.flow(send, 0, 11)
			require.Equal(t, http.StatusBadRequest, end(errCut))
			time.Sleep(time.Second)
		}
		require.Equal(t, 12, g.together("live-v", "live-a"))
		vs := g.segments("live-v")
		require.Equal(t, vs[5].Part+1, vs[6].Part)
		require.InDelta(t, 1, media.At(vs[6].Start-vs[5].End(), 90_000).Seconds(), 0.3)
		g.clean()
	})
}

func TestATransportStreamThatIsLeftHalfOpenIsSucceeded(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		send, before := g.stream(1, "live.ts")
		newProgramme(t, 50).flow(send, 0, 21)
		time.Sleep(2 * time.Second)
		send, end := g.stream(1, "live.ts")
		newProgramme(t, 50).flow(send, 0, 20)
		require.Equal(t, http.StatusConflict, before(errCut), "it was told")
		require.Equal(t, http.StatusOK, end(errEOF))
		require.Equal(t, 21, g.together("live-v", "live-a"))
		vs := g.segments("live-v")
		require.Equal(t, vs[10].Part+1, vs[11].Part)
		require.InDelta(t, 1, media.At(vs[10].Duration, 90_000).Seconds(), 0.05, "what came whole is kept")
		g.clean()
	})
}

func TestASecondEncoderOfATransportStreamIsRefusedWhileTheFirstGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		send, end := g.stream(1, "live.ts")
		first, second := newProgramme(t, 50), newProgramme(t, 50)
		first.flow(send, 0, 10)
		refused := make(chan int, 1)
		body := second.seconds(0, 9)
		go func() { refused <- g.put("live.ts", body) }()
		first.flow(send, 10, 30)
		require.Equal(t, http.StatusConflict, <-refused)
		require.Equal(t, http.StatusOK, end(errEOF))
		regular(t, g.segments("live-v"), 90_000, 2*time.Second)
		require.Equal(t, 15, g.together("live-v", "live-a"))
	})
}

func TestATransportStreamWhoseEncoderChangesGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		p := newProgramme(t, 50)
		send, end := g.stream(1, "live.ts")
		p.flow(send, 0, 12)
		p.size(spss[1])
		p.flow(send, 12, 20)
		p.video.PID, p.audio.PID = 900, 901
		p.tables()
		p.flow(send, 20, 30)
		require.Equal(t, http.StatusOK, end(errEOF))
		require.ElementsMatch(t, []string{"live-v", "live-a"}, g.tracks())
		vs := g.segments("live-v")
		regular(t, vs, 90_000, 2*time.Second)
		require.Len(t, vs, 15)
		require.Equal(t, 640, vs[14].Config.Width)
		as := g.segments("live-a")
		for i := 1; i < len(as); i++ {
			require.Equal(t, as[i-1].End(), as[i].Start, "nothing is lost")
		}
		g.clean()
	})
}

func TestDrainEndsEndlessTransportStreams(t *testing.T) {
	g, srv := serve(t, func(g *rig) { g.options.Idle = 10 * time.Second })
	_, _, answer := chunked(t, srv, "live.ts", newProgramme(t, 50).seconds(0, 9))
	require.Eventually(t, func() bool { return len(g.segments("live-v")) == 4 }, 5*time.Second, time.Millisecond)
	g.watched(1, func(b *patientBody) bool { return b.lifted })
	began := time.Now()
	g.h.Drain()
	require.Equal(t, http.StatusServiceUnavailable, answer().StatusCode)
	require.Less(t, time.Since(began), 2*time.Second)
	require.Len(t, g.segments("live-v"), 5, "what came whole is kept")
	g.clean()
}

func TestATransportStreamOfWhichLittleCameEndsSoonAfterDrain(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		r, w := io.Pipe()
		status := make(chan int, 1)
		go func() { status <- g.request(http.MethodPost, 1, "live.ts", r).Code }()
		p := newProgramme(t, 50)
		_, err := w.Write(p.seconds(0, 2))
		require.NoError(t, err)
		g.h.Drain()
		time.Sleep(segmentGrace)
		go func() { _, _ = w.Write(p.seconds(2, 9)) }()
		require.Equal(t, http.StatusServiceUnavailable, <-status)
		require.NoError(t, r.Close())
		require.Empty(t, g.tracks(), "it may have been half a segment")
		require.Zero(t, g.h.held.used)
	})
}

func TestATransportStreamThatHoldsTooMuchIsToldTheLimit(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		w := g.request(http.MethodPost, 1, "live.ts", bytes.NewReader(newProgramme(t, 50).seconds(0, 30)))
		require.Equal(t, http.StatusOK, w.Code, "nothing is held of what was cut: %s", w.Body)
	}, func(g *rig) { g.options.Limits = demux.Limits{Header: 1 << 20, Fragment: 200_000, Samples: 10_000} })
	small := func(g *rig) { g.options.Limits = demux.Limits{Header: 1 << 20, Fragment: 50_000, Samples: 10_000} }
	bubble(t, func(t *testing.T, g *rig) {
		g.accept("live1.ts", newProgramme(t, 50).seconds(0, 30))
		require.Equal(t, 15, g.together("live1-v", "live1-a"), "it is too large for a segment")
		g.accept("index.m3u8", listing(time.Time{}, "", "seg1.ts"))
		w := g.request(http.MethodPost, 1, "seg1.ts", bytes.NewReader(newProgramme(t, 50).seconds(0, 30)))
		require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
		g.clean()
	}, small)
	bubble(t, func(t *testing.T, g *rig) {
		r, w := io.Pipe()
		answer := make(chan *httptest.ResponseRecorder, 1)
		go func() {
			answer <- g.request(http.MethodPost, 1, "live.ts", r)
			_ = r.Close()
		}()
		p := newProgramme(t, 50)
		send := func(parts ...[]byte) { _, _ = w.Write(parts[0]) }
		p.flow(send, 0, 10)
		p.gop = 1 << 20 // no key frame any more
		p.flow(send, 10, 80)
		got := <-answer
		require.Equal(t, http.StatusUnsupportedMediaType, got.Code)
		require.Len(t, g.segments("live-v"), 5)
		require.NoError(t, w.Close())
		g.clean()
	})
}

func TestTheOtherInputTakesOverATransportStream(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		one, two := newProgramme(t, 50), newProgramme(t, 50)
		sendOne, endOne := g.stream(1, "live.ts")
		sendTwo, endTwo := g.stream(2, "live.ts")
		for at := 0.0; at < 20; at += 0.2 {
			sendTwo(two.seconds(at, at+0.2))
			one.flow(sendOne, at, at+0.2)
		}
		require.Equal(t, http.StatusBadRequest, endOne(errCut))
		before := len(g.segments("live-v"))
		two.flow(sendTwo, 20, 40)
		require.Equal(t, http.StatusOK, endTwo(errEOF))
		require.GreaterOrEqual(t, len(g.segments("live-v")), before+6)
		require.Positive(t, g.counted("standby"))
		g.clean()
	})
}

func TestFFmpegSendsAnEndlessTransportStream(t *testing.T) {
	at := filepath.Join(t.TempDir(), "live.ts")
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25", "-f", "lavfi",
		"-i", "sine=sample_rate=48000", "-t", "30", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "50", "-sc_threshold", "0",
		"-c:a", "aac", "-f", "mpegts", at).CombinedOutput()
	require.NoError(t, err, string(out))
	body, err := os.ReadFile(at)
	require.NoError(t, err)
	bubble(t, func(t *testing.T, g *rig) {
		send, end := g.stream(1, "live.ts")
		for n := range 150 {
			time.Sleep(200 * time.Millisecond)
			send(body[len(body)*n/150 : len(body)*(n+1)/150])
		}
		require.Equal(t, http.StatusOK, end(errEOF))
		vs := g.segments("live-v")
		require.Len(t, vs, 15)
		regular(t, vs, 90_000, 2*time.Second)
		for i, s := range vs {
			pictures := 0
			for _, f := range g.stored("live-v", s) {
				pictures += len(f.Samples)
			}
			require.Equal(t, 50, pictures, "segment %d", i)
		}
		require.GreaterOrEqual(t, g.together("live-v", "live-a"), 15)
		require.Zero(t, g.counted("left packets"))
	})
}

func TestARelayThatHadSomeSecondsReadyWhenItBeganIsNotAheadOfTime(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		began := time.Now()
		p := newProgramme(t, 50)
		send, end := g.stream(1, "relay.ts")
		send(p.seconds(0, 5)) // what it looked at before it began to send
		p.flow(send, 5, 75)
		vs := g.segments("relay-v")
		require.InDelta(t, -5, startOf(vs[0], 90_000).Sub(began).Seconds(), 0.3, "it is of the past")
		newest := media.At(vs[len(vs)-1].End(), 90_000).UTC()
		require.Less(t, time.Until(newest), 300*time.Millisecond)
		require.Zero(t, g.counted("left drift"))
		require.Equal(t, http.StatusOK, end(errEOF))
		require.Equal(t, 1, g.tl.State().Parts)
		g.together("relay-v", "relay-a")
		g.clean()
	})
}

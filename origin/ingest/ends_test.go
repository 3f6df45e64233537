package ingest

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// How encoders tell the end.
var (
	lastBrand = []byte("\x00\x00\x00\x14stypcmfs\x00\x00\x00\x00lmsg")
	emptyMfra = []byte("\x00\x00\x00\x08mfra")
	endlist   = []byte("#EXT-X-ENDLIST\n")
)

// endings push ten seconds of video and audio to an input, and end it as encoders do. half ends the video alone.
var endings = map[string]func(g *rig, input int, half bool){
	"a last segment of brand lmsg": func(g *rig, input int, half bool) {
		v, a := video(50), audio()
		g.upload(input, "Streams(v.cmfv)", v.init(g.tb))
		g.upload(input, "Streams(a.cmfa)", a.init(g.tb))
		for n := range 5 {
			time.Sleep(2 * time.Second)
			brands := [2][]byte{}
			if n == 4 {
				brands = [2][]byte{lastBrand, lastBrand}
			}
			if half {
				brands[1] = nil
			}
			g.upload(input, "Streams(v.cmfv)", brands[0], v.seconds(float64(2*n), float64(2*n+2)))
			g.upload(input, "Streams(a.cmfa)", brands[1], a.seconds(float64(2*n), float64(2*n+2)))
		}
	},
	"an mfra at the end of each stream": func(g *rig, input int, half bool) {
		v, a := video(50), audio()
		sendV, endV := g.stream(input, "Streams(v.cmfv)")
		sendA, endA := g.stream(input, "Streams(a.cmfa)")
		sendV(v.init(g.tb))
		sendA(a.init(g.tb))
		for n := range 5 {
			time.Sleep(2 * time.Second)
			sendV(v.seconds(float64(2*n), float64(2*n+2)))
			sendA(a.seconds(float64(2*n), float64(2*n+2)))
		}
		sendV(emptyMfra)
		require.Equal(g.tb, http.StatusOK, endV(errEOF))
		if !half {
			sendA([]byte("\x00\x00\x00\x10mfra\x00\x00\x00\x08mfro"))
		}
		require.Equal(g.tb, http.StatusOK, endA(errEOF))
	},
	"an mfra in a stream of both": func(g *rig, input int, half bool) {
		v, a := video(50), audio()
		send, end := g.stream(input, "x.isml/Streams(1)")
		send(smoothHead(g.tb, 1000, v, a))
		pieces(send, 2, 0, 10, v, a)
		if !half { // nothing ends half of it
			send(emptyMfra)
		}
		require.Equal(g.tb, http.StatusOK, end(errEOF))
	},
	"the playlists of segments of MPEG-TS": func(g *rig, input int, half bool) {
		renditions := []*programme{newProgramme(g.tb.(*testing.T), 50), newProgramme(g.tb.(*testing.T), 50)}
		for n := range 5 {
			time.Sleep(2 * time.Second)
			for i, p := range renditions {
				p.out.Reset()
				p.tables()
				name := fmt.Sprintf("v%d_%d.ts", i, n)
				g.upload(input, name, p.seconds(float64(2*n), float64(2*n+2)))
				list := listing(time.Time{}, "", name)
				if n == 4 && (i == 0 || !half) {
					list = append(list, endlist...)
				}
				g.upload(input, fmt.Sprintf("v%d.m3u8", i), list)
			}
		}
	},
	"an mfra after its stream": func(g *rig, input int, half bool) {
		v := video(50)
		send, end := g.stream(input, "x.isml/Streams(1)")
		send(smoothHead(g.tb, 1000, v))
		pieces(send, 2, 0, 10, v)
		require.Equal(g.tb, http.StatusOK, end(errEOF))
		if !half {
			g.upload(input, "x.isml/Streams(1)", smoothHead(g.tb, 1000, v), emptyMfra)
		}
	},
	"a playlist with an end": func(g *rig, input int, half bool) {
		v, a := video(50), audio()
		g.upload(input, "init-hi.mp4", v.init(g.tb))
		g.upload(input, "init-aud.mp4", a.init(g.tb))
		for n := range 5 {
			time.Sleep(2 * time.Second)
			for _, s := range []struct {
				*source
				name string
			}{{v, "hi"}, {a, "aud"}} {
				list := listing(time.Time{}, "init-"+s.name+".mp4", fmt.Sprintf("seg-%s-%d.m4s", s.name, n))
				if n == 4 && (s.name == "hi" || !half) {
					list = append(list, endlist...)
				}
				g.upload(input, s.name+".m3u8", list)
				g.upload(input, fmt.Sprintf("seg-%s-%d.m4s", s.name, n), s.seconds(float64(2*n), float64(2*n+2)))
			}
		}
	},
	"an MPD that becomes static": func(g *rig, input int, half bool) {
		v, a := video(50), audio()
		mpd := func(kind string) {
			g.upload(input, "x.mpd", []byte(`<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="`+kind+`"><Period><AdaptationSet contentType="video">`+
				`<SegmentTemplate initialization="init-$RepresentationID$.m4s" media="chunk-$RepresentationID$-$Number$.m4s"/>`+
				`<Representation id="0" bandwidth="1"/><Representation id="1" bandwidth="2"/></AdaptationSet></Period></MPD>`))
		}
		g.upload(input, "init-0.m4s", v.init(g.tb))
		g.upload(input, "init-1.m4s", a.init(g.tb))
		mpd("dynamic")
		for n := range 5 {
			time.Sleep(2 * time.Second)
			g.upload(input, fmt.Sprintf("chunk-0-%d.m4s", n), v.seconds(float64(2*n), float64(2*n+2)))
			g.upload(input, fmt.Sprintf("chunk-1-%d.m4s", n), a.seconds(float64(2*n), float64(2*n+2)))
		}
		if !half {
			mpd("static")
		}
		mpd("dynamic")
	},
}

// upload uploads to an input, which must take it.
func (g *rig) upload(input int, name string, parts ...[]byte) {
	g.tb.Helper()
	require.Equal(g.tb, http.StatusOK, g.request(http.MethodPut, input, name, bytes.NewReader(bytes.Join(parts, nil))).Code, name)
}

func TestTheEndThatAnEncoderTellsIsKnown(t *testing.T) {
	for name, push := range endings {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			bubble(t, func(t *testing.T, g *rig) {
				push(g, 1, false)
				at := time.Now()
				require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("encoder ended")))
				for _, restarted := range []bool{false, true} {
					require.WithinDuration(t, at, g.tl.Ended(), 0)
					require.WithinDuration(t, at, g.tl.State().Ended, 0)
					require.WithinDuration(t, at, Ends(g.tl)[0], 0)
					require.Zero(t, Ends(g.tl)[1])
					if !restarted {
						time.Sleep(time.Hour)
						in := g.h.Report(chID).Inputs[0]
						require.WithinDuration(t, at, in.Ended, 0)
						require.NotContains(t, reasons(in.Advise(time.Now())), "silent", "nobody is alarmed")
					}
					g.restart()
				}
				push(g, 1, true)
				require.Zero(t, g.tl.Ended(), "an encoder that starts again goes on")
				require.Zero(t, Ends(g.tl)[0])
				st, _ := g.h.Status(chID)
				require.Zero(t, st.Ended[0])
				g.clean()
			}, func(g *rig) { g.log = slog.New(slog.NewTextHandler(&log, nil)) })
		})
	}
}

func reasons(all []Advice) (out []string) {
	for _, a := range all {
		out = append(out, a.Reason)
	}
	return out
}

func TestTheOtherInputTakesOverFromOneThatEndedAtOnce(t *testing.T) {
	for name, push := range endings {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				other := video(50)
				g.upload(2, "other/init.cmfv", other.init(t))
				push(g, 1, false)
				g.upload(2, "other/5.cmfv", other.seconds(10, 12))
				require.Len(t, g.segments("other"), 1)
				st, _ := g.h.Status(chID)
				require.Equal(t, 2, st.Active)
				require.NotZero(t, st.Ended[0])
				require.Zero(t, g.tl.Ended(), "the channel goes on")
				time.Sleep(2 * time.Second)
				push(g, 2, false)
				require.NotZero(t, g.tl.Ended(), "until this one has ended, too")
			})
		})
	}
}

func TestAnInputGoesOnWhileAnythingOfItDoes(t *testing.T) {
	for name, push := range endings {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				push(g, 1, true)
				require.Zero(t, Ends(g.tl)[0])
				st, _ := g.h.Status(chID)
				require.Zero(t, st.Ended[0])
				time.Sleep(time.Minute)
				require.Contains(t, reasons(g.h.Report(chID).Inputs[0].Advise(time.Now())), "silent")
			})
		})
	}
}

func TestTheEndOfTheInputThatIsNotActiveEndsNoChannel(t *testing.T) {
	for name, push := range endings {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				other := video(50)
				g.upload(1, "other/init.cmfv", other.init(t))
				done := make(chan struct{})
				go func() {
					defer close(done)
					for n := range 8 {
						time.Sleep(1990 * time.Millisecond)
						g.upload(1, fmt.Sprintf("other/%d.cmfv", n), other.seconds(float64(2*n), float64(2*n+2)))
					}
				}()
				push(g, 2, false)
				<-done
				require.NotZero(t, Ends(g.tl)[1])
				require.Zero(t, Ends(g.tl)[0])
				require.Zero(t, g.tl.Ended())
				require.Len(t, g.segments("other"), 8)
			})
		})
	}
}

func TestMediaThatItsEndOvertookBeginsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("init.mp4", v.init(t))
		list := func(n int) []byte {
			return listing(time.Time{}, "init.mp4", fmt.Sprintf("%d.m4s", n-1), fmt.Sprintf("%d.m4s", n))
		}
		for n := range 3 {
			time.Sleep(2 * time.Second)
			g.accept("x.m3u8", list(n))
			g.accept(fmt.Sprintf("%d.m4s", n), v.seconds(float64(2*n), float64(2*n+2)))
		}
		time.Sleep(2 * time.Second)
		g.accept("x.m3u8", list(3), endlist)
		time.Sleep(300 * time.Millisecond)
		g.accept("3.m4s", v.seconds(6, 8))
		require.Len(t, g.segments(g.tracks()[0]), 4)
		require.NotZero(t, g.tl.Ended())
		time.Sleep(3 * time.Second)
		g.accept("4.m4s", v.seconds(8, 10))
		require.Zero(t, g.tl.Ended())
	})
}

func TestWhatLooksLikeAnEndInTheMiddleIsNone(t *testing.T) {
	for name, push := range map[string]func(t *testing.T, g *rig){
		"an MPD that is always static": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("init-0.m4s", v.init(t))
			for n := range 5 {
				g.accept("x.mpd", []byte(`<MPD><Period><AdaptationSet><SegmentTemplate initialization="init-$RepresentationID$.m4s" `+
					`media="chunk-$RepresentationID$-$Number$.m4s"/><Representation id="0"/></AdaptationSet></Period></MPD>`))
				time.Sleep(2 * time.Second)
				g.accept(fmt.Sprintf("chunk-0-%d.m4s", n), v.seconds(float64(2*n), float64(2*n+2)))
				time.Sleep(2 * time.Second)
			}
		},
		"an mfra in every file": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("v/init.cmfv", v.init(t))
			g.accept("v/0.cmfv", v.seconds(0, 2), emptyMfra)
		},
		"lmsg, and more": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("Streams(v.cmfv)", v.init(t), lastBrand, v.seconds(0, 2), []byte("\x00\x00\x00\x10stypcmfs\x00\x00\x00\x00"), v.seconds(2, 4))
		},
		"a stream that broke off": func(t *testing.T, g *rig) {
			v := video(50)
			send, end := g.stream(1, "Streams(v.cmfv)")
			send(v.init(t), v.seconds(0, 2))
			require.Equal(t, http.StatusBadRequest, end(errCut))
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				push(t, g)
				require.NotEmpty(t, g.tracks())
				require.Zero(t, Ends(g.tl)[0])
				require.Zero(t, g.tl.Ended())
			})
		})
	}
}

func TestTheVariantsThatEndAreBounded(t *testing.T) {
	var e ends
	now := time.Now()
	for n := range 2 * maxNames {
		e.hear(fmt.Sprint(n), "x", now.Add(time.Duration(n)))
	}
	require.Len(t, e.of, maxNames)
	require.NotNil(t, e.of[fmt.Sprint(2*maxNames-1)])
}

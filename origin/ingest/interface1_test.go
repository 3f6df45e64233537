package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/storage"
)

// handled is a header whose track has another handler.
func handled(t *testing.T, handler string) []byte {
	return bytes.Replace(video(50).init(t), []byte("vide\x00"), []byte(handler+"\x00"), 1)
}

// slateBrand begins a segment that an encoder made up.
var slateBrand = []byte("\x00\x00\x00\x14stypcmfs\x00\x00\x00\x00slat")

// TestInterface1 goes through what DASH-IF Live Media Ingest 1.2 asks of a receiver of CMAF (reference ingest.md section 3).
func TestInterface1(t *testing.T) {
	for name, rule := range map[string]func(*testing.T, *rig){
		"a probe makes no track": func(t *testing.T, g *rig) {
			g.accept("live/Streams(v.cmfv)")
			require.Empty(t, g.tl.State().Tracks)
			in := g.h.Report(chID).Inputs[0]
			require.Zero(t, in.Segments)
			require.Empty(t, in.Errors)
		},
		"a header that comes again is no discontinuity": func(t *testing.T, g *rig) {
			v := video(50)
			for n := range 4 {
				g.accept("Streams(v.cmfv)", v.init(t))
				time.Sleep(2 * time.Second)
				g.accept("Streams(v.cmfv)", v.seconds(float64(2*n), float64(2*n+2)))
			}
			regular(t, g.segments("v"), v.scale, 2*time.Second)
			require.Len(t, g.segments("v"), 4)
			require.Equal(t, 1, g.tl.State().Parts)
		},
		"media without a header asks for it, and goes on after it": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("Streams(v.cmfv)", v.init(t))
			time.Sleep(2 * time.Second)
			g.accept("Streams(v.cmfv)", v.seconds(0, 2))
			g.restart()
			time.Sleep(2 * time.Second)
			g.accept("Streams(v.cmfv)", v.seconds(2, 4)) // headers are kept
			for info, err := range g.engine.List(t.Context(), fileContainer, "", "") {
				require.NoError(t, err)
				require.NoError(t, g.engine.Delete(t.Context(), storage.Key{Container: fileContainer, Path: info.Key.Path}))
			}
			g.restart()
			time.Sleep(2 * time.Second)
			w := g.request(http.MethodPost, 1, "Streams(v.cmfv)", bytes.NewReader(v.seconds(4, 6)))
			require.Equal(t, http.StatusPreconditionFailed, w.Code)
			require.ErrorContains(t, fmt.Errorf("%s", g.h.Report(chID).Inputs[0].Errors[0].Text), "send the header again")
			g.accept("Streams(v.cmfv)", v.init(t))
			g.accept("Streams(v.cmfv)", v.seconds(4, 6))
			regular(t, g.segments("v"), v.scale, 2*time.Second)
			require.Len(t, g.segments("v"), 3)
			require.Equal(t, 1, g.tl.State().Parts)
		},
		"a fragment of a track that the header does not have": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("Streams(v.cmfv)", v.init(t))
			v.id = 9
			require.Equal(t, http.StatusPreconditionFailed, g.put("Streams(v.cmfv)", v.seconds(0, 2)))
		},
		"media of types that are not known": func(t *testing.T, g *rig) {
			for _, handler := range []string{"hint", "junk"} {
				require.Equal(t, http.StatusUnsupportedMediaType, g.put("Streams(x)", handled(t, handler)), handler)
			}
			vp9 := bytes.Replace(video(50).init(t), []byte("avc1"), []byte("vp09"), 1)
			require.Equal(t, http.StatusUnsupportedMediaType, g.put("Streams(y.cmfv)", vp9))
			require.Empty(t, g.tl.State().Tracks)
		},
		"captions and subtitles are taken, and left out where people see it": func(t *testing.T, g *rig) {
			for n, handler := range []string{"text", "subt", "sbtl", "clcp"} {
				at := fmt.Sprintf("Streams(text%d)", n)
				g.accept(at, handled(t, handler))
				began := time.Now()
				g.accept(at, metadata().fragment(0, 0, 1))
				require.Zero(t, time.Since(began))
				require.Equal(t, n+1, g.counted("left tracks"))
				require.Equal(t, 2*n+2, g.counted("left uploads"))
			}
			send, end := g.stream(1, "text.isml/Streams(text)")
			send(handled(t, "text"))
			for n := range 20 {
				send(metadata().fragment(0, n, n+1))
			}
			require.Equal(t, http.StatusOK, end(errEOF))
			require.Empty(t, g.tl.State().Tracks)
			g.restart()
			g.accept("Streams(text0)", metadata().fragment(0, 1, 2))
		},
		"an MPD first, and names of its template": func(t *testing.T, g *rig) {
			g.accept("live/manifest.mpd", []byte(`<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic" availabilityStartTime="1970-01-01T00:00:00Z">`+
				`<Period start="PT0S"><AdaptationSet contentType="video"><SegmentTemplate timescale="12800" duration="25600" `+
				`initialization="$RepresentationID$/init.cmfv" media="$RepresentationID$/$Number$.cmfv"/><Representation id="1080p" bandwidth="1"/>`+
				`</AdaptationSet><AdaptationSet contentType="audio" lang="de"><SegmentTemplate timescale="48000" `+
				`initialization="$RepresentationID$/init.cmfa" media="$RepresentationID$/$Number$.cmfa"/><Representation id="aac" bandwidth="2"/>`+
				`</AdaptationSet></Period></MPD>`))
			v, a := video(50), audio()
			g.accept("live/1080p/init.cmfv", v.init(t))
			g.accept("live/aac/init.cmfa", a.init(t))
			for n := range 3 {
				time.Sleep(2 * time.Second)
				g.accept(fmt.Sprintf("live/1080p/%d.cmfv", 1000+n), v.seconds(float64(2*n), float64(2*n+2)))
				g.accept(fmt.Sprintf("live/aac/%d.cmfa", 1000+n), a.seconds(float64(2*n), float64(2*n+2)))
			}
			require.ElementsMatch(t, []string{"live-1080p", "live-aac"}, g.tracks())
			regular(t, g.segments("live-1080p"), v.scale, 2*time.Second)
			tr, _ := g.tl.Track("live-aac")
			require.Equal(t, "de", tr.Language)
		},
		"segments that come twice are dropped": func(t *testing.T, g *rig) {
			v := video(50)
			g.accept("Streams(v.cmfv)", v.init(t))
			for n := range 3 {
				time.Sleep(2 * time.Second)
				g.accept("Streams(v.cmfv)", v.seconds(float64(2*n), float64(2*n+2)))
				g.accept("Streams(v.cmfv)", v.seconds(float64(2*n), float64(2*n+2)))
			}
			require.Len(t, g.segments("v"), 3)
			require.Equal(t, 3, g.counted("duplicate"))
		},
		"slate is counted, and told of while it lasts": func(t *testing.T, g *rig) {
			for _, endless := range []bool{false, true} {
				v, a := video(50), audio()
				name := map[bool]string{false: "a", true: "b"}[endless]
				at := map[bool]float64{false: 0, true: 100}[endless]
				send, end := func(parts ...[]byte) { g.accept("Streams("+name+".cmfv)", parts...) }, func(error) int { return http.StatusOK }
				if endless {
					send, end = g.stream(1, "Streams("+name+".cmfv)")
				}
				send(initOf(t, spss[0], v, a))
				for n := range 8 {
					brand := []byte("\x00\x00\x00\x10stypcmfs\x00\x00\x00\x00")
					if n == 3 || n == 4 {
						brand = slateBrand
					}
					time.Sleep(2 * time.Second)
					from := at + float64(2*n)
					send(brand, v.seconds(from, from+2), a.seconds(from, from+2))
					if n == 4 && !endless {
						require.Contains(t, reasons(g.h.Report(chID).Inputs[0].Advise(time.Now())), "slate")
					}
				}
				require.Equal(t, http.StatusOK, end(errEOF))
				in := g.h.Report(chID).Inputs[0]
				require.GreaterOrEqual(t, in.Slates, 4*map[bool]int{false: 1, true: 2}[endless], "two of video, and of audio")
				require.LessOrEqual(t, in.Slates, 5*map[bool]int{false: 1, true: 2}[endless])
				require.NotContains(t, reasons(in.Advise(time.Now())), "slate")
			}
		},
		"tracks of a switching set": func(t *testing.T, g *rig) {
			hi, lo := video(50), video(50)
			for id, s := range map[string]*source{"hi": hi, "lo": lo} {
				g.accept("live/Switching(video.1)/Streams("+id+".cmfv)", s.init(t))
				time.Sleep(time.Second)
				g.accept("live/Switching(video.1)/Streams("+id+".cmfv)", s.seconds(0, 2))
			}
			require.ElementsMatch(t, []string{"hi", "lo"}, g.tracks())
		},
		"the same name in two switching sets is two tracks": func(t *testing.T, g *rig) {
			for set, s := range map[string]*source{"video": video(50), "audio": audio()} {
				g.accept("live/Switching("+set+")/Streams(main)", s.init(t))
				g.accept("live/Switching("+set+")/Streams(main)", s.seconds(0, 2))
			}
			require.Len(t, g.tracks(), 2)
		},
	} {
		t.Run(name, func(t *testing.T) { bubble(t, rule) })
	}
}

func TestTheAnswerToMediaWithoutAHeaderNamesTheRule(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		w := g.request(http.MethodPost, 1, "Streams(v.cmfv)", bytes.NewReader(video(50).seconds(0, 2)))
		require.Equal(t, http.StatusPreconditionFailed, w.Code)
		var body struct{ Reason string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
		require.Equal(t, "no_init", body.Reason)
		require.Equal(t, 1, g.counted("rejected no_init"))
	})
}

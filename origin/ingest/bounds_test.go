package ingest

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/ingest/demux"
	"headwater/origin/ingest/manifest"
	"headwater/packager/media"
)

func TestAudioThatWouldWaitForEverIsRefused(t *testing.T) {
	wide := func(frame uint32, size int) *source {
		return &source{kind: media.Audio, scale: 48000, frame: frame, gop: 1, size: size, id: 1}
	}
	for what, tt := range map[string]struct {
		s    *source
		want int
	}{
		"samples without duration":   {wide(0, 20), http.StatusBadRequest},
		"a sample of two seconds":    {wide(96000, 20), http.StatusBadRequest},
		"many bytes in a short time": {wide(1, 50_000), http.StatusRequestEntityTooLarge},
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				send, end := g.stream(1, "Streams(a.cmfa)")
				send(audio().init(t), audio().fragment(0, 0, 1))
				for n := 0; n < 100 && g.h.held.used > 0; n++ {
					send(tt.s.fragment(1024, n, n+1))
				}
				require.Equal(t, tt.want, end(errEOF))
				require.Zero(t, g.h.held.used)
				g.clean()
			}, func(g *rig) {
				g.options.Limits = demux.Limits{Header: 1 << 20, Fragment: 1 << 20, Samples: 1000}
			})
		})
	}
}

func TestHalfFragmentsOfManyStreamsAreHeldWithinTheBudget(t *testing.T) {
	const limit = 4 << 20
	for what, name := range map[string]string{"video": "Streams(v%d.cmfv)", "audio": "Streams(a%d.cmfa)"} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				big := &source{kind: media.Video, scale: 12800, frame: 512, gop: 50, size: 100_000, id: 1}
				init := big.init(t)
				body := big.fragment(0, 0, 10)
				if what == "audio" {
					a := audio()
					a.size = 100_000
					init, body = a.init(t), a.fragment(0, 0, 10)
				}
				var ends []func(error) int
				refused := 0
				for i := range 8 {
					send, end := g.stream(1, fmt.Sprintf(name, i))
					send(init)
					send(body[:len(body)-10])
					ends = append(ends, end)
					require.LessOrEqual(t, g.h.held.used, int64(limit/2))
				}
				require.Greater(t, g.h.held.used, int64(limit/4))
				for _, end := range ends {
					if end(errCut) == http.StatusServiceUnavailable {
						refused++
					}
				}
				require.GreaterOrEqual(t, refused, 4)
				require.Zero(t, g.h.held.used)
				require.Empty(t, g.h.held.by)
				g.clean()
			}, func(g *rig) { g.options.HeldBytes = limit })
		})
	}
}

func TestAStreamHoldsNothingBetweenItsFragments(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, a := video(50), audio()
		v.size = 10_000
		sendV, endV := g.stream(1, "Streams(v.cmfv)")
		sendA, endA := g.stream(1, "Streams(a.cmfa)")
		sendV(v.init(t))
		sendA(a.init(t))
		for n := range 10 {
			time.Sleep(2 * time.Second)
			sendV(v.seconds(float64(2*n), float64(2*n+2)))
			sendA(a.seconds(float64(2*n), float64(2*n+2)))
		}
		require.Less(t, g.h.held.used, int64(10_000), "but the audio that waits")
		require.Equal(t, http.StatusOK, endV(errEOF))
		require.Equal(t, http.StatusOK, endA(errEOF))
		require.Zero(t, g.h.held.used)
		require.Len(t, g.segments("v"), 10)
	})
}

func TestAudioThatWaitedForItsVideoIsCutAtTheTargetWhenItEnds(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, a := video(50), audio()
		sendV, _ := g.stream(1, "Streams(v.cmfv)")
		sendA, endA := g.stream(1, "Streams(a.cmfa)")
		sendV(v.init(t))
		sendA(a.init(t))
		for n := range 13 {
			time.Sleep(time.Second)
			if n < 6 { // and stalls
				sendV(v.seconds(float64(n), float64(n+1)))
			}
			sendA(a.seconds(float64(n), float64(n+1)))
		}
		require.Len(t, g.segments("a"), 3)
		require.Equal(t, http.StatusOK, endA(errEOF))
		require.Len(t, g.segments("a"), 7)
		total := int64(0)
		for _, s := range g.segments("a") {
			require.LessOrEqual(t, media.At(s.Duration, a.scale).Duration(), 2100*time.Millisecond)
			total += s.Duration
		}
		require.Equal(t, int64(a.frames(13))*int64(a.frame), total)
	})
}

func TestWhatManifestsMakeAnInputRememberIsBounded(t *testing.T) {
	g := newRig(t)
	long := strings.Repeat("x", 120<<10)
	for n := range 10 {
		var list, mpd strings.Builder
		list.WriteString("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n")
		mpd.WriteString(`<MPD type="dynamic"><Period><AdaptationSet>`)
		for i := range 64 {
			fmt.Fprintf(&list, "#EXTINF:2.0,\n%d-%s.ts\n", i, long)
			fmt.Fprintf(&mpd, `<Representation id="%d"><SegmentTemplate initialization="i%d" media="%s-$Number$-$Time$"/></Representation>`,
				i, i, strings.Repeat("ab", 200))
		}
		mpd.WriteString(`</AdaptationSet></Period></MPD>`)
		g.accept(fmt.Sprintf("p%d.m3u8", n), []byte(list.String()))
		g.accept(fmt.Sprintf("p%d.mpd", n), []byte(mpd.String()))
	}
	for n := range 400 { // as long as names can be
		var list strings.Builder
		list.WriteString("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n")
		for i := range 64 {
			fmt.Fprintf(&list, "#EXTINF:2.0,\n%d-%s.ts\n", i, long[:500])
		}
		g.accept(fmt.Sprintf("q%d.m3u8", n), []byte(list.String()))
	}
	n := g.h.channels[chID].inputs[1].names
	require.Empty(t, n.playlists.m["p0.m3u8"].files, "no upload can have such names")
	require.LessOrEqual(t, len(n.mpds.m), maxMPDs)
	require.LessOrEqual(t, n.mpds.used, maxMPDBytes)
	require.LessOrEqual(t, n.playlists.used, maxPlaylists)

	var huge strings.Builder
	huge.WriteString(`<MPD type="dynamic"><Period><AdaptationSet>`)
	for i := range 500 {
		fmt.Fprintf(&huge, `<Representation id="%d"><SegmentList>%s</SegmentList></Representation>`, i,
			strings.Repeat(`<SegmentURL media="`+long[:200]+`"/>`, 70))
	}
	huge.WriteString(`</AdaptationSet></Period></MPD>`)
	require.Equal(t, http.StatusRequestEntityTooLarge, g.put("huge.mpd", []byte(huge.String())))
}

func parsed(t *testing.T, list string) *manifest.Playlist {
	t.Helper()
	p, err := manifest.ParsePlaylist([]byte(list))
	require.NoError(t, err)
	return p
}

func TestAWideLadderIsRemembered(t *testing.T) {
	n := newNames()
	name := func(v, i int) string { return fmt.Sprintf("%s/v%02d/seg%05d.m4s", strings.Repeat("d", 180), v, i) }
	for v := range 64 {
		var list strings.Builder
		list.WriteString("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n")
		for i := range 64 {
			fmt.Fprintf(&list, "#EXTINF:2.0,\n%s\n", name(v, i))
		}
		n.setPlaylist(fmt.Sprintf("v%02d.m3u8", v), parsed(t, list.String()))
	}
	for v := range 64 {
		for i := range 64 {
			at, _ := n.listed(name(v, i), false, 0)
			require.Equal(t, fmt.Sprintf("v%02d.m3u8", v), at)
		}
	}
}

func TestPlaylistsWithoutMediaLeaveNothingInTheJournal(t *testing.T) {
	g := newRig(t)
	records := func() (n, size int) {
		for rec, err := range g.engine.Read(t.Context(), "channel/"+chID.String()+"/meta", 0) {
			require.NoError(t, err)
			n, size = n+1, size+len(rec.Data)
		}
		return n, size
	}
	flood := func() {
		for n := range 300 {
			g.accept(fmt.Sprintf("%s-%06d.m3u8", strings.Repeat("n", 580), n), listing(time.Time{}, "", "a.ts"))
		}
	}
	before, _ := records()
	flood()
	n, _ := records()
	require.Equal(t, before, n)

	v := video(50)
	g.accept("hi/init.mp4", v.init(t))
	g.accept("hi/index.m3u8", listing(time.Time{}, "init.mp4", "seg0.m4s", "seg1.m4s", "seg2.m4s"))
	g.accept("hi/seg0.m4s", v.seconds(0, 2))
	first, size := records()
	require.Less(t, size, 2*maxNote)
	for i := 1; i < 3; i++ {
		g.accept("hi/index.m3u8", listing(time.Time{}, "init.mp4", "seg0.m4s", "seg1.m4s", "seg2.m4s"))
		g.accept(fmt.Sprintf("hi/seg%d.m4s", i), v.seconds(float64(2*i), float64(2*i+2)))
	}
	n, _ = records()
	require.Equal(t, first, n, "nothing new is no note")
	require.Equal(t, []string{"hi"}, g.tracks())
}

func TestANoteOfNamesIsBounded(t *testing.T) {
	g := newRig(t)
	v := video(50)
	for i := range 60 {
		dir := fmt.Sprintf("%s%02d", strings.Repeat("d", 500), i)
		g.accept(dir+"/init.mp4", v.init(t))
		g.accept(dir+"/index.m3u8", listing(time.Time{}, "init.mp4", "seg0.m4s"))
		g.accept(dir+"/seg0.m4s", v.seconds(0, 2))
	}
	require.Len(t, g.tracks(), 60)
	require.Less(t, len(g.tl.Noted("input/1/names")), maxNote+1000)
}

func TestTracksWhoseMediaExpiredMakeRoomForOthers(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		for n := range maxTracks + 10 {
			name := fmt.Sprintf("run%dx", n)
			g.accept(name+"/init.cmfv", v.init(t))
			time.Sleep(2 * time.Second)
			g.accept(name+"/0.cmfv", v.seconds(0, 2))
			g.tl.Expire(time.Now().Add(time.Second), 1000)
			require.NoError(t, g.tl.Forget(t.Context()))
		}
		require.Empty(t, g.h.channels[chID].writing.by)
	})
}

func TestTracksThatAreBeingWrittenTakeTheirRoom(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		var ends []func(error) int
		for n := range maxTracks {
			send, end := g.stream(1, fmt.Sprintf("Streams(v%d.cmfv)", n))
			send(v.init(t), v.seconds(0, 1))
			ends = append(ends, end)
		}
		require.Equal(t, http.StatusConflict, g.put("Streams(more.cmfv)", v.init(t), v.seconds(0, 2)))
		for _, end := range ends {
			require.NotEqual(t, http.StatusOK, end(errCut))
		}
		g.tl.Expire(time.Now().Add(time.Hour), 1000)
		g.accept("Streams(more.cmfv)", v.init(t), v.seconds(0, 2))
	})
}

func TestABitrateBeyondAllMeasureIsCut(t *testing.T) {
	g := newRig(t)
	v := &source{kind: media.Video, scale: 90_000, frame: 1, gop: 1, size: 100_000, id: 1}
	g.accept("v/init.cmfv", v.init(t))
	g.accept("v/1.cmfv", v.fragment(0, 0, 2))
	require.Equal(t, maxBitrate, g.tl.State().Tracks[0].Bitrate)
}

func TestManifestsThatAreNotWhatTheySayAreMalformed(t *testing.T) {
	g := newRig(t)
	good := packed(t, listing(time.Time{}, "", "a.ts"))
	for what, body := range map[string][]byte{
		"corrupt blocks": []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff\xff\xff"),
		"a cut file":     good[:len(good)/2],
		"a wrong sum":    append(bytes.Clone(good[:len(good)-8]), 1, 2, 3, 4, 5, 6, 7, 8),
		"no playlist":    packed(t, []byte("<html>")),
	} {
		require.Equal(t, http.StatusBadRequest, g.put("x.m3u8", body), what)
	}
	g = newRig(t, func(g *rig) { g.options.HeldBytes = 1 << 20 })
	bomb := packed(t, bytes.Repeat([]byte("#EXTM3U\n"), 200_000))
	require.Equal(t, http.StatusServiceUnavailable, g.put("x.m3u8", bomb), "it is held as it is unpacked")
	require.Zero(t, g.h.held.used)
}

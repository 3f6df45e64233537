package ingest

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// metadata is a track that is not packaged: one sample in two seconds.
func metadata() *source {
	return &source{kind: media.Video, scale: 12800, frame: 25600, gop: 1, size: 16, id: 1}
}

// metadataInit is its header.
func metadataInit(t *testing.T) []byte {
	return bytes.Replace(video(50).init(t), []byte("vide\x00"), []byte("meta\x00"), 1)
}

func TestStreamsOfTextAndEventsAreReadAndIgnored(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, m := video(50), metadata()
		g.accept("Streams(video.cmfv)", v.init(t))
		for _, name := range []string{"Streams(scte.cmfm)", "text/1.cmft", "Streams(subs.CMFT)"} {
			began := time.Now()
			g.accept(name, metadataInit(t))
			g.accept(name, m.fragment(0, 0, 1))
			require.Zero(t, time.Since(began), name)
		}
		require.Empty(t, g.tracks())
		require.Equal(t, 6, g.counted("left uploads"))
		send, end := g.stream(1, "Streams(scte.cmfm)")
		for n := range 20 {
			send(m.fragment(0, n, n+1))
		}
		require.Equal(t, http.StatusOK, end(errEOF), "a stream of them may be as long as any")
	}, func(g *rig) { g.options.MaxUpload = 1000 })
}

func TestMediaOfARefusedHeaderIsRefusedAtOnceAndTakesNoOther(t *testing.T) {
	for what, names := range map[string]struct{ other, header, part string }{
		"streams": {"Streams(video.cmfv)", "Streams(data)", "Streams(data)"},
		"files":   {"video/init.mp4", "data/init.mp4", "data/1.mp4"},
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v, m := video(50), metadata()
				g.accept(names.other, v.init(t))
				require.Equal(t, http.StatusUnsupportedMediaType, g.put(names.header, metadataInit(t)))
				for n := range 2 {
					began := time.Now()
					require.Equal(t, http.StatusUnsupportedMediaType, g.put(names.part, m.fragment(0, n, n+1)))
					require.Zero(t, time.Since(began))
				}
				require.Empty(t, g.tracks())
				g.accept(names.header, v.init(t))
				g.accept(names.part, v.seconds(0, 2))
				require.Len(t, g.tracks(), 1, "one that can be packaged takes its place")
			})
		})
	}
}

func TestAHeaderThatCannotBePackagedReplacesTheOneBefore(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		g.accept("v/1.cmfv", v.seconds(0, 2))
		require.Equal(t, http.StatusUnsupportedMediaType, g.put("v/init.cmfv", metadataInit(t)))
		require.Equal(t, http.StatusUnsupportedMediaType, g.put("v/2.cmfv", v.seconds(2, 4)))
		g.restart()
		require.Equal(t, http.StatusPreconditionFailed, g.put("v/2.cmfv", v.seconds(2, 4)), "after a restart of the server neither is known")
	})
}

func TestAStreamWithoutItsHeaderIsRefusedSoonWhateverElseIsThere(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.accept("Streams(video.cmfv)", video(50).init(t))
		began := time.Now()
		require.Equal(t, http.StatusPreconditionFailed, g.put("Streams(other.cmfv)", metadata().fragment(0, 0, 1)))
		require.LessOrEqual(t, time.Since(began), patienceOwn)
		require.Empty(t, g.tracks())

		status := make(chan int, 1)
		go func() { status <- g.put("Streams(late.cmfv)", video(50).seconds(0, 2)) }()
		time.Sleep(patienceOwn / 2)
		g.accept("Streams(late.cmfv)", video(50).init(t))
		require.Equal(t, http.StatusOK, <-status, "a header that was overtaken")
	})
}

// transport makes MPEG-TS of two seconds: H.264 and sound as options say.
func transport(t *testing.T, options ...string) []byte {
	t.Helper()
	at := filepath.Join(t.TempDir(), "0.ts")
	args := append([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000",
		"-t", "2", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50"}, options...)
	out, err := exec.CommandContext(t.Context(), "ffmpeg", append(args, at)...).CombinedOutput()
	require.NoError(t, err, string(out))
	b, err := os.ReadFile(at)
	require.NoError(t, err)
	return b
}

func TestTracksOfATransportStreamThatAreNotPackagedAreCounted(t *testing.T) {
	b := transport(t, "-map", "0", "-map", "1", "-map", "1", "-c:a:0", "aac", "-c:a:1", "mp2")
	bubble(t, func(t *testing.T, g *rig) {
		g.accept("ts/0.ts", b)
		require.ElementsMatch(t, []string{"ts-v", "ts-a"}, g.tracks())
		require.Equal(t, 1, g.counted("left tracks"))
		require.Zero(t, g.counted("left packets"))
	})
}

func TestLostPacketsAreCounted(t *testing.T) {
	b := transport(t, "-c:a", "aac")
	const packet, from = 188, 40
	b = append(b[:packet*from:packet*from], b[packet*(from+3):]...)
	bubble(t, func(t *testing.T, g *rig) {
		g.accept("ts/0.ts", b)
		require.Positive(t, g.counted("left packets"))
	})
}

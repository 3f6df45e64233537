package ingest

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/ingest/demux"
	"headwater/origin/ingest/manifest"
)

func TestWhatFileNamesSay(t *testing.T) {
	for name, want := range map[string]string{
		"index0.ts": "index", "chunk-stream0-00001.m4s": "stream0", "hi/seg00012.m4s": "seg", "chan_1_00001.ts": "chan_1",
		"video/123.cmfv": "", "out_010.ts": "out", "segment_720p_17.m4s": "720p",
		"s/c-00001-x.ts": "c-x", "00007-x.ts": "x", "c 00001 x.ts": "c  x", "video1080p.cmfv": "video1080p", "c-1-00017-x.ts": "c-1-x",
		"seg00001_720p.ts": "720p", "a.ts": "a",
	} {
		require.Equal(t, want, mediaStem(name), name)
	}
	for name, want := range map[string]string{
		"init-stream0.m4s": "stream0", "init.mp4": "", "hi/init_0.mp4": "0", "v/720p.init": "720p", "header.mp4": "",
	} {
		got, ok := initStem(name)
		require.True(t, ok, name)
		require.Equal(t, want, got, name)
	}
	_, ok := initStem("chunk-stream0-00001.m4s")
	require.False(t, ok)
}

func TestVariantsAreNamedByDirectoryWhereTheFileNameSaysNothing(t *testing.T) {
	require.Equal(t, "hi", variantOf("hi", "seg"))
	require.Equal(t, "hi-720p", variantOf("hi", "720p"))
	require.Equal(t, "index", variantOf(".", "index"))
	require.Equal(t, "main", variantOf(".", ""))
	require.Equal(t, "a-b", slug("a/b"))
}

func TestStreamsURLs(t *testing.T) {
	for name, want := range map[string]string{
		"Streams(video-300k.cmfv)": "video-300k", "pub.isml/streams(a.cmfa)": "a", "x/Streams(Encoder1)": "Encoder1",
	} {
		got, ok := streamName(name)
		require.True(t, ok, name)
		require.Equal(t, want, got)
	}
	_, ok := streamName("index.m3u8")
	require.False(t, ok)
}

// shortly fails a test that waits for something that is there already.
func shortly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestAPlaylistSaysWhichVariantAndInitAFileBelongsTo(t *testing.T) {
	n := newNames()
	lo, hi := &demux.Init{Raw: []byte("lo")}, &demux.Init{Raw: []byte("hi")}
	n.setInit("init_0.mp4", hi)
	n.setInit("init_1.mp4", lo)
	n.setPlaylist("out_0.m3u8", &manifest.Playlist{Segments: []manifest.Segment{{URI: "out_00.m4s", Map: "init_0.mp4"}}})
	n.setPlaylist("out_1.m3u8", &manifest.Playlist{Segments: []manifest.Segment{{URI: "http://origin/in/v1/g/1/c/out_10.m4s", Map: "init_1.mp4"}}})

	got, err := n.initFor(shortly(t), "out_10.m4s", 0)
	require.NoError(t, err)
	require.Same(t, lo, got)
	v, fresh := n.variant(shortly(t), "out_10.m4s")
	require.Equal(t, "out-1", v)
	require.False(t, fresh)
	v, _ = n.variant(shortly(t), "out_0123.m4s")
	require.Equal(t, "out-0", v, "a file not listed yet goes by the playlist whose name it begins with")
}

func TestAnInitSegmentMayCompleteAfterItsMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNames()
		n.beginInit("init.mp4")
		time.AfterFunc(3*time.Second, func() {
			n.setInit("init.mp4", &demux.Init{Raw: []byte("late")})
			n.endInit("init.mp4")
		})
		began := time.Now()
		got, err := n.initFor(t.Context(), "index0.m4s", 0)
		require.NoError(t, err)
		require.Equal(t, "late", string(got.Raw))
		require.Equal(t, 3*time.Second, time.Since(began).Round(time.Second))
	})
}

func TestAnInitSegmentWhoseUploadHangsIsWaitedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNames()
		n.setInit("v/init.mp4", &demux.Init{Raw: []byte("old")})
		n.beginInit("v/init.mp4") // and the network dies
		waits := func(want string, most time.Duration) {
			t.Helper()
			began := time.Now()
			got, err := n.initFor(t.Context(), "v/1.m4s", 2*time.Second)
			require.NoError(t, err)
			require.Equal(t, want, string(got.Raw))
			require.LessOrEqual(t, time.Since(began), most)
		}
		waits("old", 3*time.Second)
		waits("old", 0)
		n.beginInit("v/init.mp4") // sent again, by an encoder that began anew
		time.AfterFunc(2*time.Second, func() {
			n.setInit("v/init.mp4", &demux.Init{Raw: []byte("new")})
			n.endInit("v/init.mp4")
		})
		waits("new", 2*time.Second)
		waits("new", 0)
	})
}

func TestDatesAreNotPartOfWhatAVariantIsCalled(t *testing.T) {
	for name, want := range map[string]string{
		"20261125/033719/f-1795577839.ts": "#|f", "seg_2026-11-25_03-38-36.m4s": ".|#", "2026/11/25/03/seg-7.ts": "#|seg",
		"hi/20261125T033719/00012.ts": "hi/#|", "v_2000000/seg1.m4s": "v_2000000|seg", "1280x720_1500000/1.ts": "1280x720_1500000|",
		"20261125033719.ts": ".|", "c-1795577839123-x.ts": ".|c-x",
	} {
		require.Equal(t, want, stemKey(name), name)
	}
}

func TestMediaWithoutInitSegmentIsRefusedAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := newNames().initFor(t.Context(), "index0.m4s", 0)
		require.ErrorIs(t, err, demux.ErrNoInit)
	})
}

func TestAFileThatNoPlaylistListsKeepsItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNames()
		v, fresh := n.variant(t.Context(), "seg0.ts")
		require.Equal(t, "seg", v)
		require.True(t, fresh)
		n.setPlaylist("live.m3u8", &manifest.Playlist{})
		v, fresh = n.variant(t.Context(), "seg1.ts")
		require.Equal(t, "seg", v)
		require.False(t, fresh)

		n.alive("seg", time.Now()) // media came
		raw, err := json.Marshal(n.saved())
		require.NoError(t, err)
		again := newNames()
		again.restore(raw)
		v, _ = again.variant(shortly(t), "seg2.ts")
		require.Equal(t, "seg", v, "after a restart of the server too")
	})
}

func TestThePlaylistsURIsAreDecoded(t *testing.T) {
	for ref, want := range map[string]string{
		"c%2000001%20x.ts": "p/c 00001 x.ts", "100%.ts": "p/100%.ts", "s/a%2Fb.ts?q=%20": "p/s/a/b.ts",
		"http://origin/in/v1/g/1/c/p/c%20x.ts": "p/c x.ts",
	} {
		require.Equal(t, want, resolve("p/index.m3u8", ref), ref)
	}
}

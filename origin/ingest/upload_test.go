package ingest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/ingest/demux"
	"headwater/storage"
)

// bubble runs a test in a synctest bubble.
func bubble(t *testing.T, test func(t *testing.T, g *rig), change ...func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newRig(t, change...)) })
}

// live puts segments [from, to) of two seconds as an encoder does that lives by the clock.
func (g *rig) live(s *source, dir string, from, to int) {
	g.tb.Helper()
	for n := from; n < to; n++ {
		time.Sleep(2 * time.Second)
		g.accept(fmt.Sprintf("%s/%d.cmfv", dir, n), s.seconds(float64(2*n), float64(2*n+2)))
	}
}

func TestSegmentsFollowOneAnother(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v, a := video(50), audio()
		g.accept("v/init.cmfv", v.init(t))
		g.accept("a/init.cmfa", a.init(t))
		for n := range 5 {
			time.Sleep(2 * time.Second)
			g.accept(fmt.Sprintf("v/%d.cmfv", n), v.seconds(float64(2*n), float64(2*n+2)))
			g.accept(fmt.Sprintf("a/%d.cmfa", n), a.seconds(float64(2*n), float64(2*n+2)))
		}
		segs := g.segments("v")
		require.Len(t, segs, 5)
		regular(t, segs, v.scale, 2*time.Second)
		require.Len(t, g.segments("a"), 5)
		require.Len(t, g.stored("v", segs[4])[0].Samples, 50)
		st, ok := g.h.Status(chID)
		require.True(t, ok)
		require.Equal(t, 10, st.Accepted)
		require.Equal(t, "arrival", st.Clock)
		g.clean()
	})
}

func TestABodyThatIsCutOffShowsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		g.live(v, "v", 0, 2)
		whole := append(v.seconds(4, 5), v.seconds(5, 6)...)
		for _, at := range []int{0, 4, 100, len(whole) / 2, len(whole) - 1, len(whole)} {
			w := g.request(http.MethodPut, 1, "v/2.cmfv", cut(whole[:at]))
			require.Equal(t, http.StatusBadRequest, w.Code, "cut at %d", at)
			require.Len(t, g.segments("v"), 2)
			g.clean()
		}
		require.Equal(t, 6, g.counted("rejected truncated"))
		st, _ := g.h.Status(chID)
		require.Equal(t, "truncated: v/2.cmfv", st.LastRejected)
		g.accept("v/2.cmfv", whole)
		require.Len(t, g.segments("v"), 3)
	})
}

func TestACutInitSegmentDoesNotReplaceTheOneBefore(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		other := initOf(t, spss[1], video(50))
		require.Equal(t, http.StatusBadRequest, g.request(http.MethodPut, 1, "v/init.cmfv", cut(other[:len(other)-9])).Code)
		g.live(v, "v", 0, 2)
		before, err := demux.ParseInit(v.init(t))
		require.NoError(t, err)
		require.Equal(t, before.Tracks[0].Config.ID, g.segments("v")[0].Config.ID)
	})
}

func TestTheSameSegmentAgainIsSuccessAndNothingNew(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		g.live(v, "v", 0, 3)
		before := g.segments("v")
		version := g.tl.Version()
		g.accept("v/2.cmfv", v.seconds(4, 6))
		other := bytes.ReplaceAll(v.seconds(4, 6), []byte{0x41}, []byte{0x42})
		g.accept("v/2.cmfv", other)
		require.Equal(t, before, g.segments("v"))
		require.Equal(t, version, g.tl.Version())
		require.Equal(t, 2, g.counted("duplicate"))
		g.stored("v", before[2])
		g.clean()
	})
}

func TestOfTwoUploadsOfOneSegmentAtOnceOneIsStored(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		g.live(v, "v", 0, 1)
		whole := v.seconds(2, 4)
		send, end := g.stream(1, "v/1.cmfv")
		send(whole[:3000])
		g.accept("v/1.cmfv", whole)
		send(whole[3000:])
		require.Equal(t, http.StatusOK, end(io.EOF))
		require.Len(t, g.segments("v"), 2)
		require.Equal(t, 1, g.counted("duplicate"))
		g.stored("v", g.segments("v")[1])
	})
}

func TestAnUploadThatIsTriedAgainTakesThePlaceOfTheOneThatStalled(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		g.live(v, "v", 0, 1)
		whole := v.seconds(2, 4)
		send, end := g.stream(1, "v/1.cmfv")
		send(whole[:3000])
		again := make(chan int, 1)
		go func() { again <- g.put("v/1.cmfv", whole) }()
		time.Sleep(3 * time.Second)
		require.Equal(t, http.StatusBadRequest, end(errCut))
		require.Equal(t, http.StatusOK, <-again)
		require.Len(t, g.segments("v"), 2)
		g.clean()
	})
}

func TestAFailureOfStorageLeavesNothingBehind(t *testing.T) {
	tests := []struct {
		name   string
		status int
		fail   func(*faults)
		heal   func(*faults)
	}{
		{"a full disk answers 507", 507, func(f *faults) { f.full = true }, func(f *faults) { f.full = false }},
		{"a journal that fails answers 503", 503, func(f *faults) { f.journal = storage.ErrIO }, func(f *faults) { f.journal = nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				v, a := video(50), audio()
				g.accept("v/init.cmfv", v.init(t))
				g.accept("Streams(a.cmfa)", a.init(t))
				g.faults.set(func() { tt.fail(g.faults) })
				for range 2 {
					require.Equal(t, tt.status, g.put("v/0.cmfv", v.seconds(0, 2)))
				}
				g.faults.set(func() { tt.heal(g.faults) })
				g.clean()
				g.live(v, "v", 0, 2)
				g.faults.set(func() { tt.fail(g.faults) })
				require.Equal(t, tt.status, g.put("v/2.cmfv", v.seconds(4, 6)))
				require.Equal(t, tt.status, g.put("Streams(x.cmfv)", v.init(t), v.seconds(4, 6)))
				require.Equal(t, tt.status, g.put("Streams(a.cmfa)", a.init(t), a.seconds(0, 2), a.seconds(2, 4), a.seconds(4, 6)))
				g.faults.set(func() { tt.heal(g.faults) })
				g.clean()
				g.live(v, "v", 2, 3)
				require.Len(t, g.segments("v"), 3)
				regular(t, g.segments("v"), v.scale, 2*time.Second)
				require.Zero(t, g.counted("duplicate"))
			})
		})
	}
}

func TestBoundsOfABody(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		g.accept("v/init.cmfv", v.init(t))
		require.Equal(t, http.StatusRequestEntityTooLarge, g.put("v/0.cmfv", v.seconds(0, 2), v.seconds(2, 10)))
		require.Empty(t, g.segments("v"))
		require.Equal(t, 1, g.counted("rejected max_upload"))
		g.clean()
		send, end := g.stream(1, "Streams(e.cmfv)")
		send(v.init(t))
		for n := range 10 {
			time.Sleep(2 * time.Second)
			send(v.seconds(float64(2*n), float64(2*n+2)))
		}
		require.Equal(t, http.StatusOK, end(io.EOF), "an endless stream has no end")
		require.Len(t, g.segments("e"), 10)
	}, func(g *rig) { g.options.MaxUpload = 10_000 })
}

func TestAFragmentOfAnEndlessStreamIsBoundedInMemory(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		v := video(50)
		require.Equal(t, http.StatusRequestEntityTooLarge, g.put("Streams(e.cmfv)", v.init(t), v.seconds(0, 2)))
		require.Equal(t, http.StatusRequestEntityTooLarge, g.put("Streams(a.cmfv)", audio().init(t), audio().seconds(0, 8)))
		g.clean()
	}, func(g *rig) {
		g.options.Limits.Header, g.options.Limits.Fragment, g.options.Limits.Samples = 1<<20, 4000, 1000
	})
}

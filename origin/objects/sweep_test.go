package objects

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/container"
	"headwater/storage"
	"headwater/storage/mem"
)

// watchedEngine counts what a sweep does, and can meddle.
type watchedEngine struct {
	engine
	looked  int
	deletes int
	before  func(storage.Info) error // a deletion
}

func (e *watchedEngine) Attributed(ctx context.Context, c, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		for info, err := range e.engine.Attributed(ctx, c, prefix, after) {
			e.looked++
			if !yield(info, err) {
				return
			}
		}
	}
}

func (e *watchedEngine) DeleteVersion(ctx context.Context, info storage.Info) error {
	if e.before != nil {
		if err := e.before(info); err != nil {
			return err
		}
	}
	e.deletes++
	return e.engine.(storage.Remover).DeleteVersion(ctx, info)
}

const (
	afterADay = `{"rules":[{"definition":{"path":[{"prefix":""}],"days_since_create":[{"numeric":[">=",1]}]},"action":"EXPIRE"}]}`
	day       = 24 * time.Hour
)

// swept is a rig with a sweep, which counts what it deletes.
func swept(t *testing.T, policy string) (*rig, *Sweep, *watchedEngine, *int) {
	t.Helper()
	var e *watchedEngine
	g := newRig(t, func(g *rig) { e = &watchedEngine{engine: g.engine}; g.engine = e })
	g.changeContainer(func(c *container.Container) { c.Lifecycle = policy })
	deleted := new(int)
	return g, NewSweep(SweepOptions{Containers: g.registry.List, Index: e, Remover: e, Now: func() time.Time { return g.now },
		Expired: func(_ *container.Container, n int) { *deleted += n }, Log: slog.New(slog.DiscardHandler)}), e, deleted
}

// stored reports whether an object is in storage, expired or not.
func (g *rig) stored(path string) bool {
	_, err := g.engine.Stat(g.t.Context(), storage.Key{Container: g.container.ID, Path: path})
	return err == nil
}

func TestWhatHasExpiredIsDeleted(t *testing.T) {
	g, s, e, deleted := swept(t, transientPlaylists)
	g.put("/a.m3u8", "x")
	g.put("/a.ts", "x")
	require.True(t, s.Round(t.Context()))
	require.True(t, g.stored("a.m3u8"))
	require.False(t, s.Round(t.Context()), "nothing is due")
	g.now = g.now.Add(10 * time.Second)
	g.put("/b.m3u8", "x")
	g.now = g.now.Add(10 * time.Second)
	require.True(t, s.Round(t.Context()))
	require.False(t, g.stored("a.m3u8"))
	require.True(t, g.stored("b.m3u8"))
	require.True(t, g.stored("a.ts"))
	require.Equal(t, 1, *deleted)
	for range 8 {
		g.now = g.now.Add(sweepPoll)
		s.Round(t.Context())
	}
	require.False(t, g.stored("b.m3u8"), "within a minute of its time")
	require.Equal(t, 2, e.deletes)
}

func TestAnObjectThatIsReplacedBetweenLookAndDeleteStays(t *testing.T) {
	g, s, e, deleted := swept(t, transientPlaylists)
	g.put("/a.m3u8", "old")
	g.now = g.now.Add(15 * time.Second)
	e.before = func(storage.Info) error { g.put("/a.m3u8", "new"); return nil }
	require.True(t, s.Round(t.Context()))
	require.Equal(t, 1, e.deletes)
	require.Zero(t, *deleted)
	require.Equal(t, "new", g.do(http.MethodGet, "/a.m3u8", nil).body)
}

func TestALargeContainerIsSweptInBatchesAndHoldsUpNoOther(t *testing.T) {
	g, s, e, deleted := swept(t, afterADay)
	const count = 2*sweepBatch + 10
	for i := range count {
		_, err := g.opt.Store.Put(t.Context(), storage.Key{Container: g.container.ID, Path: fmt.Sprintf("d/%06d", i)}, storage.Attrs{ETag: "e"}, http.NoBody)
		require.NoError(t, err)
	}
	other, err := g.registry.Create(t.Context(), "small", nil)
	require.NoError(t, err)
	_, err = g.registry.Change(t.Context(), "small", func(c *container.Container) error { c.Lifecycle = afterADay; return nil })
	require.NoError(t, err)
	key := storage.Key{Container: other.ID, Path: "a"}
	_, err = g.opt.Store.Put(t.Context(), key, storage.Attrs{ETag: "e"}, http.NoBody)
	require.NoError(t, err)
	g.now = g.now.Add(day)
	for i, want := range []int{sweepBatch + 1, 2*sweepBatch + 1, count + 1} {
		before := e.looked
		require.True(t, s.Round(t.Context()))
		require.Equal(t, want, *deleted)
		require.LessOrEqual(t, e.looked-before, sweepBatch+2, "batches are bounded: %d", i)
	}
	_, err = g.engine.Stat(t.Context(), key)
	require.ErrorIs(t, err, storage.ErrNotFound)
	require.False(t, s.Round(t.Context()))
}

func TestNobodyLooksBeforeSomethingIsDue(t *testing.T) {
	g, s, e, _ := swept(t, afterADay)
	for i := range 10 {
		g.put(fmt.Sprint("/", i), "x")
	}
	require.True(t, s.Round(t.Context()))
	require.Equal(t, 10, e.looked)
	for range 59 {
		g.now = g.now.Add(time.Minute)
		require.False(t, s.Round(t.Context()))
	}
	g.now = g.now.Add(time.Minute)
	require.True(t, s.Round(t.Context()), "once an hour all the same")
	g.changeContainer(func(c *container.Container) { c.Lifecycle = transientPlaylists })
	require.True(t, s.Round(t.Context()), "a new policy is looked at at once")
	g.changeContainer(func(c *container.Container) { c.Lifecycle = "" })
	require.False(t, s.Round(t.Context()))
	require.Empty(t, s.passes)
}

func TestWhatCannotBeDeletedIsTriedAgain(t *testing.T) {
	g, s, e, deleted := swept(t, transientPlaylists)
	g.put("/a.m3u8", "x")
	g.put("/b.m3u8", "x")
	g.now = g.now.Add(15 * time.Second)
	e.before = func(info storage.Info) error {
		if info.Key.Path == "a.m3u8" {
			return errors.New("the disk fails")
		}
		return nil
	}
	require.True(t, s.Round(t.Context()))
	require.Equal(t, 1, *deleted, "the others are deleted")
	e.before = nil
	require.False(t, s.Round(t.Context()))
	for range 10 {
		g.now = g.now.Add(sweepPoll)
		s.Round(t.Context())
	}
	require.Equal(t, 2, *deleted)
}

func TestASweepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := mem.New(time.Now)
		registry, err := container.Open(t.Context(), e, container.Options{Now: time.Now})
		require.NoError(t, err)
		c, err := registry.Create(t.Context(), "a", nil)
		require.NoError(t, err)
		_, err = registry.Change(t.Context(), "a", func(c *container.Container) error { c.Lifecycle = transientPlaylists; return nil })
		require.NoError(t, err)
		up, err := e.Create(t.Context(), storage.Key{Container: c.ID, Path: "a.m3u8"}, storage.Attrs{ETag: "e"})
		require.NoError(t, err)
		info, err := up.Commit(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			NewSweep(SweepOptions{Containers: registry.List, Index: e, Remover: e, Now: time.Now, Log: slog.New(slog.DiscardHandler)}).Run(ctx)
		}()
		time.Sleep(15*time.Second + time.Minute)
		synctest.Wait()
		_, err = e.Stat(t.Context(), info.Key)
		require.ErrorIs(t, err, storage.ErrNotFound)
		cancel()
		<-done
	})
}

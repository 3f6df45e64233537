package playback

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func length(_ string, b []byte) int64 { return int64(len(b)) }

func TestMemoMakesAValueOnceForAllWhoAskAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemo(100, length)
		var made atomic.Int32
		let := make(chan struct{})
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				v, err := m.get(t.Context(), "a", func() ([]byte, error) {
					<-let
					made.Add(1)
					return []byte("value"), nil
				})
				if err != nil || string(v) != "value" {
					t.Error(string(v), err)
				}
			})
		}
		synctest.Wait()
		close(let)
		all.Wait()
		require.EqualValues(t, 1, made.Load())
		require.EqualValues(t, 5, m.used)
	})
}

func TestMemoStaysWithinItsBytes(t *testing.T) {
	m := newMemo(100, length)
	get := func(key string, n int) bool {
		fresh := false
		v, err := m.get(t.Context(), key, func() ([]byte, error) {
			fresh = true
			return make([]byte, n), nil
		})
		require.NoError(t, err)
		require.Len(t, v, n)
		require.LessOrEqual(t, m.used, int64(100))
		require.Len(t, m.entries, m.recent.Len())
		return fresh
	}
	require.True(t, get("a", 40))
	require.True(t, get("b", 40))
	require.False(t, get("a", 40))
	require.True(t, get("c", 40), "the least recently used goes")
	require.True(t, get("b", 40))
	require.True(t, get("a", 40))
	require.True(t, get("huge", 101), "what is larger than everything is not kept")
	require.True(t, get("huge", 101))
}

func TestMemoKeepsNeitherErrorsNorPanics(t *testing.T) {
	m := newMemo(100, length)
	_, err := m.get(t.Context(), "a", func() ([]byte, error) { return nil, errors.New("not now") })
	require.EqualError(t, err, "not now")
	_, err = m.get(t.Context(), "a", func() ([]byte, error) { panic("on purpose") })
	require.ErrorContains(t, err, "on purpose")
	v, err := m.get(t.Context(), "a", func() ([]byte, error) { return []byte("x"), nil })
	require.NoError(t, err)
	require.Equal(t, "x", string(v))
	require.EqualValues(t, 1, m.used)
}

func TestMemoWaitsForWhatIsBeingMadeWhileOthersMakeRoom(t *testing.T) {
	m := newMemo(10, length)
	_, err := m.get(t.Context(), "slow", func() ([]byte, error) {
		for _, key := range []string{"a", "b", "c"} {
			_, err := m.get(t.Context(), key, func() ([]byte, error) { return make([]byte, 8), nil })
			require.NoError(t, err)
		}
		return []byte("slow"), nil
	})
	require.NoError(t, err)
	v, err := m.get(t.Context(), "slow", func() ([]byte, error) { return nil, errors.New("made again") })
	require.NoError(t, err)
	require.Equal(t, "slow", string(v))
	require.EqualValues(t, 4, m.used)
}

func TestMemoSparesAValueOnceItIsGoneAndNobodyUsesIt(t *testing.T) {
	m := newMemo(100, length)
	var spared []string
	m.spare = func(b []byte) { spared = append(spared, string(b[:1])) }
	hold := func(name string) *memoEntry[string, []byte] {
		e, err := m.hold(t.Context(), name, func() ([]byte, error) { return append([]byte(name), make([]byte, 59)...), nil })
		require.NoError(t, err)
		return e
	}
	a, again := hold("a"), hold("a")
	b := hold("b")
	require.Empty(t, spared, "a has gone but is held")
	m.release(a, false)
	require.Empty(t, spared)
	m.release(again, false)
	require.Equal(t, []string{"a"}, spared)
	m.release(b, false)
	require.Equal(t, []string{"a"}, spared, "b is kept")
	c := hold("c")
	require.Equal(t, []string{"a", "b"}, spared, "b makes room")
	m.release(c, true)
	d := hold("d")
	require.Equal(t, []string{"a", "b"}, spared, "a connection may still have c")
	m.release(d, false)
}

func TestMemoMakesAFewValuesAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemo(100, length)
		m.slots = make(chan struct{}, 2)
		var now, most atomic.Int32
		let := make(chan struct{})
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				_, err := m.get(t.Context(), strconv.Itoa(i), func() ([]byte, error) {
					defer now.Add(-1)
					if n := now.Add(1); n > most.Load() {
						most.Store(n)
					}
					<-let
					return []byte("x"), nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		require.EqualValues(t, 2, now.Load())
		close(let)
		all.Wait()
		require.EqualValues(t, 2, most.Load())
		require.Empty(t, m.slots)
	})
}

// Who is to make the value waits for a slot, others for the value, and whoever leaves leaves the work to those who stay.
func TestMemoWaitsNoLongerThanItsCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemo(100, length)
		m.slots = make(chan struct{}, 1)
		m.slots <- struct{}{}
		made := 0
		ask := func(ctx context.Context) chan error {
			done := make(chan error, 1)
			go func() {
				v, err := m.get(ctx, "a", func() ([]byte, error) {
					made++
					return []byte("value"), nil
				})
				if err == nil && string(v) != "value" {
					err = errors.New("got " + string(v))
				}
				done <- err
			}()
			synctest.Wait()
			return done
		}
		maker, makerLeaves := context.WithCancel(t.Context())
		waiter, waiterLeaves := context.WithCancel(t.Context())
		first, second, third, fourth := ask(maker), ask(waiter), ask(t.Context()), ask(t.Context())
		waiterLeaves()
		require.ErrorIs(t, <-second, context.Canceled)
		makerLeaves()
		require.ErrorIs(t, <-first, context.Canceled)
		synctest.Wait()
		require.Zero(t, made)
		<-m.slots
		require.NoError(t, <-third)
		require.NoError(t, <-fourth)
		require.Equal(t, 1, made)
		require.Empty(t, m.slots)
		require.EqualValues(t, 5, m.used)
	})
}

func TestMemoGivesASlotBackAfterAPanic(t *testing.T) {
	m := newMemo(100, length)
	m.slots = make(chan struct{}, 1)
	_, err := m.get(t.Context(), "a", func() ([]byte, error) { panic("on purpose") })
	require.ErrorContains(t, err, "on purpose")
	require.Empty(t, m.slots)
}

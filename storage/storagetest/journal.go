package storagetest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/storage"
)

// RunJournal runs the part of the suite that is about records.
func RunJournal(t *testing.T, open func(t *testing.T) Engine) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, e Engine)
	}{
		{"records come back in order with positions from 1, also after a restart", appendRead},
		{"trimmed records are gone and positions go on", trim},
		{"streams are listed, independent and can be dropped", streams},
		{"a reader sees the stream as it was when it began", readSnapshot},
		{"what a reader got stays as it is", recordsKept},
		{"concurrent appends to many streams are each whole and in order", concurrentAppends},
		{"an ended context changes nothing in the journal", journalCancelled},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func appendAll(t *testing.T, j storage.Journal, stream string, data ...[]byte) storage.Position {
	t.Helper()
	last, err := j.Append(context.Background(), stream, data...)
	require.NoError(t, err)
	return last
}

// requireRecords wants exactly data, at positions from first, when read from position from.
func requireRecords(t *testing.T, j storage.Journal, stream string, from, first storage.Position, data [][]byte) {
	t.Helper()
	i := 0
	for record, err := range j.Read(context.Background(), stream, from) {
		require.NoError(t, err)
		require.Less(t, i, len(data))
		require.Equal(t, first+storage.Position(i), record.Position)
		require.True(t, string(data[i]) == string(record.Data), "record %d", record.Position)
		i++
	}
	require.Equal(t, len(data), i)
}

func appendRead(t *testing.T, e Engine) {
	all := records(5000, "record %d")
	all[7], all[8] = []byte{}, Content("big", 300_000)
	requireRecords(t, e.Journal, "s", 0, 1, nil)
	require.EqualValues(t, 0, appendAll(t, e.Journal, "s"))
	require.EqualValues(t, 1, appendAll(t, e.Journal, "s", all[0]))
	require.EqualValues(t, 3000, appendAll(t, e.Journal, "s", all[1:3000]...))
	require.EqualValues(t, 3000, appendAll(t, e.Journal, "s"))
	e = e.Reopen(t)
	require.EqualValues(t, 5000, appendAll(t, e.Journal, "s", all[3000:]...))
	for _, from := range []storage.Position{0, 1, 2, 8, 9, 10, 1024, 1025, 4999, 5000, 5001, 1 << 40, 1<<64 - 1} {
		first := max(from, 1)
		requireRecords(t, e.Journal, "s", from, first, all[min(first-1, 5000):])
	}
	for range e.Journal.Read(context.Background(), "s", 1) {
		break
	}
}

func trim(t *testing.T, e Engine) {
	ctx := context.Background()
	all := records(10_000, "%d")
	require.NoError(t, e.Journal.Trim(ctx, "s", 5))
	names, err := e.Journal.Streams(ctx)
	require.NoError(t, err)
	require.Empty(t, names)
	appendAll(t, e.Journal, "s", all...)
	for _, before := range []storage.Position{0, 1, 2, 100, 50, 9500} {
		require.NoError(t, e.Journal.Trim(ctx, "s", before))
	}
	requireRecords(t, e.Journal, "s", 0, 9500, all[9499:])
	requireRecords(t, e.Journal, "s", 9400, 9500, all[9499:])
	requireRecords(t, e.Journal, "s", 9501, 9501, all[9500:])
	e = e.Reopen(t)
	requireRecords(t, e.Journal, "s", 0, 9500, all[9499:])
	require.NoError(t, e.Journal.Trim(ctx, "s", 1<<63))
	requireRecords(t, e.Journal, "s", 0, 0, nil)
	e = e.Reopen(t)
	names, err = e.Journal.Streams(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"s"}, names)
	require.EqualValues(t, 10_000, appendAll(t, e.Journal, "s"))
	require.EqualValues(t, 10_001, appendAll(t, e.Journal, "s", []byte("next")))
	requireRecords(t, e.Journal, "s", 0, 10_001, [][]byte{[]byte("next")})
}

func streams(t *testing.T, e Engine) {
	ctx := context.Background()
	names := []string{"a", "a/b", "default/1/news", "z\x00\xff", "é"}
	for i := len(names) - 1; i >= 0; i-- {
		require.EqualValues(t, 1, appendAll(t, e.Journal, names[i], []byte(names[i])))
	}
	e = e.Reopen(t)
	got, err := e.Journal.Streams(ctx)
	require.NoError(t, err)
	require.Equal(t, names, got)
	for _, name := range names {
		requireRecords(t, e.Journal, name, 0, 1, [][]byte{[]byte(name)})
	}
	require.NoError(t, e.Journal.Drop(ctx, "a"))
	require.NoError(t, e.Journal.Drop(ctx, "never"))
	requireRecords(t, e.Journal, "a", 0, 1, nil)
	got, err = e.Journal.Streams(ctx)
	require.NoError(t, err)
	require.Equal(t, names[1:], got)
	require.EqualValues(t, 1, appendAll(t, e.Journal, "a", []byte("again")))
	_, err = e.Journal.Append(ctx, "", []byte("x"))
	require.ErrorIs(t, err, storage.ErrInvalidKey)
}

func readSnapshot(t *testing.T, e Engine) {
	ctx := context.Background()
	appendAll(t, e.Journal, "s", records(3000, "%d")...)
	n := 0
	for record, err := range e.Journal.Read(ctx, "s", 1) {
		require.NoError(t, err)
		n++
		require.EqualValues(t, n, record.Position)
		if n%500 == 1 {
			appendAll(t, e.Journal, "s", []byte("later")) // a consumer may write while it reads
		}
	}
	require.Equal(t, 3000, n)
}

func recordsKept(t *testing.T, e Engine) {
	own := []byte("mine")
	appendAll(t, e.Journal, "s", own)
	copy(own, "gone")
	for range 2 {
		for record, err := range e.Journal.Read(context.Background(), "s", 1) {
			require.NoError(t, err)
			require.Equal(t, "mine", string(record.Data))
			record.Data = append(record.Data[:0], "xxxx and more"...)
		}
	}
}

func concurrentAppends(t *testing.T, e Engine) {
	const writers, rounds = 16, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for r := range rounds {
				last, err := e.Journal.Append(context.Background(), fmt.Sprint("s", w%8),
					fmt.Appendf(nil, "%d %d a", w, r), fmt.Appendf(nil, "%d %d b", w, r))
				if err != nil || last%2 != 0 {
					t.Errorf("append: position %d, %v", last, err)
				}
			}
		})
	}
	wg.Wait()
	e = e.Reopen(t)
	for s := range 8 {
		next := map[int]int{s: 0, s + 8: 0}
		var first string
		for record, err := range e.Journal.Read(context.Background(), fmt.Sprint("s", s), 0) {
			require.NoError(t, err)
			if record.Position%2 == 1 {
				first = string(record.Data)
				continue
			}
			var w, r int
			_, err := fmt.Sscanf(string(record.Data), "%d %d b", &w, &r)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("%d %d a", w, r), first)
			require.Equal(t, next[w], r)
			next[w]++
		}
		require.Equal(t, map[int]int{s: rounds, s + 8: rounds}, next)
	}
}

func journalCancelled(t *testing.T, e Engine) {
	appendAll(t, e.Journal, "s", []byte("x"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := e.Journal.Append(ctx, "s", []byte("y"))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, e.Journal.Trim(ctx, "s", 2), context.Canceled)
	require.ErrorIs(t, e.Journal.Drop(ctx, "s"), context.Canceled)
	_, err = e.Journal.Streams(ctx)
	require.ErrorIs(t, err, context.Canceled)
	for _, err := range e.Journal.Read(ctx, "s", 0) {
		require.ErrorIs(t, err, context.Canceled)
	}
	requireRecords(t, e.Journal, "s", 0, 1, [][]byte{[]byte("x")})
}

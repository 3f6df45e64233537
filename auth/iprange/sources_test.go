package iprange_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"headwater/auth/iprange"
)

// write replaces a file and gives it a time of its own, as file systems with coarse clocks need.
func write(t *testing.T, file, text string, age time.Duration) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	when := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(age)
	require.NoError(t, os.Chtimes(file, when, when))
}

func TestSourcesFollowTheirFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "edges.txt")
	write(t, file, "192.0.2.0/24\n", 0)
	var log strings.Builder
	s := iprange.NewSources(slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, s.Set([]iprange.Source{{Name: "edges", File: file}}))
	require.True(t, s.Has("edges"))
	require.False(t, s.Has("other"))
	require.True(t, s.Contains(addr("192.0.2.1"), "other", "edges"), "any of the names is enough")
	require.False(t, s.Contains(addr("192.0.2.1"), "other"), "an unknown name holds nothing")
	require.False(t, s.Contains(addr("192.0.2.1")))

	s.Refresh()
	require.Empty(t, log.String(), "a file that has not changed is not read again")

	write(t, file, "198.51.100.0/24\n", time.Minute)
	s.Refresh()
	require.True(t, s.Contains(addr("198.51.100.1"), "edges"))
	require.False(t, s.Contains(addr("192.0.2.1"), "edges"))

	write(t, file, "garbage", 2*time.Minute)
	s.Refresh()
	s.Refresh()
	require.True(t, s.Contains(addr("198.51.100.1"), "edges"), "the last good ranges stay in force")
	require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"), "a bad file is reported once")

	require.NoError(t, os.Remove(file))
	s.Refresh()
	require.True(t, s.Contains(addr("198.51.100.1"), "edges"), "also when the file has gone")

	write(t, file, "192.0.2.0/24", 3*time.Minute)
	s.Refresh()
	require.True(t, s.Contains(addr("192.0.2.1"), "edges"), "a good file is taken again")
}

func TestSetChangesNothingWhenOneFileIsBad(t *testing.T) {
	dir := t.TempDir()
	good, bad, aws := filepath.Join(dir, "good"), filepath.Join(dir, "bad"), filepath.Join(dir, "ip-ranges.json")
	write(t, good, "192.0.2.0/24", 0)
	write(t, bad, "?", 0)
	write(t, aws, awsSample, 0)
	s := iprange.NewSources(slog.New(slog.DiscardHandler))
	require.NoError(t, s.Set([]iprange.Source{{Name: "a", File: good}}))
	err := s.Set([]iprange.Source{
		{Name: "b", File: bad}, {Name: "c", File: filepath.Join(dir, "none")},
		{Name: "d", File: aws, Services: []string{"S3"}}, {Name: "e", File: good}, {Name: "e", File: good},
	})
	for _, want := range []string{"ip source b", "ip source c", "ip source d", "e is defined twice"} {
		require.ErrorContains(t, err, want)
	}
	require.True(t, s.Has("a"))
	require.False(t, s.Has("e"))
	require.NoError(t, iprange.Check([]iprange.Source{{Name: "d", File: aws, Services: []string{"EC2"}}}))
}

func TestRunEndsWithItsContextWhileReadersRead(t *testing.T) {
	defer goleak.VerifyNone(t)
	file := filepath.Join(t.TempDir(), "edges.txt")
	write(t, file, "192.0.2.0/24\n", 0)
	s := iprange.NewSources(slog.New(slog.DiscardHandler))
	require.NoError(t, s.Set([]iprange.Source{{Name: "edges", File: file}}))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx, time.Millisecond) })
	write(t, file, "198.51.100.0/24\n", time.Minute)
	require.Eventually(t, func() bool { return s.Contains(addr("198.51.100.1"), "edges") }, 5*time.Second, time.Millisecond)
	cancel()
	wg.Wait()
}

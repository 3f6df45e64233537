//go:build bench

package objects

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/container"
	"headwater/storage"
	"headwater/storage/fs"
)

// What a million small objects may cost.
const (
	millionFolders = 1000
	millionEach    = 1000 // objects in a folder
	millionStart   = 5 * time.Second
	millionPage    = 50 * time.Millisecond // p99
	millionPages   = 300                   // of each kind that are asked for
)

// million fills a directory.
func million(t *testing.T, dir string) {
	t.Helper()
	e, err := fs.Open(dir, fs.Options{NoSync: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	store := storage.New(e, storage.Options{})
	began := time.Now()
	var wg sync.WaitGroup
	const writers = 64 // they share commits of the database
	errs := make([]error, writers)
	for w := range writers {
		wg.Go(func() {
			for f := w; f < millionFolders && errs[w] == nil; f += writers {
				for i := range millionEach {
					key := storage.Key{Container: "killed", Path: fmt.Sprintf("ch%04d/seg_%06d.ts", f, i)}
					attrs := storage.Attrs{ContentType: "video/mp2t", ETag: fmt.Sprintf("%064x", f*millionEach+i)}
					if _, errs[w] = store.Put(t.Context(), key, attrs, strings.NewReader("a small object")); errs[w] != nil {
						break
					}
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	t.Logf("filled with %d objects in %s", millionFolders*millionEach, time.Since(began).Round(time.Second))
}

// memory returns a line of what a process uses.
func memory(t *testing.T, pid int) string {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	var parts []string
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "RssAnon:") || strings.HasPrefix(line, "RssFile:") {
			parts = append(parts, strings.Join(strings.Fields(line), " "))
		}
	}
	return strings.Join(parts, ", ")
}

// cpuOf returns what a process has used, in hundredths of a second as Linux counts.
func cpuOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	_, after, ok := strings.Cut(string(raw), ") ") // the command's name may have spaces
	require.True(t, ok)
	var user, system int64
	fields := strings.Fields(after)
	_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	require.NoError(t, err)
	return time.Duration(user+system) * 10 * time.Millisecond
}

func TestAMillionObjects(t *testing.T) {
	k := &killed{t: t, dir: t.TempDir()}
	million(t, k.dir)
	began := time.Now()
	k.start()
	defer func() { k.kill() }()
	started := time.Since(began)
	t.Logf("start-up %s; %s", started.Round(time.Millisecond), memory(t, k.cmd.Process.Pid))
	require.Less(t, started, millionStart)
	for name, query := range map[string]func() string{
		"a folder":            func() string { return fmt.Sprintf("Path=ch%04d", rand.N(millionFolders)) },
		"a folder, 100 items": func() string { return fmt.Sprintf("Path=ch%04d&MaxResults=100", rand.N(millionFolders)) },
		"the folders":         func() string { return "" },
	} {
		cpu := cpuOf(t, k.cmd.Process.Pid)
		p50, p99, most := k.pages(query)
		cpu = (cpuOf(t, k.cmd.Process.Pid) - cpu) / millionPages
		t.Logf("ListItems, a page of %s: p50 %s, p99 %s, max %s, CPU of the server %s", name, p50, p99, most, cpu)
		require.Less(t, p99, millionPage, name)
	}
	t.Logf("after %d pages: %s", 3*millionPages, memory(t, k.cmd.Process.Pid))
	k.kill()
	sweepMillion(t, k.dir)
}

// pages measures pages of a list.
func (k *killed) pages(query func() string) (p50, p99, most time.Duration) {
	k.t.Helper()
	times := make([]time.Duration, 0, millionPages)
	for range millionPages {
		began := time.Now()
		status, body, ok := k.do(http.MethodGet, "/?"+query(), nil)
		times = append(times, time.Since(began))
		require.True(k.t, ok)
		require.Equal(k.t, 200, status)
		var p page
		require.NoError(k.t, json.Unmarshal(body, &p))
		require.NotEmpty(k.t, p.Items)
	}
	slices.Sort(times)
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	return round(times[len(times)/2]), round(times[len(times)*99/100]), round(times[len(times)-1])
}

// sweepMillion measures a pass through all objects, none of which has expired.
func sweepMillion(t *testing.T, dir string) {
	t.Helper()
	e, err := fs.Open(dir, fs.Options{NoSync: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	registry, err := container.Open(t.Context(), e, container.Options{Now: time.Now})
	require.NoError(t, err)
	require.NoError(t, registry.Declare([]container.Declaration{{Name: "killed", Settings: container.Settings{Lifecycle: `{"rules":[
		{"definition":{"path":[{"prefix":""}],"days_since_create":[{"numeric":[">=",1]}]},"action":"EXPIRE"}]}`}}}))
	c := *registry.List()[0]
	c.ID = "killed"
	s := NewSweep(SweepOptions{Containers: func() []*container.Container { return []*container.Container{&c} }, Index: e, Remover: e,
		Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	began, rounds, longest := time.Now(), 0, time.Duration(0)
	for {
		at := time.Now()
		if !s.Round(t.Context()) {
			break
		}
		rounds++
		longest = max(longest, time.Since(at))
	}
	t.Logf("a pass of the sweep: %d batches, %s of work, the longest %s", rounds, time.Since(began).Round(time.Millisecond), longest.Round(time.Millisecond))
}

package fs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/storage"
	"headwater/storage/storagetest"
)

// childDir is the environment variable that makes the test binary the writer that is killed.
const childDir = "HEADWATER_STORAGE_TEST_CHILD"

const (
	killRounds  = 10
	killKeys    = 4 // per writer
	killWriters = 3
)

// versionOf is the content and attributes of version n of an object: every third has no attributes.
func versionOf(path string, n int) ([]byte, storage.Attrs) {
	head := fmt.Sprintf("%s %d\n", path, n)
	data := append([]byte(head), storagetest.Content(head, 1000+n*7919%200_000)...)
	if n%3 == 0 {
		return data, storage.Attrs{}
	}
	return data, storage.Attrs{ETag: fmt.Sprint(n)}
}

// child writes objects and records until it is killed, and prints each once it is acknowledged.
func child(dir string) int {
	e, err := Open(dir, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var mu sync.Mutex
	said := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		os.Stdout.WriteString(fmt.Sprintf(format, args...) + "\n") // one write, so a line is whole or absent
	}
	said("ready")
	ctx := context.Background()
	var wg sync.WaitGroup
	for w := range killWriters {
		wg.Go(func() {
			start := int(time.Now().UnixMilli()) % 1_000_000_000
			for n := start; ; n++ {
				path := fmt.Sprintf("w%d/%d/object", w, n%killKeys)
				data, attrs := versionOf(path, n)
				if err := childPut(ctx, e, path, attrs, data); err != nil {
					said("failed %v", err)
					return
				}
				said("object %s %d", path, n)
				if n%5 == 4 {
					gone := fmt.Sprintf("w%d/%d/object", w, (n+1)%killKeys)
					said("deleting %s", gone)
					if err := e.Delete(ctx, key(gone)); err != nil && !errors.Is(err, storage.ErrNotFound) {
						said("failed %v", err)
					}
				}
			}
		})
		wg.Go(func() {
			for n := 0; ; n++ {
				data := fmt.Sprintf("record-%d-%d-%s", w, n, strings.Repeat("x", n%100))
				at, err := e.Append(ctx, fmt.Sprint("s", w), []byte(data))
				if err != nil {
					said("failed %v", err)
					return
				}
				said("record s%d %d %s", w, at, data)
			}
		})
	}
	wg.Wait()
	return 1
}

func childPut(ctx context.Context, e *Engine, path string, attrs storage.Attrs, data []byte) error {
	up, err := e.Create(ctx, key(path), attrs)
	if err != nil {
		return err
	}
	for _, half := range [][]byte{data[:len(data)/2], data[len(data)/2:]} {
		if _, err := up.Write(half); err != nil {
			return err
		}
	}
	_, err = up.Commit(ctx)
	return err
}

// acknowledged is what the children said, over all rounds.
type acknowledged struct {
	objects map[string]int               // path -> last version; absent when it may be deleted
	records map[string]map[uint64]string // stream -> position -> data
}

func (a *acknowledged) read(t *testing.T, out []byte) {
	for line := range strings.Lines(string(out)) {
		require.True(t, strings.HasSuffix(line, "\n"), "torn line %q", line)
		f := strings.Fields(line)
		switch f[0] {
		case "ready":
		case "object":
			var n int
			_, err := fmt.Sscan(f[2], &n)
			require.NoError(t, err)
			a.objects[f[1]] = n
		case "deleting":
			delete(a.objects, f[1])
		case "record":
			var at uint64
			_, err := fmt.Sscan(f[2], &at)
			require.NoError(t, err)
			if a.records[f[1]] == nil {
				a.records[f[1]] = map[uint64]string{}
			}
			a.records[f[1]][at] = f[3]
		default:
			t.Fatalf("child: %s", line)
		}
	}
}

// check opens the directory that a killed process left and compares it with what was acknowledged.
func (a *acknowledged) check(t *testing.T, dir string) {
	e, err := Open(dir, Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	ctx := context.Background()
	left, err := os.ReadDir(dir + "/" + tempDir)
	require.NoError(t, err)
	require.Empty(t, left)
	found := map[string]int{}
	for info, err := range e.List(ctx, "live", "", "") {
		require.NoError(t, err)
		obj, err := e.Open(ctx, info.Key)
		require.NoError(t, err)
		data, err := io.ReadAll(obj.Body)
		require.NoError(t, err)
		require.NoError(t, obj.Body.Close())
		var path string
		var n int
		_, err = fmt.Sscanf(string(data[:min(len(data), 100)]), "%s %d\n", &path, &n)
		require.NoError(t, err, "half an object is visible: %s", info.Key)
		want, attrs := versionOf(info.Key.Path, n)
		require.True(t, bytes.Equal(want, data), "%s is not version %d", info.Key, n)
		require.Equal(t, attrs, obj.Attrs, "attributes of another version")
		found[path] = n
	}
	for path, n := range a.objects {
		require.Contains(t, found, path)
		require.GreaterOrEqual(t, found[path], n, "%s went back", path)
	}
	for stream, want := range a.records {
		n := 0
		next := storage.Position(1)
		for record, err := range e.Read(ctx, stream, 0) {
			require.NoError(t, err)
			require.Equal(t, next, record.Position)
			next++
			if data, ok := want[uint64(record.Position)]; ok {
				require.Equal(t, data, string(record.Data))
				n++
			}
		}
		require.Equal(t, len(want), n, "acknowledged records of %s are missing", stream)
	}
}

func TestKillLosesNothingThatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	binary, err := os.Executable()
	require.NoError(t, err)
	acked := &acknowledged{objects: map[string]int{}, records: map[string]map[uint64]string{}}
	for range killRounds {
		cmd := exec.Command(binary)
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		cmd.Stderr = os.Stderr
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		r := bufio.NewReader(stdout)
		_, err = r.Peek(1) // it is ready
		require.NoError(t, err)
		kill := time.AfterFunc(50*time.Millisecond+rand.N(250*time.Millisecond), func() { cmd.Process.Kill() })
		out, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Error(t, cmd.Wait())
		kill.Stop()
		acked.read(t, out)
		acked.check(t, dir)
	}
	require.NotEmpty(t, acked.objects)
	require.Len(t, acked.records, killWriters)
	t.Logf("%d records acknowledged and found", len(acked.records["s0"])+len(acked.records["s1"])+len(acked.records["s2"]))
}

//go:build bench

package objects

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Many who follow one object that grows.
const (
	followers       = 200
	followedChunk   = 16 << 10 // bytes, as of a CMAF chunk of 4 Mbit/s and 33 ms
	followedEvery   = 33 * time.Millisecond
	followedChunks  = 150                   // until the writer dies
	followedLatency = 50 * time.Millisecond // p99, from what the writer sent to its reader
)

// TestManyFollowOneWriter measures how long bytes take from the writer to each of its readers over real HTTP, and kills the
// writer amid the object.
func TestManyFollowOneWriter(t *testing.T) {
	g := newRig(t, onFiles)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: followers}}
	defer client.CloseIdleConnections()
	body, w := io.Pipe()
	ctx, die := context.WithCancel(t.Context())
	defer die()
	go func() {
		req, _ := http.NewRequestWithContext(ctx, http.MethodPut, g.url+"/growing", body)
		req.Header.Set("X-Amz-Upload-Availability", "STREAMING")
		if res, err := client.Do(req); err == nil {
			res.Body.Close()
		}
	}()
	began := time.Now()
	send := func() {
		chunk := make([]byte, followedChunk)
		binary.BigEndian.PutUint64(chunk, uint64(time.Since(began)))
		_, _ = w.Write(chunk) // once the writer is dead it fails
	}
	send()
	var mu sync.Mutex
	var delays []time.Duration
	var following, broken atomic.Int64
	var readers sync.WaitGroup
	for range followers {
		readers.Go(func() {
			own, err := follow(t.Context(), client, g.url+"/growing", began, func() { following.Add(1) })
			if errors.Is(err, io.ErrUnexpectedEOF) {
				broken.Add(1)
			}
			mu.Lock()
			defer mu.Unlock()
			delays = append(delays, own...)
		})
	}
	require.Eventually(t, func() bool { return following.Load() == followers }, 20*time.Second, time.Millisecond)
	cpu := cpuTime(t)
	for range followedChunks {
		time.Sleep(followedEvery)
		send()
	}
	time.Sleep(time.Second) // all has arrived
	cpu = cpuTime(t) - cpu
	die()
	readers.Wait()
	require.Equal(t, int64(followers), broken.Load(), "each sees a broken answer")
	require.Len(t, delays, followers*followedChunks)
	slices.Sort(delays)
	at := func(percent int) time.Duration {
		return delays[(len(delays)-1)*percent/100].Round(10 * time.Microsecond)
	}
	t.Logf("%d readers, %d chunks of %d bytes: p50 %s, p99 %s, max %s", followers, followedChunks, followedChunk, at(50), at(99), at(100))
	t.Logf("CPU of server and readers together: %s for a chunk and reader", cpu/(followers*followedChunks))
	require.LessOrEqual(t, at(99), followedLatency)
}

// cpuTime returns what this process has used.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// follow reads an object until it breaks off, and returns how late each chunk but the first was, which is there before its reader.
func follow(ctx context.Context, client *http.Client, url string, began time.Time, first func()) (delays []time.Duration, err error) {
	var res *http.Response
	for { // until there is a byte
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		if res, err = client.Do(req); err != nil {
			return nil, err
		}
		if res.StatusCode == http.StatusOK {
			break
		}
		res.Body.Close()
		time.Sleep(5 * time.Millisecond)
	}
	defer res.Body.Close()
	chunk := make([]byte, followedChunk)
	for n := 0; ; n++ {
		if _, err := io.ReadFull(res.Body, chunk); err != nil {
			return delays, err
		}
		if n == 0 {
			first()
			continue
		}
		delays = append(delays, time.Since(began)-time.Duration(binary.BigEndian.Uint64(chunk)))
	}
}

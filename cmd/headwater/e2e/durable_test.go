//go:build e2e

package e2e

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKilledTenTimesNothingAcknowledgedIsLost kills the server with SIGKILL at random moments while segments are pushed
// to it. After each restart every segment that was ever acknowledged is served, with the bytes it had before, and the
// playlist's numbers have not gone back.
func TestKilledTenTimesNothingAcknowledgedIsLost(t *testing.T) {
	const kills = 10
	s := serve(t, "")
	segment := makeSegment(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("random seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	next := time.Now().Add(-50*time.Minute).Unix() / 2 * 2 // seconds since the epoch of the next segment
	playlist := fmt.Sprintf("%s?start=%d", s.out("durable", hlsManifest), next-10)
	acknowledged := map[int64]bool{}         // by number on the grid of 2 s
	served := map[string][sha256.Size]byte{} // by URL
	edge := uint64(0)
	for range kills {
		var together sync.WaitGroup
		stop := make(chan struct{})
		together.Go(func() {
			require.Eventually(t, func() bool { st, _ := upload(s.in("durable")+"/video/init.cmfv", segment.init); return st/100 == 2 }, 5*time.Second, 10*time.Millisecond)
			for {
				select {
				case <-stop:
					return
				default:
				}
				status, _ := upload(fmt.Sprintf("%s/video/%d.cmfv", s.in("durable"), next/2), segment.at(next))
				if status/100 == 2 {
					acknowledged[next/2] = true
				}
				next += 2
				// Beyond an hour from now the clock of the segments would not be taken for UTC any more.
				time.Sleep(4 * time.Millisecond)
			}
		})
		time.Sleep(time.Duration(200+random.IntN(1200)) * time.Millisecond)
		s.kill()
		close(stop)
		together.Wait()
		s.start()
		now, ok := list(t, playlist)
		require.True(t, ok, "the playlist is there after a restart")
		require.GreaterOrEqual(t, now.first+uint64(len(now.segments)), edge, "the last number never goes back")
		edge = now.first + uint64(len(now.segments))
		for n := range acknowledged {
			url, listed := now.segments[uint64(n)]
			require.True(t, listed, "segment %d was acknowledged and is not in the playlist", n)
			status, body := fetch(url)
			require.Equal(t, 200, status, "%s", url)
			sum := sha256.Sum256(body)
			if before, known := served[url]; known {
				require.Equal(t, before, sum, "%s has other bytes than before", url)
			}
			served[url] = sum
		}
	}
	require.Greater(t, len(acknowledged), 50, "enough was pushed to mean something")
	t.Logf("%d segments acknowledged, %d URLs unchanged over %d kills", len(acknowledged), len(served), kills)
}

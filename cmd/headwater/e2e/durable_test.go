//go:build e2e

package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/stretchr/testify/require"
)

// pushed is one CMAF segment of 2 s whose times can be set, as an epoch-locked encoder sends it.
type pushed struct {
	init, media []byte
	timescale   int64
}

// makeSegment encodes one.
func makeSegment(t testing.TB) pushed {
	t.Helper()
	file := filepath.Join(t.TempDir(), "segment.mp4")
	args := append(strings.Fields("-nostdin -hide_banner -loglevel error"), source(false)...)
	args = append(args, strings.Fields("-map 0:v "+videoEncoder+" -t 2 -video_track_timescale 90000"+
		" -f mp4 -movflags cmaf+empty_moov+separate_moof+default_base_moof+frag_keyframe "+file)...)
	out, err := exec.Command("ffmpeg", args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	first := bytes.Index(b, []byte("moof")) - 4
	end := bytes.LastIndex(b, []byte("mfra")) - 4
	require.Positive(t, first)
	require.Greater(t, end, first)
	return pushed{init: b[:first], media: b[first:end], timescale: 90000}
}

// at returns the segment with decode times that begin at a number of seconds since the epoch.
func (p pushed) at(seconds int64) []byte {
	b := bytes.Clone(p.media)
	for i := 0; ; {
		n := bytes.Index(b[i:], []byte("tfdt"))
		if n < 0 {
			return b
		}
		i += n + 4
		was := binary.BigEndian.Uint64(b[i+4:])
		binary.BigEndian.PutUint64(b[i+4:], was+uint64(seconds*p.timescale))
	}
}

// listing is a media playlist: its first number, and the URL of each segment by number.
type listing struct {
	first    uint64
	segments map[uint64]string
}

// list reads the first media playlist of a multivariant playlist; ok is false when there is none at present.
func list(t testing.TB, multivariant string) (l listing, ok bool) {
	t.Helper()
	status, body := fetch(multivariant)
	if status != 200 {
		return l, false
	}
	parsed, _, err := m3u8.DecodeFrom(bytes.NewReader(body), true)
	require.NoError(t, err)
	media := playlistURLs(t, multivariant, parsed.(*m3u8.MasterPlaylist))[0]
	if status, body = fetch(media); status != 200 {
		return l, false
	}
	parsed, _, err = m3u8.DecodeFrom(bytes.NewReader(body), true)
	require.NoError(t, err)
	m := parsed.(*m3u8.MediaPlaylist)
	l = listing{m.SeqNo, map[uint64]string{}}
	for i, s := range m.GetAllSegments() {
		l.segments[m.SeqNo+uint64(i)] = resolve(t, media, s.URI)
	}
	return l, true
}

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

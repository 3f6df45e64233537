//go:build e2e

package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// box returns an ISO box header with a lying size, and something after it.
func box(size uint64, name string, rest []byte) []byte {
	if size > 1<<32-1 {
		b := append([]byte{0, 0, 0, 1}, name...)
		return append(binary.BigEndian.AppendUint64(b, size), rest...)
	}
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(size)), name...), rest...)
}

// hostileBodies are what no encoder sends.
func hostileBodies(t *testing.T) map[string][]byte {
	good := makeSegment(t)
	whole := append(bytes.Clone(good.init), good.at(time.Now().Unix()/2*2)...)
	noise := make([]byte, 1<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	bodies := map[string][]byte{
		"random bytes":                 noise,
		"a header cut in half":         whole[:len(good.init)/2],
		"a segment cut in its moof":    whole[:len(good.init)+40],
		"a segment cut in its samples": whole[:len(whole)-1000],
		"one byte":                     {0},
		"a box of size 2^32-1":         box(1<<32-1, "moov", noise[:100]),
	}
	for _, size := range []uint64{0, 1, 4, 7, 1 << 63, 1<<64 - 1} {
		for _, name := range []string{"ftyp", "moov", "moof", "mdat"} {
			bodies[fmt.Sprintf("a %s box of size %d", name, size)] = box(size, name, noise[:64])
			bodies[fmt.Sprintf("a %s box of size %d after a good header", name, size)] = append(bytes.Clone(good.init), box(size, name, noise[:64])...)
		}
	}
	return bodies
}

// TestHostileInputIsRefusedAndHarmsNobody sends what is malformed in every way while an encoder pushes to another
// channel: nothing but clear refusals comes back, the process stays up and small, and the other channel goes on.
func TestHostileInputIsRefusedAndHarmsNobody(t *testing.T) {
	s := serve(t, "")
	pushes[0].run(t, s)
	good := s.out(pushes[0].channel, hlsManifest)
	await(t, 20*time.Second, good)

	t.Run("malformed media is answered with a reason", func(t *testing.T) {
		var together sync.WaitGroup
		for name, body := range hostileBodies(t) {
			for _, target := range []string{"/Streams(video.cmfv)", "/video/1.cmfv", "/point.isml/Streams(1)", "/seg0.ts"} {
				together.Go(func() {
					status, answer := upload(s.in("hostile")+target, body)
					assert.Equal(t, 4, status/100, "%s to %s: %d %s", name, target, status, answer)
					assert.Contains(t, string(answer), `"Message"`, "%s to %s", name, target)
				})
			}
		}
		together.Wait()
	})
	t.Run("malformed manifests are answered with a reason", func(t *testing.T) {
		deep := strings.Repeat("<a>", 100000)
		for _, c := range []struct{ path, body string }{
			{"/index.m3u8", "\x00\x01\x02"}, {"/index.m3u8", "#EXTM3U\n" + strings.Repeat("#EXTINF:2,\nx.ts\n", 100000)},
			{"/index.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:99999999999999999999\n#EXTINF:-1,\n../../../../etc/passwd\n"},
			{"/x.mpd", "<MPD"}, {"/x.mpd", deep}, {"/x.mpd", strings.Repeat("\xff", 1<<20)},
		} {
			status, answer := upload(s.in("hostile")+c.path, []byte(c.body))
			require.Less(t, status, 500, "%s: %s", c.path, answer)
			require.Positive(t, status, "%s", answer)
		}
	})
	t.Run("path tricks reach nothing", func(t *testing.T) {
		for _, path := range []string{
			"/in/v1/default/1/../../../../etc/passwd", "/in/v1/default/1/hostile/..%2f..%2f..%2fetc%2fpasswd",
			"/in/v1/default/1/hostile/%00.ts", "/in/v1/default/1/%2e%2e/x/seg.ts", "/in/v1/..%5c..%5c/1/x/seg.ts",
			"/in/v1/default/3/hostile/seg.ts", "/in/v1//1//seg.ts", "/out/v1/default/../../../etc/passwd",
			"/out/v1/default/hls-ts/cmaf/..%2f..%2f..%2fhls-ts", "/out/v1/default/hls-ts/cmaf/segment_..%2fx_1.mp4",
			"/in/v1/default/1/" + strings.Repeat("a", 5000) + "/seg.ts",
		} {
			for _, method := range []string{"PUT", "GET", "DELETE"} {
				answer := raw(t, s, method+" "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nabcd", 10*time.Second)
				status := statusOf(answer)
				require.True(t, status >= 400 && status < 500 || status == 200 && method == "DELETE", "%s %.80s: %.200q", method, path, answer)
				require.NotContains(t, answer, "root:")
			}
		}
	})
	t.Run("ten thousand header lines are refused", func(t *testing.T) {
		var b strings.Builder
		b.WriteString("PUT /in/v1/default/1/hostile/seg.ts HTTP/1.1\r\nHost: x\r\n")
		for i := range 10000 {
			fmt.Fprintf(&b, "X-Header-%d: %s\r\n", i, strings.Repeat("v", 200))
		}
		b.WriteString("Content-Length: 0\r\n\r\n")
		status := statusOf(raw(t, s, b.String(), 10*time.Second))
		require.True(t, status == 0 || status/100 == 4, "%d", status)
	})
	t.Run("bodies that trickle hold up nobody", func(t *testing.T) {
		for range 200 {
			c, err := net.Dial("tcp", s.host())
			require.NoError(t, err)
			defer c.Close()
			fmt.Fprintf(c, "PUT /in/v1/default/1/hostile/video/9.cmfv HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n\x00\x00")
		}
		began := time.Now()
		require.True(t, answers(good))
		require.Less(t, time.Since(began), time.Second)
	})
	requireUndisturbed(t, s, good)
}

// requireUndisturbed states that a channel gains segments and that the server is whole and small.
func requireUndisturbed(t *testing.T, s *server, playlist string) {
	t.Helper()
	before, ok := list(t, playlist)
	require.True(t, ok)
	time.Sleep(7 * time.Second)
	after, ok := list(t, playlist)
	require.True(t, ok)
	gained := int(after.first) + len(after.segments) - int(before.first) - len(before.segments)
	require.GreaterOrEqual(t, gained, 2, "segments in 7 s")
	require.True(t, s.running())
	require.NotContains(t, s.output(), "panic")
	require.Less(t, peakMemory(t, s.cmd.Process.Pid), 256<<20, "bytes of memory at the peak")
}

// raw sends bytes as they are and returns the answer up to the end of the connection.
func raw(t *testing.T, s *server, request string, within time.Duration) string {
	t.Helper()
	c, err := net.Dial("tcp", s.host())
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(within)))
	_, _ = io.WriteString(c, request) // a server may refuse before it has read all
	b, _ := io.ReadAll(io.LimitReader(c, 1<<20))
	return string(b)
}

// statusOf returns the status of a raw answer, 0 when there is none.
func statusOf(answer string) int {
	if m := regexp.MustCompile(`^HTTP/1\.[01] (\d{3})`).FindStringSubmatch(answer); m != nil {
		n, _ := strconv.Atoi(m[1])
		return n
	}
	return 0
}

// peakMemory returns the largest resident size that a process has had, in bytes.
func peakMemory(t testing.TB, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(b)
	require.NotNil(t, m)
	n, err := strconv.Atoi(string(m[1]))
	require.NoError(t, err)
	return n << 10
}

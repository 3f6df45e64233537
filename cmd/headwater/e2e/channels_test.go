//go:build bench

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"
)

const (
	channelCount = 50
	warmUp       = 4                            // segments of a channel that are not measured
	inStep       = "HEADWATER_CHANNELS_IN_STEP" // set: all channels end their segments at one instant
)

// TestManyChannels pushes 50 channels of three tracks, 2.6 Mbit/s together, in CMAF segments of 2 s, and notes how long after
// the last byte of the last track's segment the playlists name it. HEADWATER_CHANNELS is how long that goes on, such as 5m.
func TestManyChannels(t *testing.T) {
	length := 30 * time.Second
	if long, err := time.ParseDuration(os.Getenv("HEADWATER_CHANNELS")); err == nil {
		length = long
	}
	s := serve(t, "")
	tracks := programme(t)
	f := &fleet{t: t, s: s, tracks: tracks, client: &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{
		MaxIdleConnsPerHost: channelCount * (len(tracks) + 1)}}}
	pid := s.cmd.Process.Pid

	first := time.Now().Unix()/2 + 3
	last := first + int64(length/(2*time.Second))
	var together sync.WaitGroup
	for c := range channelCount {
		together.Go(func() { f.run(c, first, last) })
	}
	time.Sleep(time.Until(time.Unix(2*(first+warmUp), 0)))
	before, began := processTime(t, pid), time.Now()
	together.Wait()
	spent, wall := processTime(t, pid)-before, time.Since(began)

	sort.Slice(f.seen, func(i, j int) bool { return f.seen[i] < f.seen[j] })
	at := func(percent int) time.Duration {
		return f.seen[(len(f.seen)-1)*percent/100].Round(100 * time.Microsecond)
	}
	require.Zero(t, f.lost)
	t.Logf("%d channels, %d segments of three tracks in %v: none lost; named after p50 %v, p99 %v (goal 100ms), at most %v",
		channelCount, len(f.seen), wall.Round(time.Second), at(50), at(99), at(100))
	t.Logf("server: %.2f %% of a core per channel, %s at its most", 100*spent.Seconds()/wall.Seconds()/channelCount, resident(t, pid))
}

// fleet are the encoders of all channels.
type fleet struct {
	t      testing.TB
	s      *server
	tracks []rendition
	client *http.Client

	mu   sync.Mutex
	seen []time.Duration
	lost int
}

// rendition is a track of the programme: segment k holds the media of [2k, 2k+2) s since the epoch.
type rendition struct {
	name, extension string
	init            []byte
	segment         func(k int64) []byte
}

func programme(t testing.TB) []rendition {
	t.Helper()
	high, low := noise(t, 2000), noise(t, 500)
	return []rendition{
		{"high", ".cmfv", high.init, func(k int64) []byte { return high.at(2 * k) }},
		{"low", ".cmfv", low.init, func(k int64) []byte { return low.at(2 * k) }},
		{"audio", ".cmfa", audioHeader(t), func(k int64) []byte { return audioSegment(t, k) }},
	}
}

// audioHeader returns the CMAF header of AAC at 48 kHz.
func audioHeader(t testing.TB) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "audio.mp4")
	out, err := exec.Command("ffmpeg", strings.Fields("-nostdin -hide_banner -loglevel error -f lavfi -i sine=sample_rate=48000 -t 1"+
		" -c:a aac -f mp4 -movflags cmaf+empty_moov+default_base_moof "+file)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return b[:bytes.Index(b, []byte("moof"))-4]
}

// audioSegment returns the frames that begin in segment k, of 64 kbit/s. What is in them is never decoded.
func audioSegment(t testing.TB, k int64) []byte {
	const frame, scale, size = 1024, 48000, 171
	first := func(k int64) int64 { return (2*k*scale + frame - 1) / frame }
	segment := mp4.NewMediaSegment()
	fragment, err := mp4.CreateFragment(uint32(k), 1)
	require.NoError(t, err)
	segment.AddFragment(fragment)
	for n := first(k); n < first(k+1); n++ {
		fragment.AddFullSample(mp4.FullSample{Sample: mp4.NewSample(mp4.SyncSampleFlags, frame, size, 0),
			DecodeTime: uint64(n * frame), Data: make([]byte, size)})
	}
	var b bytes.Buffer
	require.NoError(t, segment.Encode(&b))
	return b.Bytes()
}

// run pushes segments [first, last) of a channel, each when its media has ended.
func (f *fleet) run(c int, first, last int64) {
	name := "c" + strconv.Itoa(c)
	for _, r := range f.tracks {
		f.put(fmt.Sprintf("%s/%s/init%s", f.s.in(name), r.name, r.extension), r.init)
	}
	phase := 2 * time.Second * time.Duration(c) / channelCount
	if os.Getenv(inStep) != "" {
		phase = 0
	}
	var playlists []string
	for k := first; k < last; k++ {
		time.Sleep(time.Until(time.Unix(2*k+2, 0).Add(phase)))
		var tracks sync.WaitGroup
		sent := make([]time.Time, len(f.tracks))
		for i, r := range f.tracks {
			tracks.Go(func() { sent[i] = f.put(fmt.Sprintf("%s/%s/%d%s", f.s.in(name), r.name, k, r.extension), r.segment(k)) })
		}
		tracks.Wait()
		end := sent[0]
		for _, at := range sent {
			if at.After(end) {
				end = at
			}
		}
		if k < first+warmUp {
			continue
		}
		if playlists == nil {
			playlists = mediaPlaylists(f.t, f.s.out(name, hlsManifest))
		}
		f.awaitNumber(playlists, k, end)
	}
}

// put uploads body and returns when its last byte was handed on.
func (f *fleet) put(url string, body []byte) time.Time {
	b := &watched{Reader: bytes.NewReader(body)}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPut, url, b)
	if err != nil {
		f.t.Error(err)
		return time.Time{}
	}
	req.ContentLength = int64(len(body))
	res, err := f.client.Do(req)
	if err != nil {
		f.t.Error(err)
		return time.Time{}
	}
	defer res.Body.Close()
	if answer, _ := io.ReadAll(res.Body); res.StatusCode/100 != 2 {
		f.t.Errorf("%s: %d %s", url, res.StatusCode, answer)
	}
	return b.end
}

// watched notes when its last byte was read.
type watched struct {
	*bytes.Reader
	end time.Time
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.end = time.Now()
	}
	return n, err
}

// WriteTo is not offered: it would hide when the last byte goes.
func (w *watched) WriteTo(dst io.Writer) (int64, error) { return io.Copy(dst, struct{ io.Reader }{w}) }

var (
	mediaSequence = regexp.MustCompile(`#EXT-X-MEDIA-SEQUENCE:(\d+)`)
	gap           = []byte("#EXT-X-GAP")
)

// awaitNumber asks for the playlists until each names segment k, and notes how long after end that was.
func (f *fleet) awaitNumber(playlists []string, k int64, end time.Time) {
	for _, url := range playlists {
		for {
			newest, whole := f.newest(url)
			if newest >= k && whole {
				break
			}
			if time.Since(end) > 5*time.Second {
				f.mu.Lock()
				f.lost++
				f.mu.Unlock()
				f.t.Errorf("%s: segment %d is not there, the newest is %d", url, k, newest)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, time.Since(end))
}

// newest returns the number of the last segment of a playlist, and whether it has no gap.
func (f *fleet) newest(url string) (int64, bool) {
	res, err := f.client.Get(url)
	if err != nil {
		f.t.Error(err)
		return 0, false
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	first := mediaSequence.FindSubmatch(b)
	if err != nil || first == nil {
		f.t.Errorf("%s: %v %.200s", url, err, b)
		return 0, false
	}
	n, err := strconv.ParseInt(string(first[1]), 10, 64)
	if err != nil {
		f.t.Error(err)
	}
	return n + int64(bytes.Count(b, []byte("#EXTINF"))) - 1, !bytes.Contains(b, gap)
}

// resident returns the most memory that a process has had, as the kernel writes it.
func resident(t testing.TB, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	m := regexp.MustCompile(`VmHWM:\s+(.*)`).FindSubmatch(b)
	require.NotNil(t, m)
	return string(m[1])
}

//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the tests of clocks state, as docs/adr/0006-clock-drift.md has it.
const (
	driftBound   = 2 * time.Second
	driftNoticed = 50 * time.Second // at the latest: four windows of 10 s and two segments
	driftSegment = 2 * time.Second
)

// driftLength returns how long the tests of clocks run: HEADWATER_DRIFT, such as 3m, or a length that suits a build server.
func driftLength(short time.Duration) (length time.Duration, long bool) {
	if long, err := time.ParseDuration(os.Getenv("HEADWATER_DRIFT")); err == nil {
		return long, true
	}
	return short, false
}

// edgeOf returns where the last segment of the first media playlist of a multivariant one ends, by EXT-X-PROGRAM-DATE-TIME.
func edgeOf(t *testing.T, multivariant string) (edge time.Time) {
	t.Helper()
	status, body := fetch(mediaPlaylists(t, multivariant)[0])
	require.Equal(t, http.StatusOK, status)
	length := time.Duration(0)
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		line := lines.Text()
		if at, ok := strings.CutPrefix(line, "#EXT-X-PROGRAM-DATE-TIME:"); ok {
			var err error
			edge, err = time.Parse(time.RFC3339Nano, at)
			require.NoError(t, err)
			edge = edge.Add(length) // whose EXTINF came before
			length = 0
		}
		if of, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
			s, err := strconv.ParseFloat(strings.Split(of, ",")[0], 64)
			require.NoError(t, err)
			if length = time.Duration(s * 1e9); !edge.IsZero() {
				edge, length = edge.Add(length), 0
			}
		}
	}
	return edge
}

// followed is what the live edge of a channel did.
type followed struct{ least, most, last time.Duration } // UTC minus the edge

// follow watches the live edge of a channel for as long.
func follow(t *testing.T, name, multivariant string, length time.Duration) (f followed) {
	f.least, f.most = time.Hour, -time.Hour
	for began := time.Now(); time.Since(began) < length; time.Sleep(500 * time.Millisecond) {
		behind := time.Since(edgeOf(t, multivariant))
		f.least, f.most, f.last = min(f.least, behind), max(f.most, behind), behind
	}
	t.Logf("%s: the live edge is %s to %s behind UTC, %s at the end", name, f.least.Round(time.Millisecond), f.most.Round(time.Millisecond),
		f.last.Round(time.Millisecond))
	return f
}

// discontinuities returns how many there are in the HLS and in the DASH of what was live from begin to end.
func discontinuities(t *testing.T, s *server, channel string, begin, end time.Time) (hls, dash int) {
	t.Helper()
	query := fmt.Sprintf("?start=%d&end=%d", begin.Unix(), end.Unix())
	hls = -1
	for _, playlist := range playlistsOf(t, s.out(channel, hlsManifest)+query) {
		n := strings.Count(playlist, "#EXT-X-DISCONTINUITY\n")
		require.Contains(t, []int{-1, n}, hls, "all playlists have the same")
		hls = n
	}
	status, mpd := fetch(s.out(channel, dashManifest) + query)
	require.Equal(t, http.StatusOK, status)
	return hls, bytes.Count(mpd, []byte("<Period ")) - 1
}

// requirePlaysOn states that every player was playing at the end, and stood no longer than waited all in all.
func requirePlaysOn(t *testing.T, reports map[string]played, most float64) {
	t.Helper()
	for name, r := range reports {
		t.Run(name+" plays through", func(t *testing.T) {
			requireGoesOn(t, r)
			require.Less(t, waited(r), most)
		})
	}
}

// TestASourceFromZeroThatBeginsAgainStaysAtTheLiveEdge kills an encoder whose time starts at zero in the middle, and starts it
// again two seconds later. HEADWATER_DRIFT is how long it all takes, such as 3m.
func TestASourceFromZeroThatBeginsAgainStaysAtTheLiveEdge(t *testing.T) {
	t.Parallel() // with the others that take minutes and little of the machine
	length, _ := driftLength(40 * time.Second)
	s := serve(t, "")
	p := pushes[0]
	encoder := p.run(t, s)
	hls, dash := s.out(p.channel, hlsManifest), s.out(p.channel, dashManifest)
	await(t, 20*time.Second, hls, dash)
	begin := time.Now().Add(-2 * time.Second)
	time.Sleep(8 * time.Second)
	var together sync.WaitGroup
	const outage = 2 * time.Second
	together.Go(func() {
		time.Sleep(length / 2)
		encoder.kill()
		time.Sleep(outage)
		p.run(t, s)
	})
	var edge followed
	together.Go(func() { edge = follow(t, "restarted", hls, length) })
	reports := play(t, length, job{Name: "hls.js", Player: "hlsjs", URL: hls}, job{Name: "dash.js", Player: "dashjs", URL: dash})
	together.Wait()
	requirePlaysOn(t, reports, 12)
	h, d := discontinuities(t, s, p.channel, begin, time.Now().Add(-4*time.Second))
	require.Equal(t, 1, h)
	require.Equal(t, 1, d)
	// While the encoder is away and starts the edge stands.
	assert.Less(t, edge.most, outage+2*driftSegment+3*time.Second)
	assert.Less(t, edge.last.Abs(), driftBound+driftSegment)
	assert.Greater(t, edge.least, -driftBound)
	require.NotContains(t, s.output(), "panic")
}

// encoded makes media from zero and returns its init segment and its segments, of two seconds each.
func encoded(t *testing.T, length time.Duration) (header []byte, segments [][]byte) {
	t.Helper()
	dir := t.TempDir()
	args := append(strings.Fields("-nostdin -hide_banner -loglevel level+warning"), source(false)...)
	args = append(args, strings.Fields(encoder+fmt.Sprintf(" -t %d", int(length.Seconds()))+
		" -f hls -hls_time 2 -hls_list_size 0 -hls_segment_type fmp4")...)
	args = append(args, "-hls_segment_filename", filepath.Join(dir, "seg%d.m4s"), filepath.Join(dir, "index.m3u8"))
	made := launch(t, "ffmpeg that makes segments", nil, "ffmpeg", args...)
	<-made.done
	require.NoError(t, made.err)
	header, err := os.ReadFile(filepath.Join(dir, "init.mp4"))
	require.NoError(t, err)
	for n := 0; ; n++ {
		segment, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("seg%d.m4s", n)))
		if err != nil {
			return header, segments
		}
		segments = append(segments, segment)
	}
}

// pace pushes segments as an encoder whose clock is fast by so many millionths would, negative where it is slow.
func pace(ctx context.Context, t *testing.T, url string, ppm int, header []byte, segments [][]byte) {
	put := func(name string, body []byte) {
		status, answer := upload(url+"/"+name, body)
		assert.Equal(t, http.StatusOK, status, "%s: %s", name, answer)
	}
	took := time.Duration(float64(driftSegment) / (1 + float64(ppm)*1e-6))
	list := "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-MAP:URI=\"init.mp4\"\n"
	put("init.mp4", header)
	began := time.Now()
	for n, segment := range segments {
		select {
		case <-time.After(time.Until(began.Add(time.Duration(n+1) * took))):
		case <-ctx.Done():
			return
		}
		first, entries := max(0, n-2), ""
		for i := first; i <= n; i++ {
			entries += fmt.Sprintf("#EXTINF:2.0,\nseg%d.m4s\n", i)
		}
		put("index.m3u8", []byte(fmt.Sprintf(list, first)+entries))
		put(fmt.Sprintf("seg%d.m4s", n), segment)
	}
}

// TestEncodersWhoseClocksDriftStayAtTheLiveEdge pushes the same segments too fast and too slowly, without a word of UTC. With
// HEADWATER_DRIFT, such as 3m, clocks are half as wrong.
func TestEncodersWhoseClocksDriftStayAtTheLiveEdge(t *testing.T) {
	t.Parallel() // with the others that take minutes and little of the machine
	length, long := driftLength(110 * time.Second)
	ppm := 40_000
	if long {
		ppm = 20_000
	}
	const lead = 10 * time.Second // of media before players open
	header, segments := encoded(t, (length+lead+30*time.Second)*11/10)
	s := serve(t, "")
	clocks := map[string]int{"fast": ppm, "slow": -ppm}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var encoders sync.WaitGroup
	for channel, ppm := range clocks {
		encoders.Go(func() { pace(ctx, t, s.in(channel), ppm, header, segments) })
	}
	for channel := range clocks {
		await(t, 20*time.Second, s.out(channel, hlsManifest), s.out(channel, dashManifest))
	}
	begin := time.Now().Add(-2 * time.Second)
	time.Sleep(lead)
	var jobs []job
	var together sync.WaitGroup
	var fast, slow followed
	together.Go(func() { fast = follow(t, "fast", s.out("fast", hlsManifest), length) })
	together.Go(func() { slow = follow(t, "slow", s.out("slow", hlsManifest), length) })
	for channel := range clocks {
		jobs = append(jobs, job{Name: channel + " in hls.js", Player: "hlsjs", URL: s.out(channel, hlsManifest)},
			job{Name: channel + " in dash.js", Player: "dashjs", URL: s.out(channel, dashManifest)})
	}
	reports := play(t, length, jobs...)
	together.Wait()
	end := time.Now()
	stop()
	encoders.Wait()
	requirePlaysOn(t, reports, 10)
	for channel := range clocks {
		h, d := discontinuities(t, s, channel, begin, end.Add(-4*time.Second))
		t.Logf("%s by %d ppm: %d discontinuities in %s", channel, ppm, h, end.Sub(begin).Round(time.Second))
		require.Positive(t, h, "%s", channel)
		require.LessOrEqual(t, h, 1+int(length.Seconds()*float64(ppm)*1e-6/1.9), "%s", channel)
		require.Equal(t, h, d, "%s", channel)
	}
	const jitter = 500 * time.Millisecond
	grown := time.Duration(float64(driftNoticed) * float64(ppm) * 1e-6)
	assert.Greater(t, fast.least, -(driftBound + grown + jitter))
	assert.Less(t, fast.most, driftSegment+jitter)
	assert.Greater(t, slow.least, -jitter)
	assert.Less(t, slow.most, driftBound+grown+driftSegment+jitter)
	require.Contains(t, s.output(), "clock drifted by -")
	require.Contains(t, s.output(), "segment left out")
	require.NotContains(t, s.output(), "panic")
}

//go:build bench

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// row is one line of the result.
type row struct {
	work     string
	cost     cost
	against  string
	baseline cost
	goal     string
}

// print shows rows as a table with the ratio of CPU per request.
func printRows(rows []row) {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-52s %10s %9s %9s %7s  %s\n", "work", "cpu/req us", "req/s", "p99 ms", "ratio", "against; goal")
	for _, r := range rows {
		ratio, against := "", r.goal
		if r.against != "" {
			ratio = fmt.Sprintf("%.2f", float64(r.cost.cpu)/float64(r.baseline.cpu))
			against = fmt.Sprintf("%s at %.1f us; %s", r.against, us(r.baseline.cpu), r.goal)
		}
		fmt.Fprintf(&b, "%-52s %10.1f %9.0f %9.2f %7s  %s\n", r.work, us(r.cost.cpu), r.cost.rate, us(r.cost.p99)/1000, ratio, against)
	}
	fmt.Println(b.String())
}

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

const benchConfig = `
channels:
  - group: default
    name: day
    endpoints:
      - {name: cmaf, container: CMAF, manifest_window: 24h, startover_window: 25h}
      - {name: short, container: CMAF, manifest_window: 60s, startover_window: 25h}
`

// TestBench measures the work of design section 8 that this server does, against nginx and net/http, in one run.
func TestBench(t *testing.T) {
	var rows []row
	t.Run("segments", func(t *testing.T) { rows = append(rows, benchSegments(t)...) })
	t.Run("manifests", func(t *testing.T) { rows = append(rows, benchManifests(t)...) })
	printRows(rows)
}

// largeSegment encodes 2 s of noise at such a rate that the segment has about 1.24 MB.
func largeSegment(t testing.TB) pushed { return noise(t, 6030) }

// noise encodes 2 s of video of so many kbit/s that a segment of that rate comes of it.
func noise(t testing.TB, rate int) pushed {
	t.Helper()
	file := filepath.Join(t.TempDir(), "large.mp4")
	out, err := exec.Command("ffmpeg", strings.Fields("-nostdin -hide_banner -loglevel error -f lavfi -i"+
		" testsrc2=size=640x360:rate=25,noise=alls=100:allf=t -c:v libx264 -preset ultrafast -tune zerolatency -g 50"+
		fmt.Sprintf(" -keyint_min 50 -sc_threshold 0 -pix_fmt yuv420p -b:v %dk -minrate %[1]dk -maxrate %[1]dk -bufsize 500k -t 2", rate)+
		" -video_track_timescale 90000 -f mp4 -movflags cmaf+empty_moov+separate_moof+default_base_moof+frag_keyframe "+file)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return split(t, file)
}

func benchSegments(t *testing.T) (rows []row) {
	s := serve(t, "")
	pid := func() int { return s.cmd.Process.Pid }
	segment := largeSegment(t)
	const count = 400
	start := time.Now().Add(-20*time.Minute).Unix() / 2 * 2
	status, answer := upload(s.in("large")+"/video/init.cmfv", segment.init)
	require.Equal(t, 2, status/100, "%s", answer)
	for i := range int64(count) {
		status, answer := upload(fmt.Sprintf("%s/video/%d.cmfv", s.in("large"), start/2+i), segment.at(start+2*i))
		require.Equal(t, 2, status/100, "%s", answer)
	}
	window := fmt.Sprintf("?start=%d&end=%d", start, start+2*count)
	await(t, 10*time.Second, s.out("large", hlsManifest)+window)
	cmaf, ok := list(t, s.out("large", hlsManifest)+window)
	require.True(t, ok)
	ts, ok := list(t, s.out("large", tsManifest)+window)
	require.True(t, ok)
	smooth := smoothURLs(t, s.out("large", fmt.Sprintf("ism/start/%d/end/%d/index.ism/Manifest", start, start+2*count)))

	one := func(l listing) string { return l.segments[l.first+uint64(len(l.segments))/2] }
	static := func(url string) (best cost, name string) {
		status, body := fetch(url)
		require.Equal(t, http.StatusOK, status, url)
		root := t.TempDir()
		require.NoError(t, os.Chmod(root, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, "file"), body, 0o644))
		best.cpu = math.MaxInt64
		for _, sendfile := range []bool{true, false} {
			base, p := nginx(t, root, sendfile)
			c := load(t, p.cmd.Process.Pid, base+"/file")
			p.kill()
			mode := map[bool]string{true: "nginx sendfile", false: "nginx read/write"}[sendfile]
			rows = append(rows, row{work: fmt.Sprintf("%s, static, %d bytes", mode, len(body)), cost: c})
			if c.cpu < best.cpu {
				best, name = c, mode
			}
		}
		return best, name
	}
	baseline, name := static(one(cmaf))
	rows = append(rows, row{"CMAF segment, passed through", load(t, pid(), one(cmaf)), name, baseline, "<= 0.9"})
	var sendfile cost
	baseline, name = static(one(ts))
	for _, r := range rows {
		if strings.HasPrefix(r.work, "nginx sendfile") {
			sendfile = r.cost // the newest: with the same bytes
		}
	}
	all := make([]string, 0, count)
	for _, u := range ts.segments {
		all = append(all, u)
	}
	rows = append(rows,
		row{"TS segment, first request", once(t, pid(), all, nil), "nginx sendfile", sendfile, "<= 1.35"},
		row{"TS segment, repeated", load(t, pid(), one(ts)), name, baseline, "<= 0.9"})
	if len(smooth) > 0 {
		rows = append(rows,
			row{"Smooth fragment, first request", once(t, pid(), smooth, nil), "nginx sendfile", sendfile, "<= 1.2"},
			row{"Smooth fragment, repeated", load(t, pid(), smooth[len(smooth)/2]), name, baseline, "<= 0.9"})
	}
	return rows
}

// smoothURLs returns the URLs of all fragments of a finished Smooth manifest.
func smoothURLs(t testing.TB, manifest string) (all []string) {
	t.Helper()
	status, body := fetch(manifest)
	require.Equal(t, http.StatusOK, status, "%s: %s", manifest, body)
	bitrate := regexp.MustCompile(`Bitrate="(\d+)"`).FindSubmatch(body)
	require.NotNil(t, bitrate, "%s", body)
	var at int64
	for _, m := range regexp.MustCompile(`<c( t="(\d+)")? d="(\d+)"( r="(\d+)")?`).FindAllSubmatch(body, -1) {
		if len(m[2]) > 0 {
			_, err := fmt.Sscan(string(m[2]), &at)
			require.NoError(t, err)
		}
		duration, repeat := int64(0), 1
		_, err := fmt.Sscan(string(m[3]), &duration)
		require.NoError(t, err)
		if len(m[5]) > 0 {
			_, err := fmt.Sscan(string(m[5]), &repeat)
			require.NoError(t, err)
		}
		for range repeat {
			all = append(all, resolve(t, manifest, fmt.Sprintf("QualityLevels(%s)/Fragments(video=%d)", bitrate[1], at)))
			at += duration
		}
	}
	return all
}

// feed pushes segments of 2 s as time goes by until the test ends, so that manifests are live.
func feed(t *testing.T, s *server, channel string) {
	t.Helper()
	segment := makeSegment(t)
	status, answer := upload(s.in(channel)+"/video/init.cmfv", segment.init)
	require.Equal(t, 2, status/100, "%s", answer)
	ctx, stop := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	t.Cleanup(func() { stop(); ended.Wait() })
	at := time.Now().Add(-70*time.Second).Unix() / 2 * 2
	ended.Go(func() {
		for ctx.Err() == nil {
			if at+2 > time.Now().Unix() {
				time.Sleep(50 * time.Millisecond)
				continue
			}
			upload(fmt.Sprintf("%s/video/%d.cmfv", s.in(channel), at/2), segment.at(at))
			at += 2
		}
	})
}

// gzipped is what browsers and CDNs ask for.
const gzipped = "Accept-Encoding: gzip"

func benchManifests(t *testing.T) (rows []row) {
	s := &server{t: t, verb: "serve", port: freePort(t), admin: freePort(t), data: t.TempDir()}
	s.config = filepath.Join(t.TempDir(), "headwater.yaml")
	require.NoError(t, os.WriteFile(s.config, []byte(benchConfig), 0o600))
	now := time.Now()
	fillPast(t, s.data, "day", now, 24*time.Hour-2*time.Minute)
	began := time.Now()
	s.start()
	rows = append(rows, row{work: "start with 24 h of 2 tracks stored", cost: cost{p99: time.Since(began)}, goal: "serving within 2 s"})
	pid := s.cmd.Process.Pid
	feed(t, s, "live")
	await(t, 10*time.Second, s.out("live", hlsManifest), s.out("live", dashManifest))
	time.Sleep(time.Second)

	measure := func(work, url, goal string) {
		header, body := compressed(t, url)
		against := func(h http.Header) cost {
			base, p := bare(t, h, body)
			defer p.kill()
			return load(t, p.cmd.Process.Pid, base, gzipped)
		}
		least, same := against(few(len(body))), against(header)
		ours := load(t, pid, url, gzipped)
		work = fmt.Sprintf("%s, warm, %d bytes", work, len(body))
		rows = append(rows, row{work, ours, "net/http", least, goal},
			row{"- the same", ours, "net/http with all our headers", same, goal})
	}
	media := firstMedia(t, s.out("live", hlsManifest))
	measure("live media playlist of 60 s", media, "<= 1.15")
	measure("live MPD of 60 s", s.out("live", dashManifest), "<= 1.15")
	measure("live Smooth manifest of 60 s", s.out("live", mssManifest), "<= 1.15")

	const day = 24 * time.Hour
	window := func(manifest string, shift int) string {
		from := now.Add(-day + 4*time.Minute).Add(time.Duration(shift) * time.Second)
		return fmt.Sprintf("%s?start=%d&end=%d", s.out("day", manifest), from.Unix(), now.Add(-5*time.Minute).Unix())
	}
	for _, c := range []struct{ name, manifest string }{{"media playlist", hlsManifest}, {"MPD", dashManifest}} {
		url := func(shift int) string {
			u := window(c.manifest, shift)
			if c.manifest == hlsManifest {
				return firstMedia(t, u)
			}
			return u
		}
		cold := make([]time.Duration, 0, 10)
		urls := make([]string, 0, 10)
		for i := range 10 {
			urls = append(urls, url(2*i))
		}
		before := processTime(t, pid)
		for _, u := range urls {
			at := time.Now()
			_, body := compressed(t, u)
			cold = append(cold, time.Since(at))
			require.NotEmpty(t, body)
		}
		spent := (processTime(t, pid) - before) / time.Duration(len(urls))
		worst := cold[0]
		for _, d := range cold {
			worst = max(worst, d)
		}
		rows = append(rows, row{work: "24 h " + c.name + ", cold, one at a time (p99: slowest of 10)", cost: cost{cpu: spent, p99: worst}, goal: "<= 20 ms"})
		measure("24 h "+c.name, url(0), "as 60 s; <= 1.15")
	}
	return rows
}

// firstMedia returns the URL of the first media playlist of a multivariant playlist.
func firstMedia(t testing.TB, multivariant string) string {
	t.Helper()
	status, body := fetch(multivariant)
	require.Equal(t, http.StatusOK, status, "%s: %s", multivariant, body)
	for line := range strings.Lines(string(body)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return resolve(t, multivariant, line)
		}
	}
	t.Fatalf("no variant in %s", body)
	return ""
}

// compressed returns the answer to a GET as it stands on the wire when gzip is accepted.
func compressed(t testing.TB, url string) (http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header.Set("Accept-Encoding", "gzip") // set by hand: the transport does not decompress then
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, "%s: %.300s", url, body)
	require.True(t, bytes.HasPrefix(body, []byte{0x1f, 0x8b}), "%s is compressed", url)
	return res.Header, body
}

//go:build e2e

package e2e

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// capture is what ffmpeg decoded of one output: presentation times in seconds.
type capture struct {
	frames  []float64    // of each picture
	flashes []float64    // of each white picture
	sound   [][2]float64 // of each audio frame: presentation time and duration
	beeps   []float64    // of each onset of sound
	errors  []string     // what ffmpeg called an error
}

// reader is ffmpeg decoding an output while it is live.
type reader struct {
	*process
	pictures string // file with the brightness of each picture
}

// decode returns ffmpeg's arguments that measure pictures and sound of the inputs and keep nothing. Times are as in the
// media, save that base, in seconds, is taken off: ffmpeg prints no more than six digits.
func decode(pictures, video, audio string, base int64, inputs ...string) []string {
	args := strings.Fields("-nostdin -hide_banner -nostats -loglevel level+info -copyts")
	for _, in := range inputs {
		args = append(args, "-i", in)
	}
	return append(args, "-fps_mode", "passthrough",
		"-map", video, "-vf", fmt.Sprintf("setpts=PTS-%d/TB,signalstats,metadata=mode=print:key=lavfi.signalstats.YAVG:file=%s", base, pictures), "-f", "null", "-",
		"-map", audio, "-af", fmt.Sprintf("asetpts=PTS-%d/TB,silencedetect=n=-30dB:d=0.2,ashowinfo", base), "-f", "null", "-")
}

// base returns the whole seconds before which an input has nothing.
func base(t testing.TB, input string) int64 {
	t.Helper()
	return int64(probe(t, input, "start_time")) - 1
}

// probe returns what ffprobe says of an input, in seconds: its start_time or duration.
func probe(t testing.TB, input, what string) float64 {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "format="+what, "-of", "csv=p=0", input).Output()
	require.NoError(t, err, input)
	return number(t, strings.TrimSpace(string(out)))
}

// read starts to decode a live output.
func read(t testing.TB, name, url string) *reader {
	t.Helper()
	pictures := filepath.Join(t.TempDir(), "pictures.txt")
	args := decode(pictures, "0:v:0", "0:a:0", base(t, url), url)
	return &reader{launch(t, "ffmpeg reading "+name, nil, "ffmpeg", args...), pictures}
}

// finish ends the reading and returns what was decoded.
func (r *reader) finish(t testing.TB) capture {
	t.Helper()
	require.True(t, r.running(), "ffmpeg stopped reading: %s", tail(r.output(), 2000))
	log := r.output() // what it says after being interrupted is of no interest
	r.interrupt()
	return examine(t, r.pictures, log)
}

// measureFiles decodes files to their end.
func measureFiles(t testing.TB, video, audio string, inputs ...string) capture {
	t.Helper()
	pictures := filepath.Join(t.TempDir(), "pictures.txt")
	out, err := exec.Command("ffmpeg", decode(pictures, video, audio, base(t, inputs[0]), inputs...)...).CombinedOutput()
	require.NoError(t, err, "%s", tail(string(out), 2000))
	return examine(t, pictures, string(out))
}

var (
	pictureLine = regexp.MustCompile(`pts_time:(\S+)\s+lavfi\.signalstats\.YAVG=(\S+)`)
	soundLine   = regexp.MustCompile(`ashowinfo.* pts:(-?\d+) .*nb_samples:(\d+)`)
	rateLine    = regexp.MustCompile(`ashowinfo.*rate:(\d+)`)
	beepLine    = regexp.MustCompile(`silence_end: (\S+)`)
	errorLine   = regexp.MustCompile(`\[(error|fatal|panic)\]`)
)

// examine reads what the filters printed.
func examine(t testing.TB, pictures, log string) (c capture) {
	t.Helper()
	b, err := os.ReadFile(pictures)
	require.NoError(t, err)
	for _, m := range pictureLine.FindAllStringSubmatch(string(b), -1) {
		at, bright := number(t, m[1]), number(t, m[2])
		c.frames = append(c.frames, at)
		if bright > 128 {
			c.flashes = append(c.flashes, at)
		}
	}
	rate := 48000.0
	if m := rateLine.FindStringSubmatch(log); m != nil {
		rate = number(t, m[1])
	}
	for _, line := range strings.Split(log, "\n") {
		if m := soundLine.FindStringSubmatch(line); m != nil {
			c.sound = append(c.sound, [2]float64{number(t, m[1]) / rate, number(t, m[2]) / rate})
		}
		if m := beepLine.FindStringSubmatch(line); m != nil {
			c.beeps = append(c.beeps, number(t, m[1]))
		}
		if errorLine.MatchString(line) {
			c.errors = append(c.errors, line)
		}
	}
	return c
}

func number(t testing.TB, s string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(s, 64)
	require.NoError(t, err)
	return f
}

// length returns how many seconds of pictures were decoded.
func (c capture) length() float64 {
	if len(c.frames) == 0 {
		return 0
	}
	return c.frames[len(c.frames)-1] - c.frames[0]
}

// offset returns by how many seconds the sound is late against the picture: the median over all flashes, and the
// largest distance of a single one from it. Beeps at the very beginning, where silence is not yet known, do not count.
func (c capture) offset(t testing.TB) (median, spread float64) {
	t.Helper()
	var all []float64
	for _, b := range c.beeps {
		near := math.Inf(1)
		for _, f := range c.flashes {
			if math.Abs(b-f) < math.Abs(near) {
				near = b - f
			}
		}
		if math.Abs(near) < 0.4 {
			all = append(all, near)
		}
	}
	require.NotEmpty(t, all, "no beep near a flash: %d beeps, %d flashes", len(c.beeps), len(c.flashes))
	slices.Sort(all)
	median = all[len(all)/2]
	return median, max(median-all[0], all[len(all)-1]-median)
}

// requireContinuous states that each picture follows the one before by 40 ms, and each audio frame the one before by
// its duration; within is what rounding in the container may add.
func (c capture) requireContinuous(t testing.TB, within float64) {
	t.Helper()
	for i := 1; i < len(c.frames); i++ {
		require.InDelta(t, 0.04, c.frames[i]-c.frames[i-1], within, "picture %d of %d at %f", i, len(c.frames), c.frames[i])
	}
	for i := 1; i < len(c.sound); i++ {
		before := c.sound[i-1]
		require.InDelta(t, before[1], c.sound[i][0]-before[0], within, "audio frame %d of %d at %f", i, len(c.sound), before[0])
	}
}

// lipSync is by how much sound may move against the picture on its way through the server, in seconds.
const lipSync = 0.025

// sourceOffset measures the programme as it is encoded, without the server.
func sourceOffset(t testing.TB) float64 {
	t.Helper()
	file := filepath.Join(t.TempDir(), "source.mp4")
	args := append(strings.Fields("-nostdin -hide_banner -loglevel error"), source(false)...)
	args = append(args, strings.Fields(encoder+" -t 10 "+file)...)
	out, err := exec.Command("ffmpeg", args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	c := measureFiles(t, "0:v:0", "0:a:0", file)
	require.Len(t, c.flashes, 10)
	median, spread := c.offset(t)
	require.Less(t, spread, 0.005)
	return median
}

// requireReadsWell states what a careful decoder finds in an output.
func requireReadsWell(t *testing.T, c capture, want float64, source float64) {
	t.Helper()
	require.Empty(t, c.errors)
	require.GreaterOrEqual(t, c.length(), want, "seconds decoded")
	c.requireContinuous(t, 0.002)
	median, spread := c.offset(t)
	t.Logf("%.1f s read; sound is %.1f ms late (the source's is %.1f ms), spread %.1f ms", c.length(), 1000*median, 1000*source, 1000*spread)
	require.InDelta(t, source, median, lipSync, "sound against picture")
	require.Less(t, spread, lipSync)
}

func TestTheMeasurementOfSoundAgainstPictureSeesAShift(t *testing.T) {
	base := sourceOffset(t)
	file := filepath.Join(t.TempDir(), "late.mp4")
	args := append(strings.Fields("-nostdin -hide_banner -loglevel error"), source(false)...)
	args = append(args, strings.Fields("-map 0:v -map 1:a -af adelay=60:all=1 "+videoEncoder+" "+audioEncoder+" -t 6 "+file)...)
	out, err := exec.Command("ffmpeg", args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	c := measureFiles(t, "0:v:0", "0:a:0", file)
	median, _ := c.offset(t)
	require.InDelta(t, base+0.060, median, 0.003)
	c.requireContinuous(t, 0.002)
	require.Empty(t, c.errors)
}

// readingTime is how long each output is read and played.
const readingTime = 60 * time.Second

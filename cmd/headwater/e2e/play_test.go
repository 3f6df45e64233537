//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// job is one URL to play in one player; see player/play.mjs.
type job struct {
	Name         string `json:"name"`
	Player       string `json:"player"`
	URL          string `json:"url"`
	StartTimeout int    `json:"startTimeoutMs,omitempty"`
	Screenshot   string `json:"screenshot,omitempty"`
}

// played is a player's report.
type played struct {
	Name, Player, URL   string
	StartMs             int
	PlayedSeconds       float64
	Rate                float64
	Stalls              int
	LongestStallMs      int
	Jumps               int
	JumpedSeconds       float64
	Ended               bool
	Fatal, Errors       []string
	AudioDecodedBytes   int64
	AudioGrew           bool
	VideoDecodedFrames  int
	DroppedFrames       int
	Width, Height       int
	FirstPosition       float64
	LastPosition        float64
	Latency             float64
	SeekableStart       float64
	SeekableEnd         float64
	Positions           [][2]float64 // ms since loading, s of media
	Refused, Complaints []string
}

// summary is the report without its long lists.
func (p played) summary() string {
	p.Positions = nil
	b, _ := json.Marshal(p)
	return string(b)
}

// play runs jobs at once in one Chromium, for the given time after each has started, and returns their reports by name.
func play(t *testing.T, length time.Duration, jobs ...job) map[string]played {
	t.Helper()
	spec, err := json.Marshal(map[string]any{"seconds": length.Seconds(), "startTimeoutMs": 20000, "jobs": jobs})
	require.NoError(t, err)
	p := launch(t, "players", nil, "node", "player/play.mjs", string(spec))
	select {
	case <-p.done:
	case <-time.After(length + 90*time.Second):
		p.kill()
		t.Fatalf("the players did not end:\n%s", tail(p.output(), 3000))
	}
	require.NoError(t, p.err, "the players ended with:\n%s", tail(p.output(), 3000))
	reports := map[string]played{}
	for _, line := range strings.Split(p.output(), "\n") {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var r played
		require.NoError(t, json.Unmarshal([]byte(line), &r), line)
		reports[r.Name] = r
	}
	require.Len(t, reports, len(jobs))
	return reports
}

// requirePlayedWell states what a viewer expects of undisturbed live playback for the given time.
func requirePlayedWell(t *testing.T, r played, length time.Duration) {
	t.Helper()
	say := r.summary()
	require.Empty(t, r.Fatal, say)
	require.GreaterOrEqual(t, r.PlayedSeconds, 0.95*length.Seconds(), say)
	require.GreaterOrEqual(t, r.Rate, 0.95, say)
	require.Zero(t, r.Stalls, say)
	require.Zero(t, r.Jumps, say)
	require.True(t, r.AudioGrew, "audio was decoded: %s", say)
	require.Greater(t, r.VideoDecodedFrames, int(20*length.Seconds()), say)
}

// requireParses checks a playlist with hls-parser in its strict mode.
func requireParses(t *testing.T, playlist []byte) {
	t.Helper()
	cmd := exec.Command("node", "player/parse.mjs")
	cmd.Stdin, cmd.Env = bytes.NewReader(playlist), os.Environ()
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "hls-parser: %s\n%s", out, playlist)
}

package origin

import (
	"bytes"
	"encoding/json"
	"flag"
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

var record = flag.String("record", "", "record the captures whose names this regular expression matches anew, with ffmpeg and GStreamer")

// TestTheCapturesAreThoseOfTheRecipes records those that are asked for.
func TestTheCapturesAreThoseOfTheRecipes(t *testing.T) {
	if *record != "" {
		wanted := regexp.MustCompile(*record)
		t.Run("record", func(t *testing.T) {
			for _, r := range recipes {
				if wanted.MatchString(r.name) {
					t.Run(r.name, func(t *testing.T) {
						t.Parallel()
						r.record(t)
					})
				}
			}
		})
	}
	files, err := filepath.Glob(filepath.Join(captures, "*.jsonl"))
	require.NoError(t, err)
	var names []string
	for _, r := range recipes {
		names = append(names, filepath.Join(captures, r.name+".jsonl"))
	}
	require.ElementsMatch(t, names, files)
	for _, r := range recipes {
		if r.push == nil {
			require.Equal(t, r.commands, readCapture(t, r.name).about.Commands, "%s: record it anew", r.name)
		}
	}
}

// record runs what a recipe says and writes the capture.
func (r recipe) record(t *testing.T) {
	t.Helper()
	s := newRecorder(t, r.secret)
	c := capture{about: about{Name: r.name, Began: s.began, Encoder: r.version(t), Commands: r.commands}}
	if r.push != nil {
		r.push(t, s.url())
		c.about.Commands = []string{"a program of ours: capturecmaf_test.go"}
	}
	for _, command := range r.commands {
		cmd := exec.Command("bash", "-c", command)
		cmd.Env = append(os.Environ(), "IN="+s.url())
		out, err := cmd.CombinedOutput()
		t.Logf("%v: %s", err, out) // one that is killed fails
	}
	c.events = s.end()
	for _, rendition := range r.renditions {
		c.about.Source = append(c.about.Source, probe(t, rendition.files, c.assembled(rendition))...)
	}
	c.write(t)
}

// version returns the first line of what the encoder says of itself, without its licence.
func (r recipe) version(t *testing.T) string {
	t.Helper()
	words := strings.Fields(r.encoder)
	out, err := exec.Command(words[0], words[1:]...).Output()
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(out), "\n")
	line, _, _ = strings.Cut(line, " Copyright")
	return line
}

// assembled returns the bytes of a rendition: its files end to end, the first pattern's first. Of a header that was sent
// again as it was the first counts.
func (c capture) assembled(r rendition) []byte {
	var out []byte
	seen := map[string]bool{}
	patterns := strings.Fields(r.files)
	for _, p := range patterns {
		for _, x := range c.exchanges() {
			again := string(x.body)
			if (rendition{files: p}).matches(x.name()) && !seen[again] {
				seen[again] = len(x.body) > 8 && again[4:8] == "ftyp"
				out = append(out, x.body...)
			}
		}
	}
	return out
}

// probed is what ffprobe prints.
type probed struct {
	Streams []struct {
		Index         int               `json:"index"`
		CodecName     string            `json:"codec_name"`
		CodecType     string            `json:"codec_type"`
		Width, Height int               `json:",omitempty"`
		SampleRate    string            `json:"sample_rate"`
		Channels      int               `json:"channels"`
		Tags          map[string]string `json:"tags"`
	} `json:"streams"`
	Packets []struct {
		StreamIndex  int    `json:"stream_index"`
		PtsTime      string `json:"pts_time"`
		DurationTime string `json:"duration_time"`
	} `json:"packets"`
}

// probe asks ffprobe what the streams in media are.
func probe(t *testing.T, files string, data []byte) (out []sourceStream) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "media")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	raw, err := exec.Command("ffprobe", "-v", "error", "-show_streams", "-show_packets", "-of", "json", file).Output()
	require.NoError(t, err, files)
	var p probed
	require.NoError(t, json.Unmarshal(bytes.TrimSpace(raw), &p))
	for _, s := range p.Streams {
		if s.CodecType != "video" && s.CodecType != "audio" {
			continue
		}
		rate, _ := strconv.Atoi(s.SampleRate) // a video has none
		v := sourceStream{Files: files, Codec: s.CodecName, Width: s.Width, Height: s.Height, Rate: rate, Channels: s.Channels,
			Language: s.Tags["language"], From: math.Inf(1), To: math.Inf(-1)}
		for _, packet := range p.Packets {
			if packet.StreamIndex != s.Index {
				continue
			}
			at, err := strconv.ParseFloat(packet.PtsTime, 64)
			require.NoError(t, err, "%s: packet %d of %s", files, v.Frames, s.CodecType)
			length, _ := strconv.ParseFloat(packet.DurationTime, 64) // the last may have none
			v.Frames++
			v.From, v.To = min(v.From, at), max(v.To, at+length)
		}
		v.From, v.To = math.Round(v.From*1e6)/1e6, math.Round(v.To*1e6)/1e6
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(a, b sourceStream) int { return strings.Compare(b.kind(), a.kind()) })
	return out
}

func (s sourceStream) kind() string {
	if s.Width > 0 {
		return "video"
	}
	return "audio"
}

func (s sourceStream) String() string {
	what := fmt.Sprintf("%s %dx%d", s.Codec, s.Width, s.Height)
	if s.kind() == "audio" {
		what = fmt.Sprintf("%s %d Hz, %d channels", s.Codec, s.Rate, s.Channels)
	}
	if s.Language != "" {
		what += ", " + s.Language
	}
	return fmt.Sprintf("%s, %d frames in %s", what, s.Frames, time.Duration((s.To-s.From)*1e9).Round(time.Microsecond))
}

//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTheConsoleShowsTheDemoProgrammeWithinAMinute starts what `make run` starts and opens the console in Chromium.
func TestTheConsoleShowsTheDemoProgrammeWithinAMinute(t *testing.T) {
	s := &server{t: t, verb: "demo", port: freePort(t), admin: freePort(t), data: t.TempDir()}
	began := time.Now()
	s.start()
	r := play(t, 10*time.Second, job{Name: "console", Player: "page", URL: s.adminURL("/console/"), StartTimeout: 50000})["console"]
	t.Log(r.summary())
	require.Empty(t, r.Fatal)
	require.Greater(t, r.PlayedSeconds, 5.0, "of 10 s: whether it plays well is another test")
	require.Greater(t, r.VideoDecodedFrames, 100)
	require.Empty(t, r.Refused, "everything the page asks for is there")
	require.Less(t, time.Since(began), 60*time.Second+10*time.Second, "it is on the screen within 60 s, and was watched for 10")
	require.Less(t, r.StartMs, 50000)
}

// TestCatchUpPlaysFromStartToEndInEveryPlayer asks each format for the same seconds of the past.
func TestCatchUpPlaysFromStartToEndInEveryPlayer(t *testing.T) {
	p := pushes[2]
	// begin starts a server with an encoder whose media is there.
	begin := func(t *testing.T) (*server, *process) {
		s := serve(t, "")
		encoder := p.run(t, s)
		await(t, 20*time.Second, s.out(p.channel, hlsManifest))
		return s, encoder
	}
	watch := func(t *testing.T, s *server, from, to time.Time) map[string]played {
		window := fmt.Sprintf("?start=%d&end=%d", from.Unix(), to.Unix())
		return play(t, to.Sub(from)+15*time.Second,
			job{Name: "HLS with CMAF segments in hls.js", Player: "hlsjs", URL: s.out(p.channel, hlsManifest) + window},
			job{Name: "HLS with TS segments in hls.js", Player: "hlsjs", URL: s.out(p.channel, tsManifest) + window},
			job{Name: "DASH in dash.js", Player: "dashjs", URL: s.out(p.channel, dashManifest) + window},
			job{Name: "Smooth in dash.js", Player: "mss", URL: s.out(p.channel, mssManifest) + window})
	}
	t.Run("of one encoder", func(t *testing.T) {
		s, _ := begin(t)
		began := time.Now()
		time.Sleep(22 * time.Second)
		from, to := began.Add(2*time.Second), began.Add(14*time.Second)
		mpd := fmt.Sprintf("%s?start=%d&end=%d", s.out(p.channel, dashManifest), from.Unix(), to.Unix())
		require.InDelta(t, 13, probe(t, mpd, "duration"), 3, "ffprobe")
		for name, r := range watch(t, s, from, to) {
			t.Run(name, func(t *testing.T) {
				t.Log(r.summary())
				require.Empty(t, r.Fatal)
				require.True(t, r.Ended, "playback comes to the end")
				require.InDelta(t, 13, r.PlayedSeconds, 3, "12 s, in whole segments of 2 s")
				require.Zero(t, r.Stalls)
				require.True(t, r.AudioGrew)
			})
		}
	})
	t.Run("across a restart of the encoder", func(t *testing.T) {
		s, encoder := begin(t)
		time.Sleep(10 * time.Second)
		killed := time.Now()
		encoder.kill()
		p.run(t, s)
		time.Sleep(20 * time.Second)
		for name, r := range watch(t, s, killed.Add(-8*time.Second), killed.Add(10*time.Second)) {
			t.Run(name, func(t *testing.T) {
				t.Log(r.summary())
				require.Empty(t, r.Fatal)
				require.True(t, r.Ended, "playback comes to the end")
				// What the encoder had not sent when it was killed is missing: up to a segment and the time of its start.
				require.InDelta(t, 19, r.PlayedSeconds+r.JumpedSeconds, 4, "18 s, in whole segments of 2 s, with or without the gap")
				require.LessOrEqual(t, r.LongestStallMs, 3000, "at the gap")
				require.True(t, r.AudioGrew)
			})
		}
	})
}

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

// TestCatchUpPlaysFromStartToEndInEveryPlayer asks each format for the same 12 s of the past.
func TestCatchUpPlaysFromStartToEndInEveryPlayer(t *testing.T) {
	s := serve(t, "")
	p := pushes[2]
	p.run(t, s)
	hls := s.out(p.channel, hlsManifest)
	await(t, 20*time.Second, hls)
	began := time.Now()
	time.Sleep(22 * time.Second)
	window := fmt.Sprintf("?start=%d&end=%d", began.Unix()+2, began.Unix()+14)
	jobs := []job{
		{Name: "HLS with CMAF segments in hls.js", Player: "hlsjs", URL: hls + window},
		{Name: "HLS with TS segments in hls.js", Player: "hlsjs", URL: s.out(p.channel, tsManifest) + window},
		{Name: "DASH in dash.js", Player: "dashjs", URL: s.out(p.channel, dashManifest) + window},
		{Name: "Smooth in dash.js", Player: "mss", URL: s.out(p.channel, mssManifest) + window},
	}
	for name, r := range play(t, 20*time.Second, jobs...) {
		t.Run(name, func(t *testing.T) {
			t.Log(r.summary())
			require.Empty(t, r.Fatal)
			require.True(t, r.Ended, "playback comes to the end")
			require.InDelta(t, 13, r.PlayedSeconds, 3, "12 s, in whole segments of 2 s")
			require.Zero(t, r.Stalls)
			require.True(t, r.AudioGrew)
		})
	}
}

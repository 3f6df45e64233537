//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRealPushesPlayInChromiumAndReadInFFmpeg pushes with ffmpeg in each protocol. Each of the outputs plays for 60 s
// in its player and is decoded for as long by ffmpeg, all at the same time.
func TestRealPushesPlayInChromiumAndReadInFFmpeg(t *testing.T) {
	source := sourceOffset(t)
	for _, p := range pushes {
		t.Run(p.name, func(t *testing.T) {
			s := serve(t, "")
			encoder := p.run(t, s)
			hls, dash := s.out(p.channel, hlsManifest), s.out(p.channel, dashManifest)
			ts, mss := s.out(p.channel, tsManifest), s.out(p.channel, mssManifest)
			await(t, 20*time.Second, hls, dash, ts, mss)
			time.Sleep(8 * time.Second) // players keep three segments between them and the live edge

			readers := map[string]*reader{
				"HLS with CMAF segments": read(t, "HLS with CMAF", hls),
				"HLS with TS segments":   read(t, "HLS with TS", ts),
			}
			var smooth capture
			var together sync.WaitGroup
			together.Go(func() { smooth = readSmooth(t, mss, readingTime) })
			reports := play(t, readingTime,
				job{Name: "HLS with CMAF segments in hls.js", Player: "hlsjs", URL: hls},
				job{Name: "HLS with TS segments in hls.js", Player: "hlsjs", URL: ts},
				job{Name: "DASH in dash.js", Player: "dashjs", URL: dash},
				job{Name: "Smooth in dash.js", Player: "mss", URL: mss})
			together.Wait()

			require.True(t, encoder.running(), "the encoder ended")
			for name, r := range reports {
				t.Run("plays "+name, func(t *testing.T) {
					t.Log(r.summary())
					requirePlayedWell(t, r, readingTime)
				})
			}
			for name, r := range readers {
				c := r.finish(t)
				t.Run("ffmpeg reads "+name, func(t *testing.T) { requireReadsWell(t, c, 58, source) })
			}
			t.Run("ffmpeg reads DASH", func(t *testing.T) {
				// ffmpeg's DASH demuxer knows no live edge: it asks for the next number at once, and goes on to the one
				// after when it is told 404. So it reads the same segments from an MPD of what has just been live.
				end := time.Now().Add(-4 * time.Second)
				window := fmt.Sprintf("?start=%d&end=%d", end.Add(-readingTime).Unix(), end.Unix())
				requireReadsWell(t, measureFiles(t, "0:v:0", "0:a:0", dash+window), 58, source)
			})
			t.Run("ffmpeg reads Smooth", func(t *testing.T) { requireReadsWell(t, smooth, 50, source) })
			t.Run("strict parsers read the playlists", func(t *testing.T) {
				requirePlaylists(t, hls)
				requirePlaylists(t, ts)
			})
			require.NotContains(t, s.output(), "panic")
		})
	}
}

// requirePlaylists reads a multivariant playlist and every playlist it names with two strict parsers.
func requirePlaylists(t *testing.T, multivariant string) {
	t.Helper()
	status, body := fetch(multivariant)
	require.Equal(t, 200, status)
	requireParses(t, body)
	list, kind, err := m3u8.DecodeFrom(bytes.NewReader(body), true)
	require.NoError(t, err, "%s", body)
	require.Equal(t, m3u8.MASTER, kind)
	for _, u := range playlistURLs(t, multivariant, list.(*m3u8.MasterPlaylist)) {
		status, body := fetch(u)
		require.Equal(t, 200, status, u)
		requireParses(t, body)
		_, kind, err := m3u8.DecodeFrom(bytes.NewReader(body), true)
		require.NoError(t, err, "%s", body)
		require.Equal(t, m3u8.MEDIA, kind)
	}
}

// TestPlayersContinueAfterTheEncoderWasKilledAndRestarted kills ffmpeg in the middle of a stream and starts it again
// two seconds later, as a supervisor does. Every player is playing new media within 10 s of that.
func TestPlayersContinueAfterTheEncoderWasKilledAndRestarted(t *testing.T) {
	for _, p := range []push{pushes[0], pushes[2]} {
		t.Run(p.name, func(t *testing.T) {
			for name, r := range playOverOutage(t, p, 2*time.Second, 50*time.Second) {
				t.Run(name+" goes on", func(t *testing.T) {
					requireGoesOn(t, r)
					require.LessOrEqual(t, r.LongestStallMs, 10000)
					require.Less(t, waited(r), 12.0)
				})
			}
		})
	}
}

// TestPlayersOutlastAnOutage has the encoder stay away for so long that players run out of media and ask in vain. dash.js
// with Smooth then stands for as long again, before it steps over the gap.
func TestPlayersOutlastAnOutage(t *testing.T) {
	for name, r := range playOverOutage(t, pushes[0], 10*time.Second, 75*time.Second) {
		t.Run(name+" goes on", func(t *testing.T) { requireGoesOn(t, r) })
	}
}

// playOverOutage has every player play a push that is killed after 15 s and starts again after the outage, and one more
// that is opened then.
func playOverOutage(t *testing.T, p push, outage, watched time.Duration) map[string]played {
	s := serve(t, "")
	encoder := p.run(t, s)
	hls, dash, mss := s.out(p.channel, hlsManifest), s.out(p.channel, dashManifest), s.out(p.channel, mssManifest)
	await(t, 20*time.Second, hls, dash, mss)
	time.Sleep(8 * time.Second)
	var together sync.WaitGroup
	var late map[string]played
	together.Go(func() {
		time.Sleep(15 * time.Second)
		encoder.kill()
		time.Sleep(outage)
		p.run(t, s)
		time.Sleep(6 * time.Second)
		late = play(t, watched-outage-21*time.Second, job{Name: "dash.js with Smooth, opened after it", Player: "mss", URL: mss})
	})
	reports := play(t, watched,
		job{Name: "hls.js", Player: "hlsjs", URL: hls},
		job{Name: "dash.js", Player: "dashjs", URL: dash},
		job{Name: "dash.js with Smooth", Player: "mss", URL: mss})
	together.Wait()
	maps.Copy(reports, late)
	require.NotContains(t, strings.ToLower(s.output()), "panic")
	return reports
}

// waited returns for how many seconds a player that has started showed nothing new.
func waited(r played) float64 {
	last := r.Positions[len(r.Positions)-1]
	return (last[0]-float64(r.StartMs))/1000 - r.PlayedSeconds
}

// requireGoesOn states that a player was playing at the end.
func requireGoesOn(t *testing.T, r played) {
	t.Helper()
	t.Log(r.summary())
	require.Empty(t, r.Fatal)
	require.GreaterOrEqual(t, len(r.Positions), 20)
	last := r.Positions[len(r.Positions)-20:] // the last 10 s
	require.InDelta(t, (last[19][0]-last[0][0])/1000, last[19][1]-last[0][1], 1, "it plays at the end: %v", last)
}

// TestPlayersStartWithAChannelThatIsSecondsOld opens every player as soon as there is a manifest, and no one has waited.
func TestPlayersStartWithAChannelThatIsSecondsOld(t *testing.T) {
	s := serve(t, "")
	var together sync.WaitGroup
	for _, c := range []struct {
		push             push
		player, manifest string
	}{
		{pushes[0], "hlsjs", hlsManifest}, {pushes[0], "dashjs", dashManifest}, {pushes[0], "mss", mssManifest},
		{pushes[4], "dashjs", dashManifest}, // whose sound and picture begin at one instant
	} {
		if c.player == "hlsjs" || c.push.name != pushes[0].name {
			c.push.run(t, s)
		}
		together.Go(func() {
			name, url := c.player+" of "+c.push.name, s.out(c.push.channel, c.manifest)
			await(t, 20*time.Second, url)
			r := play(t, 15*time.Second, job{Name: name, Player: c.player, URL: url})[name]
			t.Log(r.summary())
			assert.Empty(t, r.Fatal, name)
			assert.Less(t, r.StartMs, 8000, name)
			assert.Greater(t, r.PlayedSeconds, 10.0, name)
		})
	}
	together.Wait()
}

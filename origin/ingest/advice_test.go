package ingest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/timeline"
	"headwater/packager/media"
)

var adviceTime = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// sound is an input about which there is nothing to say: 2 s segments of video at 25 pictures a second, and audio.
func sound() InputReport {
	even := func(d time.Duration) Spread { return Spread{d, d, d, d} }
	track := func(id string, k media.Kind) TrackReport {
		return TrackReport{TrackState: timeline.TrackState{Track: media.Track{ID: id, Kind: k}}, Bitrate: 200_000, Measured: 20,
			Durations: even(2 * time.Second), Late: even(300 * time.Millisecond)}
	}
	video := track("video", media.Video)
	video.Keys = even(2 * time.Second)
	video.Config = &media.Config{FrameRate: media.Ratio{Num: 25, Den: 1}}
	return InputReport{Number: 1, Active: true, Protocol: "hls-ts", Clock: "pdt", LastPush: adviceTime.Add(-time.Second), Accepted: 40,
		Segments: 40, Manifests: 1, Synced: true, Sync: 5 * time.Millisecond, Tracks: []TrackReport{video, track("audio", media.Audio)}}
}

func TestNothingIsAdvisedAboutASoundInput(t *testing.T) {
	require.Empty(t, sound().Advise(adviceTime))
	require.Empty(t, InputReport{Number: 2}.Advise(adviceTime), "an input that nothing was pushed to")
}

func TestAdviceSaysWhatToChange(t *testing.T) {
	for _, c := range []struct {
		reason, track, text string
		change              func(*InputReport)
	}{
		{"uploads_refused", "", "uploads are refused: no_init (last at 11:59:30 UTC: no initialization segment for v/1.m4s)", func(r *InputReport) {
			r.Errors = []Refusal{{Reason: "older"}, {Time: adviceTime.Add(-30 * time.Second), Reason: "no_init",
				Text: "no initialization segment for v/1.m4s"}}
		}},
		{"no_credentials", "", "without credentials and are answered 401 (last at 11:59:00 UTC)", func(r *InputReport) {
			r.Active, r.LastPush, r.Challenged = false, adviceTime.Add(-2*time.Minute), adviceTime.Add(-time.Minute)
		}},
		{"silent", "", "nothing has come for 35 s", func(r *InputReport) { r.LastPush = adviceTime.Add(-35 * time.Second) }},
		{"slate", "", "the encoder sends slate: its input is lost", func(r *InputReport) { r.Tracks[1].Slate = true }},
		{"encoder_restarts", "", "the encoder restarted 5 times in 10 minutes", func(r *InputReport) {
			for i := range 6 {
				r.Restarts = append(r.Restarts, adviceTime.Add(time.Duration(2*i-11)*time.Minute))
			}
		}},
		{"clock_drift", "", "the encoder's clock runs 200 ppm fast, 0.7 s an hour: each 2 s of it players see a discontinuity",
			func(r *InputReport) { r.Drift = Drift{Rated: true, PPM: 200} }},
		{"clock_drift", "", "the encoder's clock runs 1000 ppm slow, 3.6 s an hour: media comes earlier and earlier, or later",
			func(r *InputReport) { r.Clock, r.Drift = "epoch", Drift{Rated: true, PPM: -1000} }},
		{"no_playlist", "", "no playlist lists the segments", func(r *InputReport) { r.Manifests = 0 }},
		{"no_playlist", "", "no playlist lists the segments", func(r *InputReport) { r.Unlisted = true }},
		{"no_playlist", "", "no MPD describes the segments", func(r *InputReport) { r.Manifests, r.Protocol = 0, "dash" }},
		{"no_key_frame", "video", "15 of 20 segments start without a key frame, so players cannot start there: set -g 50 -keyint_min 50",
			func(r *InputReport) { r.Tracks[0].Keyless = 15 }},
		{"open_gop", "video", "3 of 20 segments begin with open GOPs, whose first pictures need the segment before: players that start or " +
			"switch there drop or spoil them: set -flags +cgop (x264 and x265: open-gop=0)", func(r *InputReport) { r.Tracks[0].Open = 3 }},
		{"key_frames_rare", "video", "key frames every 10 s: players wait that long: set -g 50",
			func(r *InputReport) { r.Tracks[0].Keys.Usual = 10 * time.Second }},
		{"key_frames_rare", "video", "set -g and -keyint_min to 2 s worth of frames",
			func(r *InputReport) { r.Tracks[0].Keys.Usual, r.Tracks[0].Config = 10*time.Second, nil }},
		{"key_frames_rare", "video", "-g 60 -keyint_min 60", func(r *InputReport) { // of 59.94/2
			r.Tracks[0].Keys.Usual, r.Tracks[0].Config.FrameRate = 10*time.Second, media.Ratio{Num: 30000, Den: 1001}
		}},
		{"irregular_segments", "video", "segments between 1.2 s and 4.8 s: turn off scene-cut key frames (-sc_threshold 0)",
			func(r *InputReport) {
				r.Tracks[0].Irregular, r.Tracks[0].Durations.Min, r.Tracks[0].Durations.Max = 3, 1200*time.Millisecond, 4800*time.Millisecond
			}},
		{"late_media", "audio", "segments arrive 6 s after their media", func(r *InputReport) { r.Tracks[1].Late.Usual = 6 * time.Second }},
		{"early_media", "audio", "segments arrive 1.5 s before their media ends",
			func(r *InputReport) { r.Tracks[1].Late.Usual = -1500 * time.Millisecond }},
		{"bursts", "audio", "segments arrive irregularly, by 7 s", func(r *InputReport) {
			r.Tracks[1].Late.Min, r.Tracks[1].Late.Max = -time.Second, 6*time.Second
		}},
		{"audio_offset", "", "audio starts 80 ms late", func(r *InputReport) { r.Sync = 80 * time.Millisecond }},
		{"audio_offset", "", "audio starts 300 ms early", func(r *InputReport) { r.Sync = -300 * time.Millisecond }},
	} {
		t.Run(c.reason, func(t *testing.T) {
			r := sound()
			c.change(&r)
			advice := r.Advise(adviceTime)
			require.Len(t, advice, 1)
			require.Equal(t, c.reason, advice[0].Reason)
			require.Equal(t, c.track, advice[0].Track)
			require.Contains(t, advice[0].Text, c.text)
		})
	}
}

func TestNoAdviceIsGivenWhere(t *testing.T) {
	for name, change := range map[string]func(*InputReport){
		"a refusal is old":                     func(r *InputReport) { r.Errors = []Refusal{{Time: adviceTime.Add(-6 * time.Minute)}} },
		"an encoder is challenged, then heard": func(r *InputReport) { r.Challenged = r.LastPush.Add(5 * time.Second) },
		"a challenge is old": func(r *InputReport) {
			r.LastPush, r.Active, r.Challenged = time.Time{}, false, adviceTime.Add(-6*time.Minute)
		},
		"a clock is a crystal":                 func(r *InputReport) { r.Drift = Drift{Rated: true, PPM: -60} },
		"a clock was not measured long enough": func(r *InputReport) { r.Drift = Drift{Known: true, PPM: 900} },
		"a backup is silent":                   func(r *InputReport) { r.Active, r.LastPush = false, adviceTime.Add(-time.Hour) },
		"segments are long and the next open": func(r *InputReport) {
			r.LastPush, r.Tracks[0].Durations.Usual = adviceTime.Add(-20*time.Second), 10*time.Second
		},
		"restarts are few": func(r *InputReport) { r.Restarts = []time.Time{adviceTime, adviceTime} },
		"restarts are long past": func(r *InputReport) {
			r.Restarts = make([]time.Time, 20)
		},
		"CMAF has no playlists":                    func(r *InputReport) { r.Protocol, r.Manifests = "cmaf", 0 },
		"an endless transport stream has none":     func(r *InputReport) { r.Protocol, r.Manifests = "mpeg-ts", 0 },
		"media has just begun to come":             func(r *InputReport) { r.Segments, r.Manifests = 2, 0 },
		"the first and the last segment are short": func(r *InputReport) { r.Tracks[0].Irregular = 2 },
		"few of many segments are irregular":       func(r *InputReport) { r.Tracks[0].Irregular, r.Tracks[0].Measured = 4, 64 },
		"time rests on arrival, late or early":     func(r *InputReport) { r.Clock, r.Tracks[0].Late.Usual = "arrival", 6*time.Second },
		"audio has frames at other instants":       func(r *InputReport) { r.Sync = 42 * time.Millisecond },
		"audio is cut where video is decoded":      func(r *InputReport) { r.Sync = -160 * time.Millisecond },
		"no audio belongs to the video":            func(r *InputReport) { r.Synced, r.Sync = false, time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			r := sound()
			change(&r)
			require.Empty(t, r.Advise(adviceTime))
		})
	}
}

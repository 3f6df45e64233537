package ingest

import (
	"cmp"
	"fmt"
	"time"

	"headwater/packager/media"
)

// Advice is something about an encoder that a person can change.
type Advice struct {
	Reason string // the rule, in snake case
	Track  string // "" when it is about the whole input
	Text   string
}

// When advice is given, each decided here and tested by name.
const (
	// longGOP: key frames further apart make players wait, and switch late.
	longGOP = 4 * time.Second
	// lateMedia: media that comes later than this after its end makes every player that much later.
	lateMedia = 3 * time.Second
	// earlyMedia: media that ends more than this past now was dated by a clock that is ahead.
	earlyMedia = time.Second
	// burst, in usual segments: where arrivals vary by more, players need that much more buffer.
	burst = 2
	// lateAudio is more than a frame of any usual audio codec. earlyAudio is more, since encoders that cut where video is
	// decoded, as ffmpeg does, begin audio up to its reordering earlier: 80 ms with x264's presets.
	lateAudio  = 60 * time.Millisecond
	earlyAudio = 250 * time.Millisecond
	// Segments are irregular when one of irregularOne is, and irregularMin: the first and the last of a session may be short.
	irregularOne = 10
	irregularMin = 3
	// enough segments must have come before arrivals, and playlists that do not come, are judged.
	enough = 4
	// newsFor is how long a refusal is worth mentioning.
	newsFor = 5 * time.Minute
	// answered is how soon an encoder that was challenged comes with credentials.
	answered = 10 * time.Second
	// restartsMost in restartsOver are too many.
	restartsOver = 10 * time.Minute
	restartsMost = 3
	// fastClock, in millionths: crystals differ from one another by half of it. At it players see a discontinuity every few hours.
	fastClock = 100
	// quiet is how long nothing may come, or three segments if longer.
	quiet = 10 * time.Second
)

// Advise returns what should be changed about an input, the worst first: pure rules over its numbers.
func (r InputReport) Advise(now time.Time) (all []Advice) {
	input := func(reason, text string) {
		if text != "" {
			all = append(all, Advice{Reason: reason, Text: text})
		}
	}
	input("uploads_refused", r.uploadsRefused(now))
	input("no_credentials", r.noCredentials(now))
	input("silent", r.silent(now))
	input("slate", r.slate())
	input("encoder_restarts", r.encoderRestarts(now))
	input("clock_drift", r.clockDrift())
	input("no_playlist", r.noPlaylist())
	for _, t := range r.Tracks {
		track := func(reason, text string) {
			if text != "" {
				all = append(all, Advice{Reason: reason, Track: t.ID, Text: text})
			}
		}
		track("no_key_frame", t.noKeyFrame())
		track("open_gop", t.openGOP())
		track("key_frames_rare", t.keyFramesRare())
		track("irregular_segments", t.irregularSegments())
		track("late_media", t.lateMedia(r.Clock))
		track("early_media", t.earlyMedia(r.Clock))
		track("bursts", t.bursts())
	}
	input("audio_offset", r.audioOffset())
	return all
}

func (r InputReport) uploadsRefused(now time.Time) string {
	if len(r.Errors) == 0 {
		return ""
	}
	e := r.Errors[len(r.Errors)-1]
	if now.Sub(e.Time) > newsFor {
		return ""
	}
	return fmt.Sprintf("uploads are refused: %s (last at %s: %s)", e.Reason, e.Time.UTC().Format("15:04:05 UTC"), cmp.Or(e.Text, e.Name))
}

// noCredentials is about encoders that never send any: those that do are often challenged first, and then heard.
func (r InputReport) noCredentials(now time.Time) string {
	heard := r.LastPush
	if n := len(r.Errors); n > 0 && r.Errors[n-1].Time.After(heard) {
		heard = r.Errors[n-1].Time
	}
	if r.Challenged.IsZero() || now.Sub(r.Challenged) > newsFor || r.Challenged.Sub(heard) <= answered {
		return ""
	}
	return fmt.Sprintf("uploads come without credentials and are answered 401 (last at %s): add them to the encoder's URL or headers",
		r.Challenged.UTC().Format("15:04:05 UTC"))
}

func (r InputReport) silent(now time.Time) string {
	limit := quiet
	for _, t := range r.Tracks {
		limit = max(limit, 3*t.Durations.Usual)
	}
	since := now.Sub(r.LastPush)
	if !r.Active || r.LastPush.IsZero() || since <= limit || !r.Ended.IsZero() {
		return ""
	}
	return fmt.Sprintf("nothing has come for %s: the encoder has stopped or does not reach the server", plain(since.Truncate(time.Second)))
}

func (r InputReport) slate() string {
	for _, t := range r.Tracks {
		if t.Slate {
			return "the encoder sends slate: its input is lost"
		}
	}
	return ""
}

func (r InputReport) encoderRestarts(now time.Time) string {
	n := 0
	for _, at := range r.Restarts {
		if now.Sub(at) <= restartsOver {
			n++
		}
	}
	if n < restartsMost {
		return ""
	}
	return fmt.Sprintf("the encoder restarted %d times in 10 minutes, each a discontinuity for players: see why it ends, or why its timestamps jump", n)
}

// clockDrift is about clocks that do not go like ours, which may be the wrong one.
func (r InputReport) clockDrift() string {
	ppm, way := r.Drift.PPM, "fast"
	if ppm < 0 {
		ppm, way = -ppm, "slow"
	}
	if !r.Drift.Rated || ppm < fastClock {
		return ""
	}
	does := fmt.Sprintf("each %s of it players see a discontinuity", plain(maxDrift))
	if r.Clock == string(clockEpoch) {
		does = "media comes earlier and earlier, or later"
	}
	return fmt.Sprintf("the encoder's clock runs %d ppm %s, %.1f s an hour: %s: have its timestamps follow a clock that is set by NTP"+
		" (ffmpeg: -use_wallclock_as_timestamps 1 for capture), and see that the server's is", ppm, way, float64(ppm)*3600e-6, does)
}

func (r InputReport) noPlaylist() string {
	switch protocol(r.Protocol) {
	case protocolCMAF, protocolSmooth, protocolTransport:
		return "" // they need none
	}
	if r.Segments < enough || r.Manifests > 0 && !r.Unlisted {
		return ""
	}
	if r.Protocol == string(protocolDASH) {
		return "no MPD describes the segments, so languages and renditions are guessed from names: upload it beside them"
	}
	return "no playlist lists the segments, so clock and renditions are guessed: upload the playlist beside them, with the same names"
}

func (t TrackReport) noKeyFrame() string {
	if t.Kind != media.Video || t.Keyless == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d segments start without a key frame, so players cannot start there: set %s", t.Keyless, t.Measured, t.keyFrames())
}

func (t TrackReport) openGOP() string {
	if t.Open == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d segments begin with open GOPs, whose first pictures need the segment before: players that start or switch there drop or spoil them: set -flags +cgop (x264 and x265: open-gop=0)",
		t.Open, t.Measured)
}

func (t TrackReport) keyFramesRare() string {
	if t.Kind != media.Video || t.Keys.Usual <= longGOP {
		return ""
	}
	return fmt.Sprintf("key frames every %s: players wait that long: set %s", plain(t.Keys.Usual), t.keyFrames())
}

// keyFrames says how to get a key frame every 2 s.
func (t TrackReport) keyFrames() string {
	if c := t.Config; c != nil && c.FrameRate.Den > 0 && c.FrameRate.Num > 0 {
		n := (2*int64(c.FrameRate.Num) + int64(c.FrameRate.Den)/2) / int64(c.FrameRate.Den)
		return fmt.Sprintf("-g %d -keyint_min %d (2 s of frames)", n, n)
	}
	return "-g and -keyint_min to 2 s worth of frames"
}

func (t TrackReport) irregularSegments() string {
	if t.Kind != media.Video || t.Irregular < irregularMin || t.Irregular*irregularOne < t.Measured {
		return ""
	}
	return fmt.Sprintf("segments between %s and %s: turn off scene-cut key frames (-sc_threshold 0) and set %s", plain(t.Durations.Min),
		plain(t.Durations.Max), t.keyFrames())
}

// lateMedia is about clocks that come from the encoder: by the time of arrival nothing is late.
func (t TrackReport) lateMedia(clock string) string {
	if t.Measured < enough || clock == string(clockArrival) || t.Late.Usual <= lateMedia {
		return ""
	}
	return fmt.Sprintf("segments arrive %s after their media: the uplink is slow, the encoder is behind or its clock is", plain(t.Late.Usual))
}

func (t TrackReport) earlyMedia(clock string) string {
	if t.Measured < enough || clock == string(clockArrival) || t.Late.Usual >= -earlyMedia {
		return ""
	}
	return fmt.Sprintf("segments arrive %s before their media ends: the encoder's clock is ahead: set it by NTP", plain(-t.Late.Usual))
}

func (t TrackReport) bursts() string {
	spread := t.Late.Max - t.Late.Min
	if t.Measured < enough || spread <= burst*t.Durations.Usual {
		return ""
	}
	return fmt.Sprintf("segments arrive irregularly, by %s: the uplink stalls or the encoder is not steady (ffmpeg: -re for files); players need that much more buffer",
		plain(spread))
}

func (r InputReport) audioOffset() string {
	switch {
	case !r.Synced || r.Sync <= lateAudio && r.Sync >= -earlyAudio:
		return ""
	case r.Sync > 0:
		return fmt.Sprintf("audio starts %d ms late: cut audio and video at the same instants, and check lip sync", r.Sync.Milliseconds())
	}
	return fmt.Sprintf("audio starts %d ms early: cut audio and video at the same instants, and check lip sync", -r.Sync.Milliseconds())
}

// plain writes a length as people do, in seconds with a tenth at most or in whole minutes and seconds.
func plain(d time.Duration) string {
	if d >= 2*time.Minute {
		return d.Truncate(time.Second).String()
	}
	return fmt.Sprintf("%g s", d.Round(100*time.Millisecond).Seconds())
}

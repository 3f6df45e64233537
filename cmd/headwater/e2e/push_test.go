//go:build e2e || conformance || bench

package e2e

import (
	"strings"
	"testing"
)

// The programme that every test pushes: black with a white frame at the start of each second, and a beep of 1 kHz and
// 40 ms that begins at the same instant. So the offset of sound and picture can be measured in whatever comes out.
const (
	picture = "color=c=black:s=320x180:r=25,drawbox=c=white:t=fill:enable='not(mod(n,25))'"
	sound   = "aevalsrc='if(lt(mod(t,1),0.04),0.8*sin(2*PI*1000*t),0)':s=48000"
)

// source returns ffmpeg's input options; live reads it at the speed of a clock.
func source(live bool) []string {
	pace := ""
	if live {
		pace = "-re "
	}
	return append(append(strings.Fields(pace+"-f lavfi -i"), picture), append(strings.Fields(pace+"-f lavfi -i"), sound)...)
}

// How the pushes encode: H.264 with a keyframe each 2 s, AAC-LC.
const (
	videoEncoder = "-c:v libx264 -preset ultrafast -tune zerolatency -g 50 -keyint_min 50 -sc_threshold 0 -pix_fmt yuv420p -b:v 300k"
	audioEncoder = "-c:a aac -b:a 64k"
	encoder      = "-map 0:v -map 1:a " + videoEncoder + " " + audioEncoder
)

// push is one way of pushing with ffmpeg. IN stands for the channel's ingest URL.
type push struct {
	name    string
	channel string
	options string
}

// pushes are the commands that encoders in the field use, one per protocol.
var pushes = []push{
	{"HLS with TS segments", "hls-ts",
		encoder + " -f hls -hls_time 2 -hls_list_size 3 -method PUT IN/index.m3u8"},
	{"HLS with fMP4 segments, two video renditions and audio apart", "hls-fmp4",
		"-map 0:v -map 0:v -map 1:a -c:v libx264 -preset ultrafast -tune zerolatency -g 50 -keyint_min 50 -sc_threshold 0" +
			" -pix_fmt yuv420p -b:v:0 600k -b:v:1 200k -s:v:1 160x90 " + audioEncoder +
			" -f hls -hls_time 2 -hls_list_size 2 -hls_segment_type fmp4" +
			" -hls_flags independent_segments+delete_segments+program_date_time -master_pl_name master.m3u8" +
			" -var_stream_map v:0,agroup:aud,name:hi|v:1,agroup:aud,name:lo|a:0,agroup:aud,language:eng,name:aud" +
			" -hls_segment_filename IN/%v/seg%05d.m4s -hls_fmp4_init_filename init_%v.mp4 -method PUT IN/%v/index.m3u8"},
	{"DASH with whole segments", "dash",
		encoder + " -f dash -seg_duration 2 -window_size 3 -extra_window_size 1" +
			" -adaptation_sets id=0,streams=v|id=1,streams=a -method PUT IN/manifest.mpd"},
	{"low-latency DASH in chunks", "dash-chunks",
		encoder + " -f dash -seg_duration 2 -frag_duration 0.5 -frag_type duration -window_size 3 -streaming 1 -ldash 1" +
			" -hls_playlist 1 -use_template 1 -use_timeline 0 -utc_timing_url http://127.0.0.1:1/time -write_prft 1" +
			" -target_latency 3 -adaptation_sets id=0,streams=v|id=1,streams=a -method PUT -http_persistent 1 IN/manifest.mpd"},
	{"CMAF by one long POST per track", "cmaf-post",
		"-map 0:v " + videoEncoder + " -f mp4 -movflags cmaf+empty_moov+separate_moof+default_base_moof+frag_keyframe" +
			" IN/Streams(video.cmfv) -map 1:a " + audioEncoder +
			" -f mp4 -movflags cmaf+empty_moov+separate_moof+default_base_moof -frag_duration 2000000 IN/Streams(audio.cmfa)"},
}

// args returns ffmpeg's arguments for pushing to url. In options, "|" stands for the space inside an argument.
func (p push) args(url string) []string {
	args := append(strings.Fields("-nostdin -hide_banner -loglevel level+warning"), source(true)...)
	for _, f := range strings.Fields(p.options) {
		f = strings.ReplaceAll(f, "|", " ")
		if rest, ok := strings.CutPrefix(f, "IN/"); ok {
			f = url + "/" + rest
		}
		args = append(args, f)
	}
	return args
}

// run starts the push to its channel.
func (p push) run(t testing.TB, s *server) *process {
	t.Helper()
	return launch(t, "ffmpeg "+p.channel, nil, "ffmpeg", p.args(s.in(p.channel))...)
}

package origin

import (
	"strings"
	"testing"
)

// recipe says how a capture is made, and what is to be found of it.
type recipe struct {
	name     string
	commands []string                       // run one after the other by bash
	push     func(t *testing.T, url string) // instead: media of ours
	encoder  string                         // the program that runs, with the option that has it tell its version
	secret   bool                           // the channel wants credentials

	renditions []rendition
	breaks     int     // gaps and discontinuities of each track
	refused    bool    // some uploads are refused, as its golden file has it
	longer     float64 // by how many seconds the length of a track is guessed too long
	early      float64 // by how many seconds the audio is earlier than ffprobe has it
}

// rendition is the recorded files that make one presentation of one or more streams, in the order in which they ended, and
// what its streams are called on the timeline, in order.
type rendition struct{ files, tracks string }

// The programme: a white picture and a beep of 40 ms at every full second, so that sound against picture can be measured.
const (
	sources = `-t 8 -re -f lavfi -i "testsrc=s=160x90:r=25,drawbox=c=white:t=fill:enable='not(mod(n,25))'"` +
		` -t 8 -re -f lavfi -i "aevalsrc='if(lt(mod(t,1),0.04),0.8*sin(2*PI*1000*t),0)':s=48000"`
	ffmpeg   = "ffmpeg -nostdin -hide_banner -loglevel error " + sources
	gop      = "-g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p"
	h264     = "-c:v libx264 -preset ultrafast -tune zerolatency " + gop + " -b:v 48k -maxrate 48k -bufsize 48k"
	bframes  = "-c:v libx264 -preset fast -bf 2 -b_strategy 0 " + gop + " -b:v 48k -maxrate 48k -bufsize 48k"
	aac      = "-c:a aac -b:a 32k"
	both     = "-map 0:v -map 1:a " + h264 + " " + aac
	reorders = "-map 0:v -map 1:a " + bframes + " " + aac
	abr      = `-var_stream_map "v:0,agroup:aud,name:hi v:1,agroup:aud,name:lo a:0,agroup:aud,language:eng,name:aud"`
	gst      = "gst-launch-1.0 -q -e videotestsrc is-live=true num-buffers=200 pattern=ball" +
		" ! video/x-raw,format=I420,width=160,height=90,framerate=25/1 ! x264enc tune=zerolatency bitrate=48 key-int-max=25 ! "
)

var recipes = []recipe{
	{name: "hls-ts", encoder: "ffmpeg -version",
		commands:   []string{ffmpeg + " " + both + " -f hls -hls_time 1 -hls_list_size 3 -method PUT $IN/index.m3u8"},
		renditions: []rendition{{"index*.ts", "index-v index-a"}}},
	{name: "hls-ts-persistent", encoder: "ffmpeg -version",
		commands: []string{ffmpeg + " " + reorders + " -f hls -hls_time 1 -hls_list_size 3 -hls_delete_threshold 1" +
			" -hls_flags delete_segments+program_date_time+independent_segments -http_persistent 1 -http_user_agent Enc/1" +
			` -headers $'Authorization: Bearer abc\r\n' -method PUT $IN/index.m3u8`},
		longer:     0.080, // the end of the last picture, where pictures are reordered and the audio is all there, is that of a still scene
		renditions: []rendition{{"index*.ts", "index-v index-a"}}},
	{name: "hls-ts-killed-and-restarted", encoder: "ffmpeg -version",
		breaks: 1,
		commands: []string{"timeout -s KILL 6.4 " + ffmpeg + " " + both + " -f hls -hls_time 1 -method PUT $IN/index.m3u8",
			"sleep 2; " + ffmpeg + " " + both + " -f hls -hls_time 1 -method PUT $IN/index.m3u8"},
		renditions: []rendition{{"index*.ts", "index-v index-a"}}},
	{name: "hls-ts-password", encoder: "ffmpeg -version", secret: true,
		commands:   []string{"IN=${IN/:\\/\\//://user:secret@}; " + ffmpeg + " " + both + " -f hls -hls_time 1 -method PUT $IN/index.m3u8"},
		renditions: []rendition{{"index*.ts", "index-v index-a"}}},
	{name: "hls-ts-webvtt", encoder: "ffmpeg -version",
		commands: []string{ffmpeg + ` -f srt -i <(printf '1\n00:00:01,000 --> 00:00:03,000\none\n\n2\n00:00:05,000 --> 00:00:07,000\ntwo\n')` +
			" -map 2:s -c:s webvtt " + both +
			` -f hls -hls_time 1 -master_pl_name master.m3u8 -var_stream_map "v:0,a:0,s:0,sgroup:subs,language:eng" -method PUT $IN/out_%v.m3u8`},
		renditions: []rendition{{"out_*.ts", "out-0-v out-0-a"}}},
	{name: "hls-fmp4", encoder: "ffmpeg -version",
		commands: []string{ffmpeg + " " + reorders + " -f hls -hls_time 1 -hls_segment_type fmp4 -hls_flags program_date_time" +
			" -method PUT $IN/index.m3u8"},
		renditions: []rendition{{"init.mp4 index*.m4s", "index-v index-a"}}},
	{name: "hls-fmp4-abr", encoder: "ffmpeg -version",
		commands: []string{ffmpeg + " -map 0:v -map 0:v -map 1:a -s:v:1 80x46 " + h264 + " -b:v:1 32k -maxrate:v:1 32k -bufsize:v:1 32k " + aac +
			" -f hls -hls_time 1 -hls_list_size 3 -hls_segment_type fmp4" +
			" -hls_flags independent_segments+delete_segments+program_date_time -master_pl_name master.m3u8 " + abr +
			" -hls_segment_filename $IN/%v/seg%05d.m4s -hls_fmp4_init_filename init_%v.mp4 -method PUT $IN/%v/index.m3u8"},
		renditions: []rendition{{"hi/init_hi.mp4 hi/seg*.m4s", "hi"}, {"lo/init_lo.mp4 lo/seg*.m4s", "lo"},
			{"aud/init_aud.mp4 aud/seg*.m4s", "aud"}}},
	{name: "hls-fmp4-epoch", encoder: "ffmpeg -version",
		commands: []string{ffmpeg + " " + both + " -output_ts_offset $(date +%s) -f hls -hls_time 1 -hls_segment_type fmp4" +
			" -hls_segment_options movflags=frag_discont -method PUT $IN/index.m3u8"},
		renditions: []rendition{{"init.mp4 index*.m4s", "index-v index-a"}}},
	{name: "hls-byterange", encoder: "ffmpeg -version",
		commands:   []string{ffmpeg + " " + both + " -f hls -hls_time 1 -hls_flags single_file -method PUT $IN/index.m3u8"},
		renditions: []rendition{{"index.ts", "index-v index-a"}}},
	{name: "obs", encoder: "ffmpeg -version",
		commands: []string{ffmpeg + " " + both + " -f hls -method PUT -http_persistent 1 -ignore_io_errors 1 -http_user_agent libobs/30" +
			` -hls_time 2 "$IN/http_upload_hls?cid=KEY&copy=0&file=out.m3u8"`},
		renditions: []rendition{{"http_upload_hls?cid=KEY&copy=0&file=out*.ts", "out-v out-a"}}},
	{name: "dash", encoder: "ffmpeg -version",
		commands: []string{ffmpeg + " " + both + " -f dash -seg_duration 1 -window_size 3 -extra_window_size 1" +
			` -adaptation_sets "id=0,streams=v id=1,streams=a" -method PUT $IN/manifest.mpd`},
		renditions: []rendition{{"init-stream0.m4s chunk-stream0-*.m4s", "stream0"}, {"init-stream1.m4s chunk-stream1-*.m4s", "stream1"}}},
	{name: "dash-header", encoder: "ffmpeg -version",
		commands: []string{ffmpeg + " " + reorders + ` -f dash -seg_duration 1 -http_opts "headers=Authorization\: Bearer abc"` +
			" -remove_at_exit 1 -window_size 5 -method POST $IN/m.mpd"},
		renditions: []rendition{{"init-stream0.m4s chunk-stream0-*.m4s", "stream0"}, {"init-stream1.m4s chunk-stream1-*.m4s", "stream1"}}},
	{name: "dash-epoch", encoder: "ffmpeg -version",
		commands: []string{ffmpeg + " " + both + " -output_ts_offset $(date +%s) -f dash -seg_duration 1" +
			" -format_options movflags=frag_discont -method PUT $IN/m.mpd"},
		renditions: []rendition{{"init-stream0.m4s chunk-stream0-*.m4s", "stream0"}, {"init-stream1.m4s chunk-stream1-*.m4s", "stream1"}}},
	{name: "dash-low-latency", encoder: "ffmpeg -version",
		commands: []string{ffmpeg + " " + both + " -f dash -seg_duration 2 -frag_duration 0.5 -frag_type duration -window_size 3 -streaming 1" +
			" -ldash 1 -hls_playlist 1 -use_template 1 -use_timeline 0 -utc_timing_url http://127.0.0.1:1/time -write_prft 1 -target_latency 3" +
			` -adaptation_sets "id=0,streams=v id=1,streams=a" -method PUT -http_persistent 1 $IN/manifest.mpd`},
		renditions: []rendition{{"init-stream0.m4s chunk-stream0-*.m4s", "stream0"}, {"init-stream1.m4s chunk-stream1-*.m4s", "stream1"}}},
	{name: "cmaf-post", encoder: "ffmpeg -version",
		commands: []string{ffmpeg + " -map 0:v " + h264 + " -f mp4 -movflags cmaf+empty_moov+separate_moof+default_base_moof+frag_keyframe" +
			` -write_prft pts "$IN/Streams(video-64k.cmfv)" -map 1:a ` + aac + " -f mp4" +
			` -movflags cmaf+empty_moov+separate_moof+default_base_moof -frag_duration 1000000 "$IN/Streams(audio.cmfa)"`},
		renditions: []rendition{{"Streams(video-64k.cmfv)", "video-64k"}, {"Streams(audio.cmfa)", "audio"}}},
	{name: "cmaf-post-epoch", encoder: "ffmpeg -version",
		commands: []string{"NOW=$(date +%s); " + ffmpeg + " -map 0:v " + h264 + " -output_ts_offset $NOW -f mp4" +
			" -movflags cmaf+frag_keyframe+empty_moov+default_base_moof+frag_discont" +
			` -method PUT -content_type video/mp4 "$IN/Streams(v1.cmfv)" -map 1:a ` + aac + " -output_ts_offset $NOW -f mp4" +
			" -movflags cmaf+empty_moov+default_base_moof+frag_discont -frag_duration 1000000" +
			` -method PUT -content_type audio/mp4 "$IN/Streams(a1.cmfa)"`},
		renditions: []rendition{{"Streams(v1.cmfv)", "v1"}, {"Streams(a1.cmfa)", "a1"}}},
	{name: "mp4-post", encoder: "ffmpeg -version",
		commands:   []string{ffmpeg + " " + both + ` -f mp4 -movflags cmaf+frag_keyframe+delay_moov -frag_duration 500000 "$IN/Streams(av.mp4)"`},
		renditions: []rendition{{"Streams(av.mp4)", "av-v av-a"}}},
	{name: "smooth-push", encoder: "ffmpeg -version",
		commands:   []string{ffmpeg + " " + both + ` -f ismv -movflags frag_keyframe+isml "$IN/point.isml/Streams(Encoder1)"`},
		early:      0.021333, // the time of the first fragment is negative, which ffprobe takes for 0
		renditions: []rendition{{"point.isml/Streams(Encoder1)", "Encoder1-v Encoder1-a"}}},
	{name: "mpegts-post", encoder: "ffmpeg -version",
		commands:   []string{ffmpeg + " " + both + " -f mpegts $IN/ts"},
		renditions: []rendition{{"ts", "ts-v ts-a"}}},
	{name: "tee", encoder: "ffmpeg -version",
		commands: []string{ffmpeg + " " + both + ` -flags +global_header -f tee "[f=hls:hls_time=1:method=PUT:onfail=ignore]$IN/i.m3u8|` +
			`[f=mp4:movflags=cmaf+frag_keyframe+empty_moov:onfail=ignore:select=v]$IN-2/Streams(v.cmfv)"`},
		renditions: []rendition{{"i*.ts", "i-v i-a"}, {"/in/v1/default/1/ch-2/Streams(v.cmfv)", "ch-2/v"}}},
	{name: "gstreamer-content-range", encoder: "gst-launch-1.0 --version",
		commands:   []string{gst + "video/x-h264,stream-format=avc ! mp4mux fragment-duration=1000 streamable=true ! souphttpclientsink location=$IN/gst.mp4"},
		renditions: []rendition{{"gst.mp4", "gst"}}},
	{name: "gstreamer-content-disposition", encoder: "gst-launch-1.0 --version",
		commands:   []string{gst + "h264parse ! mpegtsmux ! curlhttpsink location=$IN/ file-name=gst.ts content-type=video/mp2t"},
		renditions: []rendition{{".", "gst-v"}}}, // as Content-Disposition says,
	{name: "gstreamer-hls", encoder: "gst-launch-1.0 --version",
		commands: []string{`D=$(mktemp -d); ` + gst + `h264parse ! hlssink2 target-duration=1 max-files=5 location=$D/s%05d.ts playlist-location=$D/p.m3u8 & P=$!; ` +
			`while sleep 0.1; do kill -0 $P 2>/dev/null || LAST=1; cmp -s $D/p.m3u8 $D/sent || { cp $D/p.m3u8 $D/sent; ` +
			`for f in $(grep ts$ $D/sent); do [ -e $D/$f.sent ] || curl -sT $D/$f $IN/$f; touch $D/$f.sent; done; ` +
			`curl -sT $D/sent $IN/p.m3u8; }; [ -z "$LAST" ] || break; done`},
		renditions: []rendition{{"s*.ts", "p-v"}}},
	// Its last segments say that they are (lmsg): the outputs stay live all the same.
	{name: "cmaf-segments", encoder: "ffmpeg -version", push: pushNumbered,
		renditions: []rendition{{"video/init.cmfv video/*.cmfv", "video"}, {"audio/init.cmfa audio/*.cmfa", "audio"}}},
	{name: "cmaf-ingest-1970", encoder: "ffmpeg -version", push: pushAnchored,
		renditions: []rendition{{"Streams(video.cmfv)", "video"}, {"Streams(audio.cmfa)", "audio"}}},
}

// matches reports whether a request's name is one of the files of a rendition.
func (r rendition) matches(name string) bool {
	for _, pattern := range strings.Fields(r.files) {
		before, after, star := strings.Cut(pattern, "*")
		if name == pattern || star && len(name) >= len(before)+len(after) && strings.HasPrefix(name, before) && strings.HasSuffix(name, after) {
			return true
		}
	}
	return false
}

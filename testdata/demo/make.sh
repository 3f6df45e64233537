#!/bin/sh
# Draws and encodes the programme that `headwater demo` pushes. Needs ffmpeg (built with x264, its own AAC encoder, 5.1 or
# newer) and DejaVu Sans Mono (Debian: fonts-dejavu-core). README.md says what comes out. Run from anywhere:
#
#   testdata/demo/make.sh [OUTPUT_DIRECTORY]
#
# The default directory is cmd/headwater/demo/media, where the binary embeds the files from.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-"$here/../../cmd/headwater/demo/media"}
font=${FONT:-/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
ff() { ffmpeg -hide_banner -loglevel error -nostdin -y "$@"; }

# --- Picture -----------------------------------------------------------------------------------------------------------
# 60 s at 25 frames a second, so that a loop which starts with a UTC minute shows the UTC second. The hand turns once in
# the loop, the ball crosses once a second (at the right edge on even seconds), the lamp is lit while the tone sounds.
text() { # x y size colour text
  printf "drawtext=fontfile=%s:x=%s:y=%s:fontsize=%s:fontcolor=%s:text='%s'" "$font" "$1" "$2" "$3" "$4" "$5"
}
second='%{eif\:floor(n/25)\:d\:2}'
frame='%{eif\:mod(n,25)\:d\:2}'

# Dial: a ring with 60 marks, every fifth longer, drawn once.
dial="format=rgba,geq=r=150:g=166:b=184:a='255*between(hypot(X-119.5,Y-119.5),\
if(lt(abs(mod(atan2(Y-119.5,X-119.5)/PI*180+361,30)-1),1.0),88,if(lt(abs(mod(atan2(Y-119.5,X-119.5)/PI*180+360.5,6)-0.5),0.5),100,106)),108)'"
hand="format=rgba,geq=r=79:g=195:b=247:a='255*(between(X,117,122)*between(Y,24,140)+lt(hypot(X-119.5,Y-119.5),9))'"
ball="format=rgba,geq=r=255:g=183:b=77:a='255*lt(hypot(X-11.5,Y-11.5),11)'"

picture="
color=c=0x111820:s=640x360:r=25:d=60[bg];
pal75bars=s=640x24:r=25:d=60[bars];
color=c=black:s=240x240:r=25:d=0.04,${dial},loop=-1:1:0,setpts=N/25/TB,trim=end_frame=1500[dial];
color=c=black:s=240x240:r=25:d=0.04,${hand},loop=-1:1:0,setpts=N/25/TB,trim=end_frame=1500,rotate=a='2*PI*n/1500':c=none:ow=iw:oh=ih[hand];
color=c=black:s=24x24:r=25:d=0.04,${ball},loop=-1:1:0,setpts=N/25/TB,trim=end_frame=1500[ball];
[bg][bars]overlay=0:336[a];
[a][dial]overlay=30:58[b];
[b][hand]overlay=30:58[c];
[c]drawbox=x=302:y=270:w=308:h=2:color=0x33414f:t=fill[d];
[d][ball]overlay=x='302+284*abs(mod(n,50)-25)/25':y=259[e];
[e]drawbox=x=572:y=24:w=38:h=38:color=0x25303b:t=fill,
drawbox=x=572:y=24:w=38:h=38:color=0x66bb6a:t=fill:enable='lt(mod(n,25),3)*gte(mod(n,50),25)',
drawbox=x=572:y=24:w=38:h=38:color=0xffd54f:t=fill:enable='lt(mod(n,50),3)',
$(text 30 22 30 0xffffff 'HEADWATER'),
$(text 300 96 140 0xffffff "$second"),
$(text 482 150 72 0x4fc3f7 ".$frame"),
$(text 302 232 15 0x96a6b8 'UTC second . frame of 25')"

render() { # scale label file
  ff -filter_complex "$picture,scale=$1:flags=lanczos,$2[v]" -map '[v]' -c:v libx264 -qp 0 -preset ultrafast -pix_fmt yuv420p \
    -color_primaries bt709 -color_trc bt709 -colorspace bt709 -frames:v 1500 "$3"
}
encode() { # input profile level kbit/s output
  common="-c:v libx264 -preset veryslow -profile:v $2 -level $3 -pix_fmt yuv420p -b:v ${4}k -maxrate $(($4 * 2))k
    -bufsize $(($4 * 3))k -x264-params keyint=50:min-keyint=50:scenecut=0:open-gop=0:bframes=2:b-pyramid=none
    -threads 1 -fflags +bitexact -flags +bitexact -map_metadata -1 -metadata:s:v handler_name=video"
  ff -i "$1" $common -pass 1 -passlogfile "$work/pass" -f null -
  ff -i "$1" $common -pass 2 -passlogfile "$work/pass" -video_track_timescale 90000 -use_editlist 0 \
    -f mp4 -movflags cmaf+frag_keyframe+empty_moov+default_base_moof "$5"
}
render 640:360 "$(text 302 290 20 0xffb74d 'video-hi  640x360')" "$work/hi.mkv"
render 320:180 "$(text 151 144 11 0xffb74d 'video-lo  320x180')" "$work/lo.mkv"
encode "$work/hi.mkv" high 3.0 240 "$out/video-hi.mp4"
encode "$work/lo.mkv" main 2.0 100 "$out/video-lo.mp4"

# --- Sound -------------------------------------------------------------------------------------------------------------
# 8 s is 375 AAC frames of 1024 samples at 48 kHz. A signal with that period is encoded three times over; the packets of
# the middle period join seamlessly to themselves. Packet n decodes to the samples from (n-1)*1024 on, because the encoder
# starts one frame early: so the period that begins at 8 s is packets 376 to 750.
# A tone of 100 ms on every second, an octave higher on even ones, over a quiet chord of whole multiples of 1/8 Hz.
tone="0.32*lt(mod(t\\,1)\\,0.1)*sqrt(max(0\\,sin(PI*mod(t\\,1)/0.1)))*sin(2*PI*if(lt(mod(t\\,2)\\,1)\\,1760\\,880)*mod(t\\,1))"
left="$tone+0.025*sin(2*PI*220*t)*(1+0.4*sin(2*PI*t/8))+0.02*sin(2*PI*330*t)"
right="$tone+0.025*sin(2*PI*220*t)*(1-0.4*sin(2*PI*t/8))+0.02*sin(2*PI*275*t)"
ff -f lavfi -i "aevalsrc=exprs=$left|$right:s=48000:d=24:c=stereo" -c:a aac -b:a 64k -profile:a aac_low \
  -fflags +bitexact -flags +bitexact -use_editlist 0 -f mp4 "$work/tone.mp4"
ff -i "$work/tone.mp4" -c copy -bsf:a "noise=drop='lt(n\,376)+gt(n\,750)',setts=ts=N*1024:duration=1024" \
  -map_metadata -1 -metadata:s:a language=eng -metadata:s:a handler_name=audio -fflags +bitexact -flags +bitexact \
  -use_editlist 0 -f mp4 -movflags cmaf+empty_moov+default_base_moof -frag_duration 8000000 "$out/audio.mp4"

cd "$out" && sha256sum video-hi.mp4 video-lo.mp4 audio.mp4

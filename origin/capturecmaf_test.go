package origin

import (
	"bytes"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"
)

// cmafSource pushes CMAF as encoders do that follow DASH-IF Live Media Ingest: media that ffmpeg made, cut anew on a grid of
// the epoch, in real time.
type cmafSource struct {
	t      *testing.T
	url    string
	tracks []*cmafTrack
}

type cmafTrack struct {
	ext     string // of its files
	name    string
	init    *mp4.InitSegment
	scale   int64
	samples []mp4.FullSample // decode times from 0
}

// newCMAFSource has ffmpeg make the programme, with options for the video.
func newCMAFSource(t *testing.T, url, video string) *cmafSource {
	t.Helper()
	s := &cmafSource{t: t, url: url}
	for _, tr := range []*cmafTrack{
		{name: "video", ext: ".cmfv", scale: 90000}, {name: "audio", ext: ".cmfa", scale: 48000},
	} {
		options := map[string]string{"video": "-map 0:v -video_track_timescale 90000 " + h264 + " " + video, "audio": "-map 1:a " + aac}[tr.name]
		file := filepath.Join(t.TempDir(), tr.name+".mp4")
		command := ffmpeg + " -y " + options + " -f mp4 -movflags cmaf+frag_keyframe+empty_moov+default_base_moof -frag_duration 1000000 " + file
		out, err := exec.Command("bash", "-c", command).CombinedOutput()
		require.NoError(t, err, "%s", out)
		parsed, err := mp4.ReadMP4File(file)
		require.NoError(t, err)
		tr.init = parsed.Init
		for _, seg := range parsed.Segments {
			for _, f := range seg.Fragments {
				samples, err := f.GetFullSamples(parsed.Init.Moov.Mvex.Trex)
				require.NoError(t, err)
				tr.samples = append(tr.samples, samples...)
			}
		}
		require.NotEmpty(t, tr.samples)
		s.tracks = append(s.tracks, tr)
	}
	return s
}

// segment is a segment of a track: samples with decode times since the epoch.
type cmafSegment struct {
	number  int64
	end     time.Time
	samples []mp4.FullSample
	first   bool
	last    bool
}

// cut lays the media of a track on the UTC axis from about start on and cuts it where multiples of length begin, video at
// the next key frame.
func (tr *cmafTrack) cut(start time.Time, length time.Duration) (out []cmafSegment) {
	grain := int64(tr.samples[0].Dur)
	zero := start.UnixMilli() * tr.scale / 1000 / grain * grain
	step := length.Nanoseconds() * tr.scale / 1e9
	for _, sample := range tr.samples {
		sample.DecodeTime += uint64(zero)
		at := int64(sample.DecodeTime)
		number := (at + grain/2) / step
		if n := len(out); n == 0 || out[n-1].number < number && sample.Flags&mp4.NonSyncSampleFlags == 0 {
			out = append(out, cmafSegment{number: number, first: n == 0})
		}
		seg := &out[len(out)-1]
		seg.samples = append(seg.samples, sample)
		seg.end = time.Unix(0, (at+grain)*1000/tr.scale*1e6)
	}
	out[len(out)-1].last = true
	return out
}

// run delivers the segments of all tracks, the tracks in parallel, each segment when it ends. The
// media begins so much later than a segment of the grid.
func (s *cmafSource) run(length, inside time.Duration, header func(*cmafTrack), media func(*cmafTrack, cmafSegment)) {
	start := time.UnixMilli(time.Now().UnixMilli() / length.Milliseconds() * length.Milliseconds()).Add(inside)
	var all sync.WaitGroup
	for _, tr := range s.tracks {
		all.Go(func() {
			header(tr)
			for _, seg := range tr.cut(start, length) {
				time.Sleep(time.Until(seg.end))
				media(tr, seg)
			}
		})
	}
	all.Wait()
	http.DefaultClient.CloseIdleConnections()
}

// send puts one object and waits for the answer.
func (s *cmafSource) send(method, name string, body []byte, header ...string) {
	r, err := http.NewRequest(method, s.url+"/"+name, bytes.NewReader(body))
	require.NoError(s.t, err)
	r.Header.Set("User-Agent", "cmaf-source/1")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	require.NoError(s.t, resp.Body.Close())
}

// pushNumbered pushes as livesim2 does: a file per segment, named by its number on the epoch's grid, the last one with the brand
// lmsg.
func pushNumbered(t *testing.T, url string) {
	s := newCMAFSource(t, url, "")
	about := []string{"DASH-IF-Ingest", "1.1", "Content-Type"}
	kinds := map[string]string{"video": "video/mp4", "audio": "audio/mp4"}
	s.run(2*time.Second, 0, func(tr *cmafTrack) {
		var b bytes.Buffer
		require.NoError(s.t, tr.init.Encode(&b))
		s.send(http.MethodPut, tr.name+"/init"+tr.ext, b.Bytes(), append(about, kinds[tr.name])...)
	}, func(tr *cmafTrack, seg cmafSegment) {
		brands := []string{"cmfs", "cmff"}
		if seg.last {
			brands = append(brands, "lmsg")
		}
		s.send(http.MethodPut, fmt.Sprintf("%s/%d%s", tr.name, seg.number, tr.ext), s.bytes(seg, 0, brands...), append(about, kinds[tr.name])...)
	})
}

// pushAnchored pushes as AWS Elemental MediaLive's CMAF Ingest does: every segment to the URL of its track, headers created on
// 1970-01-01, segments of 1.92 s numbered on the epoch's grid of which the first is a part only, all presented 40 ms late.
func pushAnchored(t *testing.T, url string) {
	const delay, length, missing = 40 * time.Millisecond, 1920 * time.Millisecond, 440 * time.Millisecond
	s := newCMAFSource(t, url, `-g 1000 -force_key_frames "expr:eq(n,0)+gte(n,37)*not(mod(n-37,48))"`)
	name := func(tr *cmafTrack) string { return "Streams(" + tr.name + tr.ext + ")" }
	s.run(length, missing, func(tr *cmafTrack) {
		tr.init.Moov.Mvhd.CreationTime = 2_082_844_800 // seconds from 1904 to 1970
		tr.init.Ftyp = mp4.NewFtyp("cmaf", 1, []string{"isom", "cmaf", "cmfc", "dash"})
		tr.init.Children[0] = tr.init.Ftyp
		var b bytes.Buffer
		require.NoError(s.t, tr.init.Encode(&b))
		s.send(http.MethodPut, name(tr), b.Bytes())
	}, func(tr *cmafTrack, seg cmafSegment) {
		brands := []string{"cmfs"}
		if seg.first {
			brands = []string{"cmff", "cmfs"}
		}
		s.send(http.MethodPut, name(tr), s.bytes(seg, delay.Nanoseconds()*tr.scale/1e9, brands...))
	})
}

// bytes returns a segment as CMAF. Each sample is presented late ticks later than it is decoded.
func (s *cmafSource) bytes(seg cmafSegment, late int64, brands ...string) []byte {
	out := mp4.NewMediaSegment()
	out.Styp = mp4.NewStyp("cmfc", 0, brands)
	f, err := mp4.CreateFragment(uint32(seg.number), 1)
	require.NoError(s.t, err)
	out.AddFragment(f)
	for _, sample := range seg.samples {
		sample.CompositionTimeOffset += int32(late)
		f.AddFullSample(sample)
	}
	var b bytes.Buffer
	require.NoError(s.t, out.Encode(&b))
	return b.Bytes()
}

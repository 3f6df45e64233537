package mpegts

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager"
	"headwater/packager/cmaf"
	"headwater/packager/media"
)

const wrap = 1 << 33

// beforeWrap is 3 s before the time stamps of 2026 next wrap around, rounded down to a whole segment.
const beforeWrap = (wrap*18812/clock - 3) / segmentSeconds * segmentSeconds

// What record is asked to encode.
var (
	codecsH264 = []string{"-c:v", "libx264", "-bf", "3", "-x264-params", "b-pyramid=normal:log-level=none", "-b:v", "1M", "-c:a", "aac"}
	codecsHEVC = []string{
		"-c:v", "libx265", "-x265-params", "bframes=3:keyint=50:min-keyint=50:scenecut=0:open-gop=0:log-level=none",
		"-tag:v", "hvc1", "-c:a", "eac3",
	}
)

// transmux makes all muxed segments of a recording.
func transmux(t testing.TB, r recording) (segments [][]byte) {
	t.Helper()
	require.Equal(t, len(r.video), len(r.audio))
	for i := range r.video {
		b, err := Segment(r.muxed(i))
		require.NoError(t, err)
		segments = append(segments, b)
	}
	return segments
}

func TestSegmentsPlayEndToEndAsOneStream(t *testing.T) {
	tests := []struct {
		name   string
		codecs []string
		video  byte
		audio  byte
		id     byte
	}{
		{"H.264 with B-frames and AAC", codecsH264, typeH264, typeAAC, 0xc0},
		{"H.264 Baseline and AC-3", []string{"-c:v", "libx264", "-profile:v", "baseline", "-c:a", "ac3"}, typeH264, typeAC3, 0xbd},
		{"HEVC with B-frames and E-AC-3", codecsHEVC, typeHEVC, typeEAC3, 0xbd},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := record(t, beforeWrap, 8, "320x180", tt.codecs...)
			segments := transmux(t, rec)
			require.Len(t, segments, 4)
			r := receive(t)
			for _, s := range segments {
				r.segment(s)
			}
			packets := r.finish()
			require.Equal(t, map[uint16]byte{firstPID: tt.video, firstPID + 1: tt.audio}, r.types)
			require.Equal(t, uint16(firstPID), r.pcrPID)
			requireClock(t, r.pcrs)
			requireVideoTimes(t, rec.video, packets)
			requireAudioTimes(t, rec.audio, packets, tt.id)
			requireSamePictures(t, rec, bytes.Join(segments, nil))
		})
	}
}

// requireClock checks that PCRs come at least every 100 ms and never go back, over the wrap.
func requireClock(t *testing.T, pcrs []int64) {
	t.Helper()
	require.NotEmpty(t, pcrs)
	for i := 1; i < len(pcrs); i++ {
		step := (pcrs[i] - pcrs[i-1] + wrap) % wrap
		require.Positive(t, step)
		require.LessOrEqual(t, step, int64(clock/10))
	}
}

// requireVideoTimes checks that presentation times are the stored ones exactly, that decode times are evenly spaced over
// all segments and never later, and that every key picture is marked.
func requireVideoTimes(t *testing.T, pieces []packager.Piece, packets []pes) {
	t.Helper()
	var want []int64
	var keys []bool
	for _, p := range pieces {
		fragments, err := cmaf.ReadSegment(p.Data)
		require.NoError(t, err)
		for _, f := range fragments {
			at := f.DecodeTime
			for _, s := range f.Samples {
				want = append(want, media.At(at+int64(s.CompositionOffset), p.Track.Timescale).Round(clock)%wrap)
				keys = append(keys, s.Sync)
				at += int64(s.Duration)
			}
		}
	}
	var got []int64
	var last pes
	for _, p := range packets {
		if p.pid != firstPID {
			continue
		}
		require.Equal(t, byte(0xe0), p.id)
		require.Equal(t, keys[len(got)], p.key)
		if len(got) > 0 {
			require.Equal(t, int64(clock/25), (p.dts-last.dts+wrap)%wrap)
		}
		require.Less(t, (p.pts-p.dts+wrap)%wrap, int64(clock/2), "DTS is at or shortly before PTS")
		got, last = append(got, p.pts), p
	}
	require.Equal(t, want, got)
}

// requireAudioTimes checks that the first frame of each PES packet has its stored time, and that packets are short.
func requireAudioTimes(t *testing.T, pieces []packager.Piece, packets []pes, id byte) {
	t.Helper()
	frames := map[int64]bool{}
	for _, p := range pieces {
		fragments, err := cmaf.ReadSegment(p.Data)
		require.NoError(t, err)
		at := fragments[0].DecodeTime
		for _, s := range fragments[0].Samples {
			frames[media.At(at, p.Track.Timescale).Round(clock)%wrap] = true
			at += int64(s.Duration)
		}
	}
	n := 0
	for _, p := range packets {
		if p.pid == firstPID+1 {
			require.Equal(t, id, p.id)
			require.Positive(t, p.length)
			require.True(t, frames[p.pts])
			n++
		}
	}
	require.GreaterOrEqual(t, n, 8*10)
}

// requireSamePictures lets ffmpeg decode source and stream: every picture must come out bit for bit the same, and as many
// frames of audio.
func requireSamePictures(t *testing.T, rec recording, stream []byte) {
	t.Helper()
	hashes := func(stdin []byte, input, kind string) (out []string) {
		all := ffmpeg(t, stdin, "ffmpeg", "-i", input, "-map", "0:"+kind, "-fps_mode", "passthrough", "-f", "framemd5", "-")
		for _, line := range lines(all) {
			if !strings.HasPrefix(line, "#") {
				out = append(out, line[strings.LastIndexByte(line, ',')+1:])
			}
		}
		return out
	}
	require.Equal(t, hashes(nil, rec.path, "v"), hashes(stream, "pipe:", "v"))
	require.Equal(t, audioFrames(t, nil, rec.path), audioFrames(t, stream, "pipe:"))
}

func audioFrames(t *testing.T, stdin []byte, input string) string {
	t.Helper()
	return strings.Trim(lines(ffmpeg(t, stdin, "ffprobe", "-select_streams", "a", "-count_packets",
		"-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", input))[0], ",")
}

func TestASegmentIsTheSameWhateverWasMadeBefore(t *testing.T) {
	rec := record(t, beforeWrap, 4, "320x180", codecsH264...)
	one, again := transmux(t, rec), transmux(t, rec)
	require.Equal(t, one, again)
	before := slices.Clone(rec.video[0].Data)
	_, err := Segment(rec.muxed(0))
	require.NoError(t, err)
	require.Equal(t, before, rec.video[0].Data, "stored bytes are not touched")
}

func TestATrackAloneCarriesTheClock(t *testing.T) {
	rec := record(t, beforeWrap, 4, "320x180", codecsH264...)
	for name, pieces := range map[string][]packager.Piece{"video": rec.video, "audio": rec.audio} {
		t.Run(name, func(t *testing.T) {
			r := receive(t)
			var stream []byte
			for _, p := range pieces {
				b, err := Segment([]packager.Piece{p})
				require.NoError(t, err)
				r.segment(b)
				stream = append(stream, b...)
			}
			r.finish()
			requireClock(t, r.pcrs)
			ffmpeg(t, stream, "ffmpeg", "-i", "pipe:", "-f", "null", "-")
		})
	}
}

func TestMuxedTracksAreInStepWithEachOther(t *testing.T) {
	rec := record(t, 1795608000, 4, "320x180", codecsH264...)
	r := receive(t)
	for _, s := range transmux(t, rec) {
		r.segment(s)
	}
	newest := map[uint16]int64{}
	for _, p := range r.finish() {
		for pid, dts := range newest {
			if pid != p.pid {
				require.Less(t, dts-p.dts, int64(clock/5), "packets come in the order of their decode times")
			}
		}
		newest[p.pid] = p.dts
	}
}

func TestADelimiterAndParameterSetsComeBeforeAKeyPicture(t *testing.T) {
	rec := record(t, 1795608000, 2, "320x180", codecsH264...)
	r := receive(t)
	r.segment(transmux(t, rec)[0])
	packets := r.finish()
	require.True(t, bytes.HasPrefix(packets[0].payload, []byte("\x00\x00\x00\x01\x09\xf0\x00\x00\x00\x01\x67")))
	for _, p := range packets[1:] {
		if p.pid == firstPID {
			require.True(t, bytes.HasPrefix(p.payload, []byte("\x00\x00\x00\x01\x09\xf0\x00\x00\x00\x01")))
			require.NotContains(t, string(p.payload), "\x00\x00\x00\x01\x67")
		}
	}
}

// silent is an AAC piece of n frames of the given size in one fragment each.
func silent(t testing.TB, config *media.Config, n, size int) packager.Piece {
	var fragments []cmaf.Fragment
	for i := range n {
		fragments = append(fragments, cmaf.Fragment{
			DecodeTime: 1795608000*48000 + int64(i)*1024,
			Samples:    []cmaf.Sample{{Duration: 1024, Size: uint32(size), Sync: true, Data: make([]byte, size)}},
		})
	}
	return packager.Piece{
		Track:   media.Track{ID: "a1", Kind: media.Audio, Timescale: 48000},
		Segment: media.Segment{Number: 1, Config: config}, Data: stored(t, media.Audio, fragments...),
	}
}

func TestCountersComeOutEvenHoweverLittleMediaThereIs(t *testing.T) {
	rec := record(t, 1795608000, 2, "320x180", codecsH264...)
	for _, n := range []int{1, 2, 5, 17, 94} {
		for _, size := range []int{1, 5, 150, 171, 172, 3000} {
			t.Run(fmt.Sprintf("%d frames of %d bytes", n, size), func(t *testing.T) {
				r := receive(t)
				b, err := Segment([]packager.Piece{silent(t, rec.audio[0].Segment.Config, n, size)})
				require.NoError(t, err)
				r.segment(b)
				require.Equal(t, byte(15), r.counters[firstPID])
				total := 0
				for _, p := range r.finish() {
					total += len(p.payload)
				}
				require.Equal(t, n*(size+7), total)
			})
		}
	}
}

func TestAHoleInAudioBeginsAPacketWithItsOwnTime(t *testing.T) {
	rec := record(t, 1795608000, 2, "320x180", codecsH264...)
	p := silent(t, rec.audio[0].Segment.Config, 2, 100)
	frame := cmaf.Sample{Duration: 1024, Size: 100, Sync: true, Data: make([]byte, 100)}
	p.Data = stored(t, media.Audio, cmaf.Fragment{DecodeTime: 48000, Samples: []cmaf.Sample{frame}},
		cmaf.Fragment{DecodeTime: 48000 + 2048, Samples: []cmaf.Sample{frame}})
	b, err := Segment([]packager.Piece{p})
	require.NoError(t, err)
	r := receive(t)
	r.segment(b)
	packets := r.finish()
	require.Len(t, packets, 2)
	require.Equal(t, int64(clock+3840), packets[1].pts)
}

func TestAPieceWithoutMediaIsStillAnnounced(t *testing.T) {
	rec := record(t, 1795608000, 2, "320x180", codecsH264...)
	pieces := rec.muxed(0)
	pieces[1].Data = nil
	b, err := Segment(pieces)
	require.NoError(t, err)
	r := receive(t)
	r.segment(b)
	require.Equal(t, byte(typeAAC), r.types[firstPID+1])
}

func TestSegmentRefusesWhatItCannotCarry(t *testing.T) {
	rec := record(t, 1795608000, 2, "320x180", codecsH264...)
	tests := []struct {
		name   string
		change func(p *packager.Piece)
		want   error
	}{
		{"no header", func(p *packager.Piece) { p.Segment.Config = &media.Config{} }, ErrCodec},
		{"no configuration", func(p *packager.Piece) { p.Segment.Config = nil }, ErrCodec},
		{"a header cut short", func(p *packager.Piece) {
			p.Segment.Config = &media.Config{Header: p.Segment.Config.Header[:200]}
		}, ErrCodec},
		{"video in an audio track", func(p *packager.Piece) { p.Track.Kind = media.Audio }, ErrCodec},
		{"data cut short", func(p *packager.Piece) { p.Data = p.Data[:len(p.Data)-1] }, cmaf.ErrMalformed},
		{"a NAL unit that exceeds its sample", func(p *packager.Piece) {
			at := bytes.Index(p.Data, []byte("mdat")) + 4
			p.Data = slices.Clone(p.Data)
			binary.BigEndian.PutUint32(p.Data[at:], 0xffffffff)
		}, cmaf.ErrMalformed},
		{"no media", func(p *packager.Piece) { p.Data = nil }, packager.ErrNoMedia},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := rec.video[0]
			tt.change(&p)
			_, err := Segment([]packager.Piece{p})
			require.ErrorIs(t, err, tt.want)
		})
	}
	_, err := Segment(nil)
	require.ErrorIs(t, err, packager.ErrNoMedia)
	_, err = Segment(make([]packager.Piece, maxPieces+1))
	require.Error(t, err)
}

func TestAMuxerWritesTheSameAgain(t *testing.T) {
	rec := record(t, beforeWrap, 2, "320x180", codecsH264...)
	m, err := NewMuxer(rec.muxed(0))
	require.NoError(t, err)
	var first, second bytes.Buffer
	for _, b := range []*bytes.Buffer{&first, &second} {
		n, err := m.WriteTo(b)
		require.NoError(t, err)
		require.Equal(t, m.Size(), n)
	}
	require.True(t, bytes.Equal(first.Bytes(), second.Bytes()))
}

func TestAMuxerStopsWhenNobodyTakesWhatItWrites(t *testing.T) {
	rec := record(t, beforeWrap, 2, "320x180", codecsH264...)
	m, err := NewMuxer(rec.muxed(0))
	require.NoError(t, err)
	r, w := io.Pipe()
	require.NoError(t, r.Close())
	n, err := m.WriteTo(w)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.Zero(t, n)
}

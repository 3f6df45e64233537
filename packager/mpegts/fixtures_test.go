package mpegts

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"

	"headwater/packager"
	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// segmentSeconds is the length of the segments that record cuts.
const segmentSeconds = 2

// recording is a file of ffmpeg's with its tracks as the ingest side stores them.
type recording struct {
	path  string
	video []packager.Piece
	audio []packager.Piece
}

// muxed returns the pieces of segment i.
func (r *recording) muxed(i int) []packager.Piece { return []packager.Piece{r.video[i], r.audio[i]} }

// ffmpeg runs ffmpeg or ffprobe and returns what it prints. Any complaint on stderr fails the test.
func ffmpeg(t testing.TB, stdin []byte, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, append([]string{"-v", "error"}, args...)...)
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &complaints
	err := cmd.Run()
	require.NoError(t, err, complaints.String())
	require.Empty(t, complaints.String())
	return out.String()
}

// record lets ffmpeg encode seconds of a test picture and a tone, and cuts both into segments from start (seconds since
// the epoch) on.
func record(t testing.TB, start int64, seconds int, size string, codecs ...string) recording {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source.mp4")
	length := fmt.Sprint(seconds)
	args := []string{
		"-f", "lavfi", "-i", "testsrc2=rate=25:size=" + size, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-t", length, "-pix_fmt", "yuv420p", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0",
	}
	args = append(args, codecs...)
	ffmpeg(t, nil, "ffmpeg", append(args, "-movflags", "frag_keyframe+delay_moov+default_base_moof", "-f", "mp4", path)...)
	file, err := mp4.ReadMP4File(path)
	require.NoError(t, err)
	r := recording{path: path}
	for _, trak := range file.Moov.Traks {
		pieces := cut(t, file, trak, start, int64(seconds/segmentSeconds))
		if pieces[0].Track.Kind == media.Video {
			r.video = pieces
		} else {
			r.audio = pieces
		}
	}
	return r
}

// cut turns one track of a fragmented file into stored segments: a header of its own, decode time = presentation time at
// the start of every segment, times on the epoch.
func cut(t testing.TB, file *mp4.File, trak *mp4.TrakBox, start, count int64) []packager.Piece {
	t.Helper()
	id, scale := trak.Tkhd.TrackID, trak.Mdia.Mdhd.Timescale
	track := media.Track{ID: "a1", Kind: media.Audio, Timescale: scale, Language: "eng"}
	kind := "audio"
	if trak.Mdia.Hdlr.HandlerType == "vide" {
		track.ID, track.Kind, track.Language, kind = "v1", media.Video, "", "video"
	}
	trex, ok := file.Moov.Mvex.GetTrex(id)
	require.True(t, ok)
	var samples []mp4.FullSample
	for _, segment := range file.Segments {
		for _, fragment := range segment.Fragments {
			for _, traf := range fragment.Moof.Trafs {
				if traf.Tfhd.TrackID == id {
					full, err := fragment.GetFullSamples(trex)
					require.NoError(t, err)
					if len(fragment.Moof.Trafs) > 1 {
						full = samplesOf(t, fragment, traf, trex)
					}
					samples = append(samples, full...)
				}
			}
		}
	}
	require.NotEmpty(t, samples)
	init := mp4.CreateEmptyInit()
	init.AddEmptyTrack(scale, kind, "und")
	stsd := init.Moov.Trak.Mdia.Minf.Stbl.Stsd
	stsd.AddChild(trak.Mdia.Minf.Stbl.Stsd.Children[0])
	var header bytes.Buffer
	require.NoError(t, init.Encode(&header))
	config := &media.Config{ID: "00000000", Header: header.Bytes(), Codec: kind, FrameRate: media.Ratio{Num: 25, Den: 1}}

	var pieces []packager.Piece
	first := int64(samples[0].DecodeTime)
	offset := samples[0].CompositionTimeOffset
	for len(samples) > 0 {
		n, number := 1, int64(len(pieces))
		edge := (number + 1) * segmentSeconds * int64(scale)
		for n < len(samples) {
			middle := int64(samples[n].DecodeTime) - first + int64(samples[n].Dur)/2
			if track.Kind == media.Audio && middle > edge && number+1 < count || track.Kind == media.Video && samples[n].IsSync() {
				break
			}
			n++
		}
		f := cmaf.Fragment{Sequence: uint32(number), DecodeTime: start*int64(scale) + int64(samples[0].DecodeTime) - first}
		for _, s := range samples[:n] {
			f.Samples = append(f.Samples, cmaf.Sample{
				Duration: s.Dur, Size: s.Size, Sync: s.IsSync(), CompositionOffset: s.CompositionTimeOffset - offset, Data: s.Data,
			})
		}
		samples = samples[n:]
		pieces = append(pieces, packager.Piece{Track: track, Data: stored(t, track.Kind, f), Segment: media.Segment{
			Number: start/segmentSeconds + number, Start: f.DecodeTime, Duration: f.Duration(), Config: config,
		}})
	}
	return pieces
}

// samplesOf reads the samples of one of several tracks of a fragment.
func samplesOf(t testing.TB, fragment *mp4.Fragment, traf *mp4.TrafBox, trex *mp4.TrexBox) []mp4.FullSample {
	t.Helper()
	one := *fragment
	moof := *fragment.Moof
	moof.Traf, moof.Trafs = traf, []*mp4.TrafBox{traf}
	one.Moof = &moof
	full, err := one.GetFullSamples(trex)
	require.NoError(t, err)
	return full
}

// stored writes fragments as packager/cmaf stores them.
func stored(t testing.TB, kind media.Kind, fragments ...cmaf.Fragment) []byte {
	t.Helper()
	b := cmaf.AppendSegmentType(nil)
	for _, f := range fragments {
		var err error
		b, err = cmaf.AppendHeader(b, f, kind)
		require.NoError(t, err)
		for i := range f.Samples {
			b = append(b, f.Samples[i].Data...)
		}
	}
	return b
}

// pes is a PES packet as a receiver sees it.
type pes struct {
	pid      uint16
	pts, dts int64
	id       byte
	length   int
	payload  []byte
	key      bool
}

// reception is what a receiver knows after reading packets: it checks the syntax as it goes.
type reception struct {
	t        testing.TB
	counters map[uint16]byte
	packets  []pes
	pcrs     []int64
	pcrPID   uint16
	types    map[uint16]byte
}

func receive(t testing.TB) *reception {
	return &reception{t: t, counters: map[uint16]byte{}, types: map[uint16]byte{}}
}

// segment reads one segment: tables first, no packet lost since the segment before.
func (r *reception) segment(b []byte) {
	r.t.Helper()
	require.Zero(r.t, len(b)%packetSize)
	for n := 0; len(b) > 0; n++ {
		p := b[:packetSize]
		b = b[packetSize:]
		require.Equal(r.t, byte(0x47), p[0])
		pid := uint16(p[1]&0x1f)<<8 | uint16(p[2])
		if n == 0 {
			require.Equal(r.t, uint16(pidPAT), pid)
		}
		if n == 1 {
			require.Equal(r.t, uint16(pidPMT), pid)
		}
		payload := p[4:]
		key := false
		if p[3]&0x20 != 0 {
			field := p[5 : 5+int(p[4])]
			if p[3]&0x10 == 0 {
				require.Equal(r.t, byte(183), p[4])
			} else {
				require.LessOrEqual(r.t, p[4], byte(182))
			}
			if len(field) > 0 {
				key = field[0]&0x40 != 0
				if field[0]&0x10 != 0 {
					r.pcrs = append(r.pcrs, int64(field[1])<<25|int64(field[2])<<17|int64(field[3])<<9|int64(field[4])<<1|int64(field[5]>>7))
					r.pcrPID = pid
				}
			}
			payload = p[5+int(p[4]):]
		}
		last, known := r.counters[pid]
		counter := p[3] & 0x0f
		if p[3]&0x10 == 0 {
			require.True(r.t, known)
			require.Equal(r.t, last, counter, "a packet without payload does not count")
			continue
		}
		if known {
			require.Equal(r.t, (last+1)&0x0f, counter, "pid %#x", pid)
		}
		r.counters[pid] = counter
		start := p[1]&0x40 != 0
		switch {
		case pid == pidPAT || pid == pidPMT:
			r.section(pid, payload)
		case start:
			r.packets = append(r.packets, pes{pid: pid, key: key, payload: payload[:len(payload):len(payload)]})
		default:
			for i := len(r.packets) - 1; ; i-- {
				if r.packets[i].pid == pid {
					r.packets[i].payload = append(r.packets[i].payload, payload...)
					break
				}
			}
		}
	}
}

func (r *reception) section(pid uint16, payload []byte) {
	section := payload[1:]
	section = section[:3+int(section[1]&0x0f)<<8+int(section[2])]
	require.Zero(r.t, checksum(section), "the checksum of a section with its checksum is 0")
	if pid == pidPAT {
		return
	}
	body := section[12 : len(section)-4]
	require.Equal(r.t, r.pcrPIDOf(section), uint16(section[8]&0x1f)<<8|uint16(section[9]))
	for len(body) > 0 {
		r.types[uint16(body[1]&0x1f)<<8|uint16(body[2])] = body[0]
		body = body[5+int(body[3]&0x0f)<<8+int(body[4]):]
	}
}

func (r *reception) pcrPIDOf(section []byte) uint16 {
	if r.pcrPID == 0 {
		return uint16(section[8]&0x1f)<<8 | uint16(section[9])
	}
	return r.pcrPID
}

// finish parses the headers of the collected PES packets.
func (r *reception) finish() []pes {
	r.t.Helper()
	timestamp := func(b []byte) int64 {
		require.Equal(r.t, [3]byte{1, 1, 1}, [3]byte{b[0] & 1, b[2] & 1, b[4] & 1}, "marker bits")
		return int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1)
	}
	for i := range r.packets {
		p := &r.packets[i]
		b := p.payload
		require.Equal(r.t, []byte{0, 0, 1}, b[:3])
		p.id, p.length = b[3], int(b[4])<<8|int(b[5])
		if p.length > 0 {
			require.Equal(r.t, len(b)-6, p.length)
		}
		p.pts = timestamp(b[9:])
		p.dts = p.pts
		if b[7]>>6 == 3 {
			p.dts = timestamp(b[14:])
		}
		p.payload = b[9+int(b[8]):]
	}
	return r.packets
}

// lines splits the output of a program.
func lines(s string) []string { return strings.Split(strings.TrimSpace(s), "\n") }

// Segment returns the segment of pieces, and checks that it is as long as was said.
func Segment(pieces []packager.Piece) ([]byte, error) {
	m, err := NewMuxer(pieces)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	n, err := m.WriteTo(&b)
	if err == nil && (n != m.Size() || n != int64(b.Len())) {
		err = fmt.Errorf("%d bytes written, %d announced, %d arrived", n, m.Size(), b.Len())
	}
	return b.Bytes(), err
}

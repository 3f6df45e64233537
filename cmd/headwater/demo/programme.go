package demo

import (
	"bytes"
	"embed"
	"fmt"

	"github.com/Eyevinn/mp4ff/mp4"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// The programme: one fragmented MP4 file per rendition, made by testdata/demo/make.sh. A file holds one period of the loop,
// 60 s of video or 8 s of audio, in samples of one constant duration; its own timestamps are of no account.
//
//go:embed media/*.mp4
var files embed.FS

// track is one rendition of the programme, ready to be cut. It is immutable.
type track struct {
	name      string // as in Streams(name)
	kind      media.Kind
	timescale uint32
	header    []byte // CMAF header: ftyp and moov
	frame     uint32 // ticks per sample
	samples   []cmaf.Sample
}

func load() ([]*track, error) {
	var all []*track
	for _, r := range []struct {
		file, name string
		kind       media.Kind
	}{
		{"video-hi.mp4", "video-hi.cmfv", media.Video},
		{"video-lo.mp4", "video-lo.cmfv", media.Video},
		{"audio.mp4", "audio.cmfa", media.Audio},
	} {
		b, err := files.ReadFile("media/" + r.file)
		if err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
		t, err := parse(b)
		if err != nil {
			return nil, fmt.Errorf("demo: %s: %w", r.file, err)
		}
		t.name, t.kind = r.name, r.kind
		all = append(all, t)
	}
	return all, nil
}

// parse reads one embedded file.
func parse(b []byte) (*track, error) {
	f, err := mp4.DecodeFile(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if f.Init == nil || f.Init.Moov == nil || f.Init.Moov.Trak == nil || len(f.Init.Moov.Traks) != 1 {
		return nil, fmt.Errorf("not a fragmented file of one track")
	}
	t := &track{timescale: f.Init.Moov.Trak.Mdia.Mdhd.Timescale}
	var header bytes.Buffer
	if err := f.Init.Encode(&header); err != nil {
		return nil, err
	}
	t.header = header.Bytes()
	for _, s := range f.Segments {
		for _, fragment := range s.Fragments {
			samples, err := fragment.GetFullSamples(f.Init.Moov.Mvex.Trex)
			if err != nil {
				return nil, err
			}
			for i := range samples {
				t.add(samples[i])
			}
		}
	}
	return t, t.check()
}

// add appends a sample. Composition offsets are taken relative to the first sample's, so that decode time and presentation
// time agree where a segment begins.
func (t *track) add(s mp4.FullSample) {
	out := cmaf.Sample{
		Duration:          s.Dur,
		Size:              uint32(len(s.Data)),
		CompositionOffset: s.CompositionTimeOffset,
		Sync:              !mp4.DecodeSampleFlags(s.Flags).SampleIsNonSync,
		Data:              s.Data,
	}
	if len(t.samples) == 0 {
		t.frame, t.samples = s.Dur, []cmaf.Sample{out}
		return
	}
	t.samples = append(t.samples, out)
}

// check verifies what cutting relies on, and rebases the composition offsets.
func (t *track) check() error {
	if len(t.samples) == 0 || t.frame == 0 || t.timescale == 0 {
		return fmt.Errorf("no samples")
	}
	first := t.samples[0].CompositionOffset
	for i := range t.samples {
		s := &t.samples[i]
		if s.Duration != t.frame {
			return fmt.Errorf("sample %d lasts %d ticks, not %d", i, s.Duration, t.frame)
		}
		s.CompositionOffset -= first
	}
	// The loop must fit the grid: its period is a whole number of segments.
	period := uint64(len(t.samples)) * uint64(t.frame)
	if period%(uint64(SegmentDuration.Seconds())*uint64(t.timescale)) != 0 {
		return fmt.Errorf("a loop of %d ticks at %d is not a whole number of segments", period, t.timescale)
	}
	for k := range int64(len(t.samples)) {
		n := t.boundary(k)
		if n >= int64(len(t.samples)) {
			break
		}
		if s := t.samples[n]; !s.Sync || s.CompositionOffset != 0 {
			return fmt.Errorf("sample %d cannot begin a segment", n)
		}
	}
	return nil
}

// boundary returns the sample, counted from the epoch, at which segment k begins: the nearest to k segment durations,
// halves upwards.
func (t *track) boundary(k int64) int64 {
	ticks := k * int64(SegmentDuration.Seconds()) * int64(t.timescale)
	return (2*ticks + int64(t.frame)) / (2 * int64(t.frame))
}

// segment returns segment k: styp, moof and mdat, with epoch time in tfdt and k as sequence number, so that every encoder
// that plays this programme sends the same bytes.
func (t *track) segment(k int64) ([]byte, error) {
	from, to := t.boundary(k), t.boundary(k+1)
	period := int64(len(t.samples))
	samples := make([]cmaf.Sample, 0, to-from)
	size := 0
	for n := from; n < to; n++ {
		s := t.samples[n%period]
		samples = append(samples, s)
		size += len(s.Data)
	}
	f := cmaf.Fragment{Sequence: uint32(k), DecodeTime: from * int64(t.frame), Samples: samples}
	b, err := cmaf.AppendHeader(cmaf.AppendSegmentType(make([]byte, 0, size+256+16*len(samples))), f, t.kind)
	if err != nil {
		return nil, fmt.Errorf("demo: segment %d of %s: %w", k, t.name, err)
	}
	for i := range samples {
		b = append(b, samples[i].Data...)
	}
	return b, nil
}

package demux

import (
	"fmt"
	"math"

	"github.com/Eyevinn/mp4ff/mp4"

	"headwater/packager/cmaf"
	"headwater/packager/media"
)

// traf is a parsed track fragment.
type traf struct {
	track   *Track // nil: a track that is not packaged
	timing  timing
	time    int64 // decode time of the first sample in the track's ticks, edit list applied, composition not normalised
	timed   bool  // time was in the box
	samples []cmaf.Sample
	runs    []run
}

// run is a half-open range of sample bytes, in positions of the upload.
type run struct{ start, end int64 }

// parseMoof reads a movie fragment (ISO/IEC 14496-12 8.8.4).
func (in *Init) parseMoof(moof box, lim Limits) ([]traf, error) {
	list, err := moof.children(0)
	if err != nil {
		return nil, err
	}
	var out []traf
	samples := 0
	next := moof.pos // where the data of a traf begins when nothing says it
	for i, b := range list {
		if b.name != "traf" {
			continue
		}
		if i > maxTrafs {
			return nil, moof.malformed("too many track fragments")
		}
		t, err := in.parseTraf(b, moof.pos, &next, lim.Samples-samples)
		if err != nil {
			return nil, fmt.Errorf("moof: %w", err)
		}
		samples += len(t.samples)
		out = append(out, t)
	}
	return out, nil
}

// maxTrafs bounds the boxes of a moof.
const maxTrafs = 256

// defaults are the values of samples that trun does not give.
type defaults struct{ duration, size, flags uint32 }

func (in *Init) parseTraf(b box, moof int64, next *int64, room int) (t traf, err error) {
	list, err := b.children(0)
	if err != nil {
		return t, err
	}
	tfhd, err := need[*mp4.TfhdBox](b, list, "tfhd")
	if err != nil {
		return t, err
	}
	t.track = in.track(tfhd.TrackID)
	if t.track == nil && !in.unused[tfhd.TrackID] {
		return t, fmt.Errorf("%w: fragment of track %d, which the header does not name, at %d", ErrNoInit, tfhd.TrackID, b.pos)
	}
	t.timing = in.timing[tfhd.TrackID]
	trex := t.timing.trex
	if tfhd.HasSampleDescriptionIndex() && tfhd.SampleDescriptionIndex > 1 {
		return t, fmt.Errorf("%w: sample description %d, at %d", ErrUnsupported, tfhd.SampleDescriptionIndex, b.pos)
	}
	d := defaults{trex.DefaultSampleDuration, trex.DefaultSampleSize, trex.DefaultSampleFlags}
	if tfhd.HasDefaultSampleDuration() {
		d.duration = tfhd.DefaultSampleDuration
	}
	if tfhd.HasDefaultSampleSize() {
		d.size = tfhd.DefaultSampleSize
	}
	if tfhd.HasDefaultSampleFlags() {
		d.flags = tfhd.DefaultSampleFlags
	}
	// ISO/IEC 14496-12 8.8.7: the base is given, or the moof, or (old files) the end of the previous track fragment's data.
	base := *next
	switch {
	case tfhd.HasBaseDataOffset() && tfhd.BaseDataOffset <= maxTicks:
		base = int64(tfhd.BaseDataOffset)
	case tfhd.DefaultBaseIfMoof():
		base = moof
	}
	pos := base
	for _, c := range list {
		switch {
		case c.name == "senc", c.name == "tenc", c.is(uuidSenc):
			return t, fmt.Errorf("%w: encrypted samples, at %d", ErrUnsupported, c.pos)
		case c.name == "trun":
			trun, err := decode[*mp4.TrunBox](c)
			if err != nil {
				return t, err
			}
			if len(trun.Samples) > room-len(t.samples) {
				return t, fmt.Errorf("%w: more than %d samples in a fragment, at %d", ErrTooLarge, room, c.pos)
			}
			if trun.HasDataOffset() {
				pos = base + int64(trun.DataOffset)
			}
			r := run{start: pos, end: pos + t.appendRun(trun, d)}
			pos = r.end
			if r.start < 0 {
				return t, c.malformed("data before the upload")
			}
			if r.end > r.start {
				t.runs = append(t.runs, r)
			}
		}
	}
	*next = pos
	return t, t.setTime(list)
}

// appendRun appends the samples of a run and returns their bytes. A value is the sample's, else the run's (flags of the
// first sample), else the default.
func (t *traf) appendRun(trun *mp4.TrunBox, d defaults) (bytes int64) {
	first, hasFirst := trun.FirstSampleFlags()
	for i, s := range trun.Samples {
		flags := d.flags
		switch {
		case trun.HasSampleFlags():
			flags = s.Flags
		case i == 0 && hasFirst:
			flags = first
		}
		out := cmaf.Sample{Duration: d.duration, Size: d.size, Sync: isSync(flags)}
		if trun.HasSampleDuration() {
			out.Duration = s.Dur
		}
		if trun.HasSampleSize() {
			out.Size = s.Size
		}
		if trun.HasSampleCompositionTimeOffset() {
			out.CompositionOffset = s.CompositionTimeOffset
		}
		if t.track != nil && t.track.Kind != media.Video {
			out.Sync = true
		}
		bytes += int64(out.Size)
		t.samples = append(t.samples, out)
	}
	return bytes
}

// isSync reads sample_is_non_sync_sample and, for encoders that leave it 0, sample_depends_on (ISO/IEC 14496-12 8.8.3.1).
func isSync(flags uint32) bool {
	return flags&0x00010000 == 0 && flags>>24&3 != 1
}

// setTime takes the decode time from tfdt, else from the tfxd of Smooth Streaming ([MS-SSTR] 2.2.4.4), both as signed
// numbers: encoders write the audio's priming as a negative time.
func (t *traf) setTime(list []box) error {
	var ticks int64
	var at box
	if b, ok := find(list, "tfdt"); ok {
		tfdt, err := decode[*mp4.TfdtBox](b)
		if err != nil {
			return err
		}
		ticks, t.timed, at = int64(tfdt.BaseMediaDecodeTime()), true, b
	} else {
		for _, b := range list {
			if !b.is(uuidTfxd) {
				continue
			}
			var err error
			if ticks, err = b.tfxdTime(); err != nil {
				return err
			}
			t.timed, at = true, b
			break
		}
	}
	if ticks > maxTicks || ticks < -maxTicks {
		return at.malformed(fmt.Sprintf("time %d", ticks))
	}
	t.time = ticks + t.timing.shift
	return nil
}

// duration returns the sum of the samples' durations in ticks.
func (t *traf) duration() (d int64) {
	for i := range t.samples {
		d += int64(t.samples[i].Duration)
	}
	return d
}

// composition returns the shift that makes the composition offset of the first sync sample 0, and of audio, whose samples
// are all sync, of the first. sure is false when none is sync: then it is a guess.
func (t *traf) composition() (shift int32, sure bool) {
	for i := range t.samples {
		if t.samples[i].Sync {
			return t.samples[i].CompositionOffset, true
		}
	}
	return t.samples[0].CompositionOffset, false
}

// maxOffset bounds composition offsets, so that a few of them can be added.
const maxOffset = math.MaxInt32 / 4

// fragment returns t with composition offsets lessened by shift and the decode time moved by it.
func (t *traf) fragment(shift int32) (*Fragment, error) {
	for i := range t.samples {
		o := int64(t.samples[i].CompositionOffset) - int64(shift)
		if o < -maxOffset || o > maxOffset {
			return nil, fmt.Errorf("%w: composition offset %d", ErrMalformed, o)
		}
		t.samples[i].CompositionOffset = int32(o)
	}
	return &Fragment{Track: t.track, Time: t.time + int64(shift), Samples: t.samples}, nil
}

// reorder returns what Fragment.Reorder says, for a fragment of video whose composition was lessened by the shift of st.
func (st *trackState) reorder(f *Fragment) int64 {
	st.ahead = max(st.ahead, int64(st.shift))
	if st.shift <= 0 {
		// A fragment may be as short as one picture: it does not show how far the pictures after it will be reordered.
		st.ahead = max(st.ahead, f.Track.reorderTicks(f.Samples[0].Duration))
	}
	for i := range f.Samples {
		st.ahead = max(st.ahead, -int64(f.Samples[i].CompositionOffset))
	}
	return st.ahead
}

// longestPicture bounds the duration of a picture from which reordering is reckoned: one of a static scene lasts long.
const longestPicture = 10 // one in longestPicture of a second

// reorderTicks returns for how long the pictures of a video track last by which decoding runs ahead of presentation. Of the
// frame rate declared and the duration of a picture, the slower counts.
func (t *Track) reorderTicks(picture uint32) int64 {
	if t.reorder == 0 {
		return 0
	}
	declared := int64(0)
	if t.Config.FrameRate.Den != 0 || picture == 0 {
		declared = cmaf.ReorderTicks(t.reorder, t.Config.FrameRate, t.Timescale)
	}
	return max(declared, int64(t.reorder)*min(int64(picture), int64(t.Timescale)/longestPicture))
}

// contiguous reports whether the data of t is one range, and returns it.
func (t *traf) contiguous() (run, bool) {
	if len(t.runs) == 0 {
		return run{}, true
	}
	for i := 1; i < len(t.runs); i++ {
		if t.runs[i].start != t.runs[i-1].end {
			return run{}, false
		}
	}
	return run{start: t.runs[0].start, end: t.runs[len(t.runs)-1].end}, true
}

package smooth

import (
	"headwater/packager"
	"headwater/packager/media"
)

// stream is what one StreamIndex shows.
type stream struct {
	name   string
	levels []level
	chunks []chunk
}

// level is one QualityLevel and the segments of its track that it can stand for.
type level struct {
	codec
	track    *packager.TrackWindow
	segments []media.Segment
}

// chunk is one c element, in TimeScale. Its duration reaches to the next one's start, over missing media too: dash.js
// asks for the fragment that begins where the last one ended, and waits for ever where none does.
type chunk struct {
	start, duration int64
	media           int64 // how much of the duration has media
}

// gap reports whether media is missing (or doubled) at the end of c.
func (c chunk) gap() bool { return c.duration != c.media }

// torn reports whether so much is missing at the end of c that a player cannot begin there.
func (c chunk) torn() bool { return c.duration-c.media > TimeScale/10 }

const (
	// staleSegments is how many segments a rendition may lag behind the others of a live stream before it is left out.
	staleSegments = 4
	// settledChunks is how many chunks the first stream must list before another may be missing altogether.
	settledChunks = 3
	// joinChunks is how many chunks without a gap the end of a live stream must have: dash.js begins to play four chunks
	// before it, and where nothing is there it never does.
	joinChunks = 5
)

// streams returns the streams of w, video first. The chunks of a stream are those that all its levels have. While w is
// Live, the newest lookAhead of them are held back.
func streams(w *packager.Window, lookAhead int) ([]stream, error) {
	all := gather(w)
	var out []stream
	for i := range all {
		s := &all[i]
		s.settle(w)
		if w.Live {
			s.keep(len(s.chunks) - lookAhead)
		}
		if len(s.chunks) > 0 {
			out = append(out, *s)
			continue
		}
		if len(out) == 0 || len(out[0].chunks) < settledChunks {
			// Clients read a live manifest once: better none yet than one without sound.
			return nil, packager.ErrNoMedia
		}
	}
	if len(out) == 0 {
		return nil, packager.ErrNoMedia
	}
	if !w.Live {
		finish(out)
		return out, nil
	}
	holdBack(out)
	if !w.Fixed {
		for i := range out {
			out[i].begin()
		}
	}
	return out, nil
}

// keep leaves the first n chunks of s.
func (s *stream) keep(n int) {
	s.chunks = s.chunks[:max(0, n)]
	if len(s.chunks) > 0 {
		last := &s.chunks[len(s.chunks)-1]
		last.duration = last.media
	}
}

// holdBack takes from all streams what follows the last gap where that is too near to the end to begin playing behind it.
// Players that play already go on by the announcements in the fragments.
func holdBack(ss []stream) {
	var gap int64 // where the last one begins
	for i := range ss {
		for n, c := range ss[i].chunks {
			if n >= len(ss[i].chunks)-joinChunks && c.torn() {
				gap = max(gap, c.start+c.media)
			}
		}
	}
	if gap == 0 {
		return
	}
	keep := make([]int, len(ss))
	for i := range ss {
		for keep[i] < len(ss[i].chunks) && ss[i].chunks[keep[i]].start < gap-tolerance {
			keep[i]++
		}
		if keep[i] == 0 {
			return // it has nothing before the gap
		}
	}
	for i := range ss {
		ss[i].keep(keep[i])
	}
}

// begin leaves out chunks that are longer than their media at the beginning of s: dash.js takes the first one's duration
// for that of all.
func (s *stream) begin() {
	for len(s.chunks) > joinChunks && s.chunks[0].torn() {
		s.chunks = s.chunks[1:]
	}
}

// gather returns the streams of w with all their levels: the video, and each audio by itself.
func gather(w *packager.Window) []stream {
	var all []stream
	used := map[string]bool{}
next:
	for i := range w.Tracks {
		l, ok := makeLevel(&w.Tracks[i])
		if !ok {
			continue
		}
		for j := range all {
			if all[j].takes(w, l) {
				all[j].levels = append(all[j].levels, l)
				continue next
			}
		}
		name := streamName(&l.track.Track, used)
		used[name] = true
		all = append(all, stream{name: name, levels: []level{l}})
	}
	return all
}

// takes reports whether a player may switch between l and what s has.
func (s *stream) takes(w *packager.Window, l level) bool {
	t := l.track
	for _, have := range s.levels {
		switch h := have.track; {
		case h.Kind != t.Kind:
			return false
		case t.Kind == media.Video:
		case h.Language != t.Language || have.fourCC != l.fourCC || have.config().Channels != l.config().Channels,
			!w.Interchangeable(h.Track, t.Track):
			return false
		}
	}
	return true
}

// finish lets all streams of a finished presentation end together, at a whole millisecond after the latest of their
// starts and behind all media. dash.js takes the shortest stream from there on, cut to the millisecond, for the length of
// the presentation. Where media goes on behind that, it now and then gives up before the <video> has ended, and seeks back.
// A stream that ends earlier by more than half a chunk is left as it is.
func finish(ss []stream) {
	var begin, end int64
	for i := range ss {
		begin, end = max(begin, ss[i].chunks[0].start), max(end, ss[i].end())
	}
	const millisecond = TimeScale / 1000
	end = begin + ((end-begin)/millisecond+1)*millisecond
	for i := range ss {
		if last := &ss[i].chunks[len(ss[i].chunks)-1]; end-ss[i].end() <= last.duration/2 {
			last.duration = end - last.start
		}
	}
}

// end returns where the last chunk of s ends.
func (s *stream) end() int64 {
	last := s.chunks[len(s.chunks)-1]
	return last.start + last.duration
}

// makeLevel returns t as a quality level: its segments since the CodecPrivateData last changed.
func makeLevel(t *packager.TrackWindow) (l level, ok bool) {
	config := t.Last().Config
	l.track = t
	if l.codec, ok = readCodec(t.Kind, config); !ok {
		return l, false
	}
	first := len(t.Segments)
	for first > 0 {
		c := t.Segments[first-1].Config
		if c != config && c.ID != config.ID {
			if other, _ := readCodec(t.Kind, c); other != l.codec {
				break
			}
			config = c
		}
		first--
	}
	l.segments = t.Segments[first:]
	return l, true
}

// settle settles the levels and chunks of s. The longest level is the measure: one that has less than half of it, or
// that has stopped while others go on, is left out, since it would keep the others' chunks from being listed.
func (s *stream) settle(w *packager.Window) {
	longest := 0
	var newest int64
	for i, l := range s.levels {
		if len(l.segments) > len(s.levels[longest].segments) {
			longest = i
		}
		newest = max(newest, l.end())
	}
	lag := staleSegments * Time(int64(w.TargetDuration), 1e9)
	kept := s.levels[:0:0]
	for _, l := range s.levels {
		if 2*len(l.segments) < len(s.levels[longest].segments) || w.Live && l.end() < newest-lag {
			continue
		}
		kept = append(kept, l)
	}
	s.levels = kept
	s.chunks = kept[0].chunks()
	for _, l := range kept[1:] {
		s.chunks = intersect(s.chunks, l)
	}
	for i := 1; i < len(s.chunks); i++ {
		prev := &s.chunks[i-1]
		prev.duration = s.chunks[i].start - prev.start
	}
}

func (l level) end() int64 { return Time(l.segments[len(l.segments)-1].End(), l.track.Timescale) }

func (l level) chunks() []chunk {
	out := make([]chunk, len(l.segments))
	for i := range l.segments {
		s := &l.segments[i]
		out[i].start = Time(s.Start, l.track.Timescale)
		out[i].media = Time(s.End(), l.track.Timescale) - out[i].start
		out[i].duration = out[i].media
	}
	return out
}

// intersect keeps the chunks that l has too, in place.
func intersect(chunks []chunk, l level) []chunk {
	out, i := chunks[:0], 0
	for _, c := range chunks {
		for i < len(l.segments) && Time(l.segments[i].Start, l.track.Timescale) < c.start-tolerance {
			i++
		}
		if i < len(l.segments) && Time(l.segments[i].Start, l.track.Timescale) <= c.start+tolerance {
			out = append(out, c)
		}
	}
	return out
}

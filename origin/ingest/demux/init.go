package demux

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/Eyevinn/mp4ff/mp4"

	"headwater/packager/media"
)

// Init is a parsed initialization segment. It is immutable.
type Init struct {
	Raw     []byte   // ftyp, LiveServerManifest and moov as received: ParseInit(Raw) gives the same Init
	Tracks  []*Track // in the order of the moov; none when all are of types that are known and not packaged yet
	Ignored []string // tracks that are not packaged, one readable reason each
	Smooth  bool     // it has a LiveServerManifest, as Smooth Streaming's live ingest begins

	timing map[uint32]timing // by track_ID
	unused map[uint32]bool   // track_IDs of Ignored
}

// timing is what a track's header says about the time of its samples, and the defaults of its fragments.
type timing struct {
	shift int64 // ticks to add to a decode or composition time: empty edits minus media_time
	trex  mp4.TrexBox
}

// maxTicks bounds every time read from an upload, so that sums of a few of them do not overflow.
const maxTicks = 1 << 61

// ParseInit parses an initialization segment: a moov box, with or without ftyp and other boxes beside it. It returns
// ErrMalformed, or ErrUnsupported when it is encrypted or has no track that can be packaged or be left out knowingly.
func ParseInit(raw []byte) (*Init, error) {
	list, err := splitBoxes(raw, 0)
	if err != nil {
		return nil, err
	}
	var ftyp, live box
	for _, b := range list {
		switch {
		case b.name == "ftyp":
			ftyp, live = b, box{}
		case b.is(uuidManifest):
			live = b
		case b.name == "moov":
			return parseMoov(ftyp, live, b)
		}
	}
	return nil, fmt.Errorf("%w: no moov box", ErrMalformed)
}

// parseMoov parses a moov and what stood before it: ftyp and LiveServerManifest boxes, either of which may be none.
func parseMoov(ftyp, live, moov box) (*Init, error) {
	in := &Init{Raw: bytes.Join([][]byte{ftyp.raw, live.raw, moov.raw}, nil), Smooth: live.raw != nil, timing: map[uint32]timing{},
		unused: map[uint32]bool{}}
	declared := parseLiveManifest(live)
	list, err := moov.children(0)
	if err != nil {
		return nil, err
	}
	mvhd, err := need[*mp4.MvhdBox](moov, list, "mvhd")
	if err != nil {
		return nil, err
	}
	trex, err := parseMvex(list)
	if err != nil {
		return nil, err
	}
	count, known := map[media.Kind]int{}, true
	for _, b := range list {
		if b.name != "trak" {
			continue
		}
		t, tm, err := parseTrak(b, mvhd.Timescale, declared)
		var skip ignored
		switch {
		case errors.As(err, &skip):
			in.Ignored = append(in.Ignored, fmt.Sprintf("track %d: %s", skip.source, skip.why))
			in.unused[skip.source] = true
			known = known && skip.known
			continue
		case err != nil:
			return nil, fmt.Errorf("moov: %w", err)
		}
		if _, twice := in.timing[t.Source]; twice || in.unused[t.Source] || t.Source == 0 {
			return nil, b.malformed(fmt.Sprintf("track_ID %d is not unique", t.Source))
		}
		t.Index = count[t.Kind]
		count[t.Kind]++
		tm.trex = trex[t.Source]
		in.timing[t.Source] = tm
		in.Tracks = append(in.Tracks, t)
	}
	if len(in.Tracks) == 0 && (!known || len(in.Ignored) == 0) {
		return nil, fmt.Errorf("%w: no track to package (%s)", ErrUnsupported, strings.Join(in.Ignored, "; "))
	}
	return in, nil
}

func (in *Init) track(id uint32) *Track {
	for _, t := range in.Tracks {
		if t.Source == id {
			return t
		}
	}
	return nil
}

// Alone reports whether a track has the header for itself: metadata does where there is no other track, the others where there
// is none of video or audio.
func (in *Init) Alone(t *Track) bool {
	for _, o := range in.Tracks {
		if o != t && (t.Kind == media.Metadata || o.Kind != media.Metadata) {
			return false
		}
	}
	return true
}

func parseMvex(moov []box) (map[uint32]mp4.TrexBox, error) {
	out := map[uint32]mp4.TrexBox{}
	mvex, ok := find(moov, "mvex")
	if !ok {
		return out, nil
	}
	list, err := mvex.children(0)
	if err != nil {
		return nil, err
	}
	for _, b := range list {
		if b.name != "trex" {
			continue
		}
		t, err := decode[*mp4.TrexBox](b)
		if err != nil {
			return nil, err
		}
		out[t.TrackID] = *t
	}
	return out, nil
}

// ignored says why a track is left out. It is not a fault of the upload.
type ignored struct {
	source uint32
	why    string
	known  bool // it is of a type that live streams have, of which nothing is made yet
}

func (i ignored) Error() string { return i.why }

// textHandlers are those of captions and subtitles (ISO/IEC 14496-12 12.5 and 12.6, QuickTime's, closed captions).
var textHandlers = map[string]bool{"text": true, "subt": true, "sbtl": true, "clcp": true}

// parseTrak returns the track and its timing. declared is what a LiveServerManifest says. The error is an ignored when the track is of no use here.
func parseTrak(trak box, movieScale uint32, declared liveManifest) (*Track, timing, error) {
	fail := func(err error) (*Track, timing, error) { return nil, timing{}, err }
	list, err := trak.children(0)
	if err != nil {
		return fail(err)
	}
	tkhd, err := need[*mp4.TkhdBox](trak, list, "tkhd")
	if err != nil {
		return fail(err)
	}
	mdia, ok := find(list, "mdia")
	if !ok {
		return fail(trak.malformed("without mdia"))
	}
	inside, err := mdia.children(0)
	if err != nil {
		return fail(err)
	}
	hdlr, err := need[*mp4.HdlrBox](mdia, inside, "hdlr")
	if err != nil {
		return fail(err)
	}
	t := &Track{Source: tkhd.TrackID}
	switch hdlr.HandlerType {
	case "vide":
		t.Kind = media.Video
	case "soun":
		t.Kind = media.Audio
	case "meta":
		t.Kind = media.Metadata
	default:
		return fail(ignored{tkhd.TrackID, fmt.Sprintf("handler %q", hdlr.HandlerType), textHandlers[hdlr.HandlerType]})
	}
	mdhd, err := need[*mp4.MdhdBox](mdia, inside, "mdhd")
	if err != nil {
		return fail(err)
	}
	if t.Timescale = mdhd.Timescale; t.Timescale == 0 {
		return fail(mdia.malformed("timescale 0"))
	}
	live := declared[tkhd.TrackID]
	h := header{timescale: t.Timescale, language: packLanguage(mdhd.GetLanguage())}
	if t.Language = languageTag(mdhd.GetLanguage()); t.Language == "" && Language(live.language) != "" {
		t.Language, h.language = Language(live.language), packLanguage(live.language)
		if h.language == undetermined {
			h.elng = t.Language
		}
	}
	if elng, ok := find(inside, "elng"); ok && len(elng.body) > 4 {
		if tag := cleanTag(string(bytes.TrimRight(elng.body[4:], "\x00"))); tag != "" {
			t.Language, h.elng = tag, tag
		}
	}
	t.Roles = kinds(list)
	e, err := sampleEntry(mdia, inside, t.Kind, live)
	var skip ignored
	if errors.As(err, &skip) {
		return fail(ignored{tkhd.TrackID, skip.why, skip.known})
	}
	if err != nil {
		return fail(err)
	}
	t.Bitrate, t.InBand, t.reorder = cmp.Or(e.bitrate, live.bitrate), e.inBand, e.reorder
	t.Config = h.config(e)
	tm, err := parseEdits(list, t.Timescale, movieScale)
	return t, tm, err
}

// parseEdits reads the edit list as live encoders write it: empty edits, which delay the track, then the media time at
// which it starts (ISO/IEC 14496-12 8.6.6; reference ingest.md section 10). The duration of the last edit and its rate
// have no meaning in a live stream.
func parseEdits(trak []box, scale, movieScale uint32) (timing, error) {
	edts, ok := find(trak, "edts")
	if !ok {
		return timing{}, nil
	}
	list, err := edts.children(0)
	if err != nil {
		return timing{}, err
	}
	b, ok := find(list, "elst")
	if !ok {
		return timing{}, nil
	}
	elst, err := decode[*mp4.ElstBox](b)
	if err != nil {
		return timing{}, err
	}
	var empty, start int64
	for _, e := range elst.Entries {
		if e.MediaTime >= 0 {
			start = e.MediaTime
			break
		}
		if e.SegmentDuration > maxTicks || empty > maxTicks {
			return timing{}, b.malformed("edit too long")
		}
		empty += int64(e.SegmentDuration)
	}
	delay := media.At(empty, movieScale).Round(scale)
	if start > maxTicks || delay > maxTicks {
		return timing{}, b.malformed("edit too long")
	}
	return timing{shift: delay - start}, nil
}

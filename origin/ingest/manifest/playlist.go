package manifest

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/grafov/m3u8"
)

// Playlist is an HLS playlist (RFC 8216): a media playlist when Multivariant is false.
type Playlist struct {
	Multivariant bool

	Segments      []Segment // of a media playlist
	MediaSequence uint64    // number of the first
	Ended         bool      // EXT-X-ENDLIST
	Encrypted     bool      // EXT-X-KEY with a method other than NONE

	Variants   []Variant // of a multivariant playlist
	Renditions []Rendition
}

// Segment is a media segment as listed.
type Segment struct {
	URI             string
	Map             string        // URI of the initialization section, "" when there is none
	ProgramDateTime time.Time     // zero when not given for this segment
	Duration        time.Duration // EXTINF
	Discontinuity   bool          // between the segment before and this one
	Ranged          bool          // it is a byte range of URI (EXT-X-BYTERANGE)
}

// Variant is an EXT-X-STREAM-INF.
type Variant struct {
	URI        string
	Bandwidth  int    // bit/s
	Codecs     string // RFC 6381, comma-separated
	AudioGroup string
	Name       string
}

// Rendition is an EXT-X-MEDIA.
type Rendition struct {
	URI      string // "" when it is in the variant's own segments
	Type     string // "AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"
	Group    string
	Name     string
	Language string // BCP 47
	Default  bool
	Manual   bool // AUTOSELECT=NO was said: it is also what an absent AUTOSELECT means, which many encoders do not know

	Characteristics []string // uniform type identifiers
}

// Bounds of what one playlist may list.
const (
	maxSegments = 50_000
	maxVariants = 500 // and as many renditions: the parser's cost is their product
)

// ParsePlaylist parses an uncompressed HLS playlist of either form. It returns ErrMalformed or ErrTooLarge.
func ParsePlaylist(b []byte) (out *Playlist, err error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: playlist of %d bytes", ErrTooLarge, len(b))
	}
	defer func() { // the parser panics on some orders of lines
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("%w: playlist: %v", ErrMalformed, p)
		}
	}()
	in, err := selectLines(b)
	if err != nil {
		return nil, err
	}
	if in.variants+in.renditions > 0 {
		return parseMultivariant(in)
	}
	return parseMedia(in)
}

// lines is a playlist reduced to what is used here.
type lines struct {
	text                           bytes.Buffer
	segments, variants, renditions int
	encrypted                      bool
}

// used are the tags that the parser is given. The others are left out: it drops or mistakes many of them, and a segment
// tag without a segment makes it panic.
var used = [...]string{
	"#EXTINF:", "#EXT-X-MEDIA-SEQUENCE:", "#EXT-X-TARGETDURATION:", "#EXT-X-MAP:", "#EXT-X-BYTERANGE:", "#EXT-X-PROGRAM-DATE-TIME:",
	"#EXT-X-DISCONTINUITY", "#EXT-X-ENDLIST", "#EXT-X-STREAM-INF:", "#EXT-X-MEDIA:",
}

func selectLines(b []byte) (*lines, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if !bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("#EXTM3U")) {
		return nil, fmt.Errorf("%w: playlist does not begin with #EXTM3U", ErrMalformed)
	}
	in := &lines{}
	in.text.WriteString("#EXTM3U\n")
	awaits := "" // the tag that the next URI belongs to
	for line := range bytes.Lines(b) {
		l := string(bytes.TrimSpace(line))
		switch {
		case l == "":
			continue
		case l[0] != '#':
			if awaits == "" {
				continue
			}
			awaits = ""
		case strings.HasPrefix(l, "#EXT-X-KEY:"):
			in.encrypted = in.encrypted || m3u8.DecodeAttributeList(l[11:])["METHOD"] != "NONE"
			continue
		case strings.HasPrefix(l, "#EXTINF:"), strings.HasPrefix(l, "#EXT-X-STREAM-INF:"):
			if awaits != "" {
				return nil, fmt.Errorf("%w: %s without URI", ErrMalformed, awaits)
			}
			awaits, _, _ = strings.Cut(l, ":")
			if awaits == "#EXTINF" {
				in.segments++
			} else {
				in.variants++
			}
		case strings.HasPrefix(l, "#EXT-X-MEDIA:"):
			in.renditions++
		default:
			if !isUsed(l) {
				continue
			}
		}
		in.text.WriteString(l)
		in.text.WriteByte('\n')
	}
	if awaits != "" {
		return nil, fmt.Errorf("%w: %s without URI", ErrMalformed, awaits)
	}
	// The parser would take an empty line after the last tag for a URI.
	in.text.Truncate(in.text.Len() - 1)
	if in.segments > maxSegments || in.variants > maxVariants || in.renditions > maxVariants {
		return nil, fmt.Errorf("%w: %d segments, %d variants, %d renditions", ErrTooLarge, in.segments, in.variants, in.renditions)
	}
	return in, nil
}

func isUsed(line string) bool {
	if strings.HasPrefix(line, "#EXT-X-DISCONTINUITY-SEQUENCE") {
		return false
	}
	for _, tag := range used {
		if strings.HasPrefix(line, tag) {
			return true
		}
	}
	return false
}

func parseMedia(in *lines) (*Playlist, error) {
	p, err := m3u8.NewMediaPlaylist(0, uint(in.segments+1))
	if err != nil {
		return nil, fmt.Errorf("%w: playlist: %w", ErrMalformed, err)
	}
	if err := p.DecodeFrom(&in.text, false); err != nil {
		return nil, fmt.Errorf("%w: playlist: %w", ErrMalformed, err)
	}
	out := &Playlist{MediaSequence: p.SeqNo, Ended: p.Closed, Encrypted: in.encrypted}
	init := ""
	for _, s := range p.Segments[:p.Count()] {
		if s.Map != nil {
			init = s.Map.URI
		}
		d := s.Duration * float64(time.Second)
		if !(d >= 0 && d < float64(24*time.Hour)) { // NaN, too
			return nil, fmt.Errorf("%w: segment of %g s", ErrMalformed, s.Duration)
		}
		out.Segments = append(out.Segments, Segment{
			URI: s.URI, Map: init, ProgramDateTime: s.ProgramDateTime,
			Duration: time.Duration(math.Round(d)), Discontinuity: s.Discontinuity, Ranged: s.Limit > 0,
		})
	}
	return out, nil
}

func parseMultivariant(in *lines) (*Playlist, error) {
	taps := &renditions{}
	p, ok := m3u8.NewMasterPlaylist().WithCustomDecoders([]m3u8.CustomDecoder{taps}).(*m3u8.MasterPlaylist)
	if !ok {
		return nil, fmt.Errorf("%w: playlist", ErrMalformed)
	}
	if err := p.DecodeFrom(&in.text, false); err != nil {
		return nil, fmt.Errorf("%w: playlist: %w", ErrMalformed, err)
	}
	out := &Playlist{Multivariant: true, Renditions: taps.list}
	for _, v := range p.Variants {
		if v.URI == "" {
			return nil, fmt.Errorf("%w: variant without URI", ErrMalformed)
		}
		out.Variants = append(out.Variants, Variant{
			URI: v.URI, Bandwidth: int(v.Bandwidth), Codecs: v.Codecs, AudioGroup: v.Audio, Name: v.Name,
		})
	}
	return out, nil
}

// renditions sees every EXT-X-MEDIA line once and in order; the parser itself keeps only those of groups that a variant
// names.
type renditions struct{ list []Rendition }

func (r *renditions) TagName() string  { return "#EXT-X-MEDIA:" }
func (r *renditions) SegmentTag() bool { return false }

func (r *renditions) Decode(line string) (m3u8.CustomTag, error) {
	a := m3u8.DecodeAttributeList(strings.TrimPrefix(line, r.TagName()))
	r.list = append(r.list, Rendition{
		URI: a["URI"], Type: a["TYPE"], Group: a["GROUP-ID"], Name: a["NAME"], Language: a["LANGUAGE"], Default: a["DEFAULT"] == "YES",
		Manual: a["AUTOSELECT"] == "NO", Characteristics: characteristics(a["CHARACTERISTICS"]),
	})
	return noTag{}, nil
}

// maxCharacteristics of one rendition are read.
const maxCharacteristics = 16

func characteristics(list string) []string {
	if list == "" {
		return nil
	}
	all := strings.SplitN(list, ",", maxCharacteristics+1)
	return all[:min(len(all), maxCharacteristics)]
}

// noTag stands for a line that renditions has taken.
type noTag struct{}

func (noTag) TagName() string       { return "#EXT-X-MEDIA:" }
func (noTag) Encode() *bytes.Buffer { return nil }
func (noTag) String() string        { return "" }

package smooth

import (
	"bytes"
	"encoding/xml"
	"strconv"

	"headwater/packager"
	"headwater/packager/media"
)

// aacTag is the WAVE format tag of raw AAC: QualityLevel@AudioTag.
const aacTag = 255

// Render writes the SmoothStreamingMedia document of v ([MS-SSTR] 2.2.2). Errors: packager.ErrNoMedia;
// packager.ErrNoTrack when r is no manifest or the window holds tracks but none that the format can carry.
func (Format) Render(v packager.View, r packager.Resource) ([]byte, error) {
	if r.Kind != packager.Manifest {
		return nil, packager.ErrNoTrack
	}
	ss, err := streams(v.Window, v.LookAhead)
	if err != nil {
		return nil, err
	}
	size := 1024
	for _, s := range ss {
		size += 512*len(s.levels) + 20*len(s.chunks)
	}
	b := append(make([]byte, 0, size), xml.Header...)
	b = append(b, "<SmoothStreamingMedia"...)
	b = intAttr(b, "MajorVersion", 2)
	b = intAttr(b, "MinorVersion", 0)
	b = intAttr(b, "TimeScale", TimeScale)
	if v.Live {
		b = intAttr(b, "Duration", 0)
		b = attr(b, "IsLive", "TRUE")
		b = intAttr(b, "LookAheadFragmentCount", int64(v.LookAhead))
		if !v.Fixed && v.Depth > 0 && !young(v, &ss[0]) {
			b = intAttr(b, "DVRWindowLength", Time(int64(v.Depth), 1e9))
		}
		b = attr(b, "CanSeek", "TRUE")
		b = attr(b, "CanPause", "TRUE")
	} else {
		b = intAttr(b, "Duration", length(ss))
	}
	b = append(b, ">\n"...)
	for i := range ss {
		b = appendStream(b, v, r.Manifest, &ss[i])
	}
	return append(b, "</SmoothStreamingMedia>\n"...), nil
}

// young reports whether s does not fill the window yet, or ends before a gap. dash.js takes the length of such a list for
// that of the window: half of it for the delay, which leaves a short one no buffer, and what a gap pushes out for gone.
func young(v packager.View, s *stream) bool {
	span := s.end() - s.chunks[0].start
	return span+Time(int64(v.LookAhead+1)*int64(v.TargetDuration), 1e9) < Time(int64(v.Depth), 1e9)
}

// length returns the time from the first start to the last end of all streams.
func length(ss []stream) int64 {
	first, last := ss[0].chunks[0].start, int64(0)
	for i := range ss {
		first, last = min(first, ss[i].chunks[0].start), max(last, ss[i].end())
	}
	return last - first
}

func appendStream(b []byte, v packager.View, manifest string, s *stream) []byte {
	kind := s.levels[0].track.Kind
	url := "QualityLevels({bitrate})/Fragments(" + s.name + "={start time})"
	if v.Base != "" {
		url = v.Base + manifest + ".ism/" + url
	}
	if v.SegmentQuery != "" {
		url += "?" + v.SegmentQuery
	}
	b = append(b, "<StreamIndex"...)
	b = attr(b, "Type", kind.String())
	b = attr(b, "Name", s.name)
	if lang := s.levels[0].track.Language; lang != "" {
		b = attr(b, "Language", lang)
	}
	b = intAttr(b, "TimeScale", TimeScale)
	b = intAttr(b, "Chunks", int64(len(s.chunks)))
	b = intAttr(b, "QualityLevels", int64(len(s.levels)))
	b = attr(b, "Url", url)
	if kind == media.Video {
		var w, h int
		for _, l := range s.levels {
			c := l.config()
			w, h = max(w, c.Width), max(h, c.Height)
		}
		for _, name := range [2]string{"Max", "Display"} {
			b = intAttr(b, name+"Width", int64(w))
			b = intAttr(b, name+"Height", int64(h))
		}
	}
	b = append(b, ">\n"...)
	for i := range s.levels {
		b = appendLevel(b, i, &s.levels[i])
	}
	return append(appendChunks(b, s.chunks), "</StreamIndex>\n"...)
}

func appendLevel(b []byte, index int, l *level) []byte {
	c := l.config()
	b = append(b, "<QualityLevel"...)
	b = intAttr(b, "Index", int64(index))
	b = intAttr(b, "Bitrate", int64(l.track.Bitrate))
	b = attr(b, "FourCC", l.fourCC)
	if l.track.Kind == media.Video {
		b = intAttr(b, "MaxWidth", int64(c.Width))
		b = intAttr(b, "MaxHeight", int64(c.Height))
		b = intAttr(b, "NALUnitLengthField", 4)
	} else {
		b = intAttr(b, "SamplingRate", int64(l.rate))
		b = intAttr(b, "Channels", int64(c.Channels))
		b = intAttr(b, "BitsPerSample", 16)
		b = intAttr(b, "PacketSize", int64(2*c.Channels))
		b = intAttr(b, "AudioTag", aacTag)
	}
	b = attr(b, "CodecPrivateData", l.private)
	return append(b, "/>\n"...)
}

func (l *level) config() *media.Config { return l.segments[len(l.segments)-1].Config }

// appendChunks appends c elements: t on the first and behind missing media, d on each.
func appendChunks(b []byte, chunks []chunk) []byte {
	for i, c := range chunks {
		b = append(b, "<c"...)
		if i == 0 || chunks[i-1].gap() {
			b = intAttr(b, "t", c.start)
		}
		b = intAttr(b, "d", c.duration)
		b = append(b, "/>\n"...)
	}
	return b
}

func intAttr(b []byte, name string, n int64) []byte {
	b = append(append(append(b, ' '), name...), '=', '"')
	return append(strconv.AppendInt(b, n, 10), '"')
}

func attr(b []byte, name, value string) []byte {
	w := bytes.NewBuffer(append(append(append(b, ' '), name...), '=', '"'))
	// Writing to a bytes.Buffer does not fail.
	_ = xml.EscapeText(w, []byte(value))
	return append(w.Bytes(), '"')
}

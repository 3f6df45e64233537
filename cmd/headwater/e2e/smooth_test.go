//go:build e2e

package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/aac"
	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"
)

// smoothManifest is what a Smooth client reads of a manifest.
type smoothManifest struct {
	IsLive    string `xml:",attr"`
	TimeScale int64  `xml:",attr"`
	Streams   []struct {
		Type      string `xml:",attr"`
		TimeScale int64  `xml:",attr"`
		URL       string `xml:"Url,attr"`
		Levels    []struct {
			Bitrate          int    `xml:",attr"`
			CodecPrivateData string `xml:",attr"`
			SamplingRate     int    `xml:",attr"`
		} `xml:"QualityLevel"`
		Chunks []struct {
			T *int64 `xml:"t,attr"`
			D int64  `xml:"d,attr"`
			R int    `xml:"r,attr"`
		} `xml:"c"`
	} `xml:"StreamIndex"`
}

// smoothReader collects the fragments of a live Smooth output, as no ffmpeg demuxer does, into a file per stream.
type smoothReader struct {
	t    testing.TB
	base string                   // manifest's URL without "Manifest"
	seen map[string]int64         // stream type: end of what has been fetched, in ticks
	data map[string]*bytes.Buffer // stream type: the file
}

// readSmooth follows a live Smooth output for the given time and decodes it.
func readSmooth(t testing.TB, manifest string, length time.Duration) capture {
	t.Helper()
	r := &smoothReader{t, strings.TrimSuffix(manifest, "Manifest"), map[string]int64{}, map[string]*bytes.Buffer{}}
	for deadline := time.Now().Add(length); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		r.poll()
	}
	dir, files := t.TempDir(), []string{}
	for _, kind := range []string{"video", "audio"} {
		require.Contains(t, r.data, kind)
		file := filepath.Join(dir, kind+".mp4")
		require.NoError(t, os.WriteFile(file, r.data[kind].Bytes(), 0o600))
		files = append(files, file)
	}
	return measureFiles(t, "0:v:0", "1:a:0", files...)
}

// poll reads the manifest and fetches what is new, of the best quality.
func (r *smoothReader) poll() {
	r.t.Helper()
	status, body := fetch(r.base + "Manifest")
	require.Equal(r.t, 200, status, "%s", body)
	var m smoothManifest
	require.NoError(r.t, xml.Unmarshal(body, &m))
	require.Equal(r.t, "TRUE", m.IsLive)
	for _, s := range m.Streams {
		best := s.Levels[0]
		for _, l := range s.Levels {
			if l.Bitrate > best.Bitrate {
				best = l
			}
		}
		scale := s.TimeScale
		if scale == 0 {
			scale = m.TimeScale
		}
		var at int64
		for _, c := range s.Chunks {
			if c.T != nil {
				at = *c.T
			}
			for range max(1, c.R) {
				if at >= r.seen[s.Type] {
					url := strings.NewReplacer("{bitrate}", strconv.Itoa(best.Bitrate), "{start time}", strconv.FormatInt(at, 10)).Replace(s.URL)
					status, fragment := fetch(r.base + url)
					require.Equal(r.t, 200, status, "%s: %s", url, tail(string(fragment), 300))
					if r.data[s.Type] == nil {
						r.data[s.Type] = bytes.NewBuffer(r.header(s.Type, scale, best.CodecPrivateData, fragment))
					}
					r.data[s.Type].Write(timed(r.t, fragment, at))
					r.seen[s.Type] = at + 1
				}
				at += c.D
			}
		}
	}
}

// header makes the init segment that a Smooth client builds from the manifest.
func (r *smoothReader) header(kind string, scale int64, private string, fragment []byte) []byte {
	r.t.Helper()
	f, err := mp4.DecodeFile(bytes.NewReader(fragment))
	require.NoError(r.t, err)
	traf := f.Segments[0].Fragments[0].Moof.Traf
	config, err := hex.DecodeString(private)
	require.NoError(r.t, err)
	init := mp4.CreateEmptyInit()
	trak := init.AddEmptyTrack(uint32(scale), kind, "und")
	if kind == "video" {
		var sps, pps [][]byte
		for nal := range bytes.SplitSeq(config, []byte{0, 0, 0, 1}) {
			if len(nal) > 0 && nal[0]&31 == 7 {
				sps = append(sps, nal)
			} else if len(nal) > 0 && nal[0]&31 == 8 {
				pps = append(pps, nal)
			}
		}
		require.NoError(r.t, trak.SetAVCDescriptor("avc1", sps, pps, true))
	} else {
		asc, err := aac.DecodeAudioSpecificConfig(bytes.NewReader(config))
		require.NoError(r.t, err)
		require.NoError(r.t, trak.SetAACDescriptor(asc.ObjectType, asc.SamplingFrequency))
	}
	trak.Tkhd.TrackID = traf.Tfhd.TrackID
	init.Moov.Mvex.Trex.TrackID = traf.Tfhd.TrackID
	var b bytes.Buffer
	require.NoError(r.t, init.Encode(&b))
	return b.Bytes()
}

// timed puts a tfdt into a fragment that has none, as a Smooth client does: it holds the time of the manifest.
func timed(t testing.TB, fragment []byte, at int64) []byte {
	t.Helper()
	f, err := mp4.DecodeFile(bytes.NewReader(fragment))
	require.NoError(t, err)
	require.Len(t, f.Segments[0].Fragments, 1)
	traf := f.Segments[0].Fragments[0].Moof.Traf
	if traf.Tfdt != nil {
		return fragment
	}
	const size = 20
	tfhd := bytes.Index(fragment, []byte("tfhd")) - 4
	cut := tfhd + int(binary.BigEndian.Uint32(fragment[tfhd:]))
	out := append([]byte{}, fragment[:cut]...)
	out = append(out, 0, 0, 0, size, 't', 'f', 'd', 't', 1, 0, 0, 0)
	out = append(binary.BigEndian.AppendUint64(out, uint64(at)), fragment[cut:]...)
	grow := func(name string, offset int) {
		field := out[bytes.Index(out, []byte(name))+offset:]
		binary.BigEndian.PutUint32(field, binary.BigEndian.Uint32(field)+size)
	}
	grow("moof", -4)
	grow("traf", -4)
	grow("trun", 12) // data_offset, from the beginning of the moof
	return out
}

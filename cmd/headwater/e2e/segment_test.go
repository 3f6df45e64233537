//go:build e2e || bench

package e2e

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/stretchr/testify/require"
)

// pushed is one CMAF segment of 2 s whose times can be set, as an epoch-locked encoder sends it.
type pushed struct {
	init, media []byte
	timescale   int64
}

// makeSegment encodes one.
func makeSegment(t testing.TB) pushed {
	t.Helper()
	file := filepath.Join(t.TempDir(), "segment.mp4")
	args := append(strings.Fields("-nostdin -hide_banner -loglevel error"), source(false)...)
	args = append(args, strings.Fields("-map 0:v "+videoEncoder+" -t 2 -video_track_timescale 90000"+
		" -f mp4 -movflags cmaf+empty_moov+separate_moof+default_base_moof+frag_keyframe "+file)...)
	out, err := exec.Command("ffmpeg", args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return split(t, file)
}

// split takes a CMAF file of one segment apart.
func split(t testing.TB, file string) pushed {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	first := bytes.Index(b, []byte("moof")) - 4
	end := bytes.LastIndex(b, []byte("mfra")) - 4
	require.Positive(t, first)
	require.Greater(t, end, first)
	return pushed{init: b[:first], media: b[first:end], timescale: 90000}
}

// at returns the segment with decode times that begin at a number of seconds since the epoch.
func (p pushed) at(seconds int64) []byte {
	b := bytes.Clone(p.media)
	for i := 0; ; {
		n := bytes.Index(b[i:], []byte("tfdt"))
		if n < 0 {
			return b
		}
		i += n + 4
		was := binary.BigEndian.Uint64(b[i+4:])
		binary.BigEndian.PutUint64(b[i+4:], was+uint64(seconds*p.timescale))
	}
}

// listing is a media playlist: its first number, and the URL of each segment by number.
type listing struct {
	first    uint64
	segments map[uint64]string
}

// list reads the first media playlist of a multivariant playlist; ok is false when there is none at present.
func list(t testing.TB, multivariant string) (l listing, ok bool) {
	t.Helper()
	status, body := fetch(multivariant)
	if status != 200 {
		return l, false
	}
	parsed, _, err := m3u8.DecodeFrom(bytes.NewReader(body), true)
	require.NoError(t, err)
	media := playlistURLs(t, multivariant, parsed.(*m3u8.MasterPlaylist))[0]
	if status, body = fetch(media); status != 200 {
		return l, false
	}
	parsed, _, err = m3u8.DecodeFrom(bytes.NewReader(body), true)
	require.NoError(t, err)
	m := parsed.(*m3u8.MediaPlaylist)
	l = listing{m.SeqNo, map[uint64]string{}}
	for i, s := range m.GetAllSegments() {
		l.segments[m.SeqNo+uint64(i)] = resolve(t, media, s.URI)
	}
	return l, true
}

// mediaPlaylists returns the URLs of the media playlists that the multivariant playlist at a URL names.
func mediaPlaylists(t testing.TB, multivariant string) []string {
	t.Helper()
	status, body := fetch(multivariant)
	require.Equal(t, 200, status, "%s", body)
	parsed, _, err := m3u8.DecodeFrom(bytes.NewReader(body), true)
	require.NoError(t, err)
	return playlistURLs(t, multivariant, parsed.(*m3u8.MasterPlaylist))
}

// playlistURLs returns the URLs of the media playlists that a multivariant playlist names, once each.
func playlistURLs(t testing.TB, multivariant string, m *m3u8.MasterPlaylist) (all []string) {
	t.Helper()
	seen := map[string]bool{"": true}
	add := func(uri string) {
		if seen[uri] {
			return
		}
		seen[uri] = true
		all = append(all, resolve(t, multivariant, uri))
	}
	for _, v := range m.Variants {
		add(v.URI)
		for _, a := range v.Alternatives {
			add(a.URI)
		}
	}
	require.NotEmpty(t, all)
	return all
}

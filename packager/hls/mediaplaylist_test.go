package hls

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"headwater/packager"
	"headwater/packager/media"
)

func TestMediaPlaylistOfASlidingWindow(t *testing.T) {
	text, p := renderMedia(t, CMAF, live(video("v1", 720, 3_000_000, 3)), "v1")
	golden(t, "media-cmaf.m3u8", text)
	require.Equal(t, uint64(firstNumber), p.SeqNo)
	require.False(t, p.Closed)
	require.NotContains(t, text, "PLAYLIST-TYPE")
	require.Equal(t, time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), p.Segments[0].ProgramDateTime)
}

func TestMediaPlaylistOfMuxedTSFollowsTheVideo(t *testing.T) {
	v := ladder()
	v.Base, v.SegmentQuery = "../../../../", "m=17"
	text, _ := renderMedia(t, TS, v, "v720", "a1")
	golden(t, "media-ts.m3u8", text)
	require.NotContains(t, text, "EXT-X-MAP")
	require.Contains(t, text, "#EXTINF:2.000000,\n../../../../segment_v720.a1_897804000.ts?m=17\n")
}

func TestMediaPlaylistShowsGapsDiscontinuitiesAndNewConfigurations(t *testing.T) {
	w := video("v1", 720, 3_000_000, 9)
	other := *w.Segments[0].Config
	other.ID = "99999999"
	s := w.Segments
	s = append(s[:2], s[5:]...) // 2, 3 and 4 are missing
	s[4].Part, s[5].Part = 1, 1
	s[5].Config = &other
	w.Segments = s
	v := live(w)
	v.Live, v.Base, v.SegmentQuery = false, "../", "m=1"
	text, p := renderMedia(t, CMAF, v, "v1")
	golden(t, "media-gap.m3u8", text)
	require.True(t, p.Closed)
	require.Equal(t, m3u8.VOD, p.MediaType)
	require.Equal(t, uint(9), p.Count())
	require.True(t, p.Segments[2].Gap && p.Segments[3].Gap && p.Segments[4].Gap)
	require.True(t, p.Segments[7].Discontinuity)
}

func TestMediaPlaylistOfAnEarlierPartStillGrowingIsAnEvent(t *testing.T) {
	v := live(video("v1", 720, 3_000_000, 3))
	v.Fixed = true
	text, p := renderMedia(t, CMAF, v, "v1")
	require.Equal(t, m3u8.EVENT, p.MediaType)
	require.False(t, p.Closed)
	require.NotContains(t, text, "ALLOW-CACHE")
}

func TestMediaPlaylistNeverBeginsWithADiscontinuity(t *testing.T) {
	w := video("v1", 720, 3_000_000, 3)
	for i := range w.Segments {
		w.Segments[i].Part = 7
	}
	text, p := renderMedia(t, CMAF, live(w), "v1")
	require.Equal(t, uint64(7), p.DiscontinuitySeq)
	require.NotContains(t, text, "#EXT-X-DISCONTINUITY\n")
}

func TestMediaPlaylistCountsPartsThatATrackMissed(t *testing.T) {
	w := video("v1", 720, 3_000_000, 2)
	w.Segments[1].Part = 3
	text, _ := renderMedia(t, CMAF, live(w), "v1")
	require.Equal(t, 3, strings.Count(text, "#EXT-X-DISCONTINUITY\n"))
}

func TestMediaPlaylistRoundsTheTargetDurationUp(t *testing.T) {
	for in, want := range map[time.Duration]uint{
		2 * time.Second: 2, 2005 * time.Millisecond: 3, 1920 * time.Millisecond: 2, 0: 1,
	} {
		v := live(video("v1", 720, 3_000_000, 3))
		v.TargetDuration = in
		b, err := CMAF.Render(v, child("index", "v1"))
		require.NoError(t, err)
		require.Contains(t, string(b), fmt.Sprintf("\n#EXT-X-TARGETDURATION:%d\n", want), in)
	}
}

func TestMediaPlaylistRefusesTracksItCannotShow(t *testing.T) {
	v := live(video("v1", 720, 3_000_000, 3), video("v2", 720, 1_000_000, 0), audio("a1", "mp4a.40.2", "", 2, 128_000, 3))
	tests := []struct {
		name   string
		format Format
		view   packager.View
		tracks []string
		want   error
	}{
		{"an unknown track", CMAF, v, []string{"v9"}, packager.ErrNoTrack},
		{"an unknown audio track beside a video", TS, v, []string{"v1", "a9"}, packager.ErrNoTrack},
		{"audio before video", TS, v, []string{"a1", "v1"}, packager.ErrNoTrack},
		{"two tracks in CMAF", CMAF, v, []string{"v1", "a1"}, packager.ErrNoTrack},
		{"no track", CMAF, v, nil, packager.ErrNoTrack},
		{"a track without media", CMAF, v, []string{"v2"}, packager.ErrNoMedia},
		{"a window without tracks", CMAF, live(), []string{"v1"}, packager.ErrNoMedia},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.format.Render(tt.view, child("index", tt.tracks...))
			require.ErrorIs(t, err, tt.want)
		})
	}
}

func TestAnAbsurdJumpOfNumbersLosesOlderMediaInsteadOfListingMillionsOfGaps(t *testing.T) {
	w := video("v1", 720, 3_000_000, 4)
	for i := range w.Segments[2:] {
		w.Segments[2+i].Number += maxGapEntries + 1
	}
	_, p := renderMedia(t, CMAF, live(w), "v1")
	require.Equal(t, uint64(w.Segments[2].Number), p.SeqNo)
	require.Equal(t, uint(2), p.Count())

	for i := range w.Segments[2:] {
		w.Segments[2+i].Number--
	}
	b, err := CMAF.Render(live(w), child("index", "v1"))
	require.NoError(t, err)
	require.Equal(t, maxGapEntries, strings.Count(string(b), "#EXT-X-GAP\n"))
}

func TestGapsAcrossPartsAreAsLongAsASegment(t *testing.T) {
	w := video("v1", 720, 3_000_000, 6)
	w.Segments = append(w.Segments[:1], w.Segments[4:]...)
	for i := range w.Segments[1:] {
		w.Segments[1+i].Part = 1
		w.Segments[1+i].Start -= 100 * 90000 // the new clock is behind
	}
	_, p := renderMedia(t, CMAF, live(w), "v1")
	require.Equal(t, 2.0, p.Segments[1].Duration)
	require.True(t, p.Segments[1].Gap)
	require.True(t, p.Segments[4].Discontinuity)
}

// timeline draws a track's life: contiguous segments of varying length, gaps, restarts.
func timeline(rt *rapid.T) packager.TrackWindow {
	scale := rapid.SampledFrom([]uint32{90000, 48000, 44100, 10_000_000, 30000, 12800}).Draw(rt, "scale")
	w := packager.TrackWindow{Track: media.Track{ID: "t", Kind: media.Video, Timescale: scale, Bitrate: 1}}
	s := media.Segment{Number: firstNumber, Start: 1795608000 * int64(scale), Config: &media.Config{ID: "aa", Codec: "avc1.64001f"}}
	for range rapid.IntRange(2, 60).Draw(rt, "segments") {
		s.Duration = int64(scale)*rapid.Int64Range(1500, 2000).Draw(rt, "milliseconds")/1000 + 1
		w.Segments = append(w.Segments, s)
		s.Start += s.Duration
		s.Number++
		switch rapid.IntRange(0, 9).Draw(rt, "event") {
		case 0: // a gap
			k := rapid.Int64Range(1, 5).Draw(rt, "missing")
			s.Number += k
			s.Start += k * 2 * int64(scale)
		case 1: // an encoder restart
			s.Part++
			s.Start += rapid.Int64Range(-10, 10).Draw(rt, "shift") * int64(scale)
		}
	}
	return w
}

func TestPropertyPlaylistsOfASlidingWindowAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := timeline(rt)
		all := w.Segments
		width := rapid.IntRange(1, len(all)).Draw(rt, "width")
		known := map[uint64]*m3u8.MediaSegment{}
		discontinuities := map[uint64]uint64{}
		last := uint64(0)
		for from := 0; from+width <= len(all); from++ {
			w.Segments = all[from : from+width]
			v := live(w)
			v.TargetDuration = 3 * time.Second
			_, p := renderMedia(rt, CMAF, v, "t")
			require.Greater(rt, p.SeqNo, last, "the sequence goes forward")
			last = p.SeqNo
			require.Equal(rt, uint64(w.Segments[0].Number), p.SeqNo)
			require.Equal(rt, uint64(w.Last().Number), p.SeqNo+uint64(p.Count())-1, "gap entries fill the missing numbers")
			ds := p.DiscontinuitySeq
			for i, e := range p.Segments[:p.Count()] {
				number := p.SeqNo + uint64(i)
				require.Equal(rt, packager.SegmentName(int64(number), ".mp4", "t"), e.URI)
				require.LessOrEqual(rt, math.Round(e.Duration), 3.0)
				if e.Discontinuity {
					ds++
				}
				if old, ok := known[number]; ok {
					require.Equal(rt, old.Duration, e.Duration, "a listed entry does not change")
					require.Equal(rt, old.ProgramDateTime, e.ProgramDateTime)
					require.Equal(rt, old.Gap, e.Gap)
					require.Equal(rt, discontinuities[number], ds, "a segment keeps its discontinuity sequence number")
				}
				known[number], discontinuities[number] = e, ds
			}
		}
	})
}

func TestPropertyDurationsSumToTheTimelineOverAnyRun(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := timeline(rt)
		v := live(w)
		v.TargetDuration = 3 * time.Second
		_, p := renderMedia(rt, CMAF, v, "t")
		entries := p.Segments[:p.Count()]
		for i := range w.Segments {
			sum := 0.0
			for j := i; j < len(w.Segments) && w.Segments[j].Part == w.Segments[i].Part; j++ {
				if j > i { // the gap entries before segment j
					for n := w.Segments[j-1].Number + 1; n < w.Segments[j].Number; n++ {
						sum += entries[n-firstNumber].Duration
					}
				}
				sum += entries[w.Segments[j].Number-firstNumber].Duration
				want := float64(w.Segments[j].End()-w.Segments[i].Start) / float64(w.Timescale)
				require.InDelta(rt, want, sum, 2e-6)
			}
		}
	})
}

func TestDurationsOfADaySumToWithinAMicrosecond(t *testing.T) {
	w := audio("a1", "mp4a.40.2", "en", 2, 128_000, 43_200)
	b, err := CMAF.Render(live(w), child("index", "a1"))
	require.NoError(t, err)
	sum := int64(0)
	for line := range strings.Lines(string(b)) {
		var whole, micros int64
		if n, _ := fmt.Sscanf(line, "#EXTINF:%d.%d,", &whole, &micros); n == 2 {
			sum += whole*1_000_000 + micros
		}
	}
	want := media.At(w.Last().End()-w.Segments[0].Start, 48000).Floor(1_000_000)
	require.InDelta(t, want, sum, 1)
}

func BenchmarkMediaPlaylistOfADay(b *testing.B) {
	v := live(video("v1", 720, 3_000_000, 43_200))
	b.ReportAllocs()
	for b.Loop() {
		out, err := CMAF.Render(v, child("index", "v1"))
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(out)))
	}
}

func BenchmarkMediaPlaylistOfAMinute(b *testing.B) {
	v := live(video("v1", 720, 3_000_000, 30))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := CMAF.Render(v, child("index", "v1")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMultivariant(b *testing.B) {
	v := ladder()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := CMAF.Render(v, manifest("index")); err != nil {
			b.Fatal(err)
		}
	}
}

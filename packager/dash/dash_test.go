package dash_test

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"headwater/packager"
	"headwater/packager/dash"
	"headwater/packager/media"
)

var update = flag.Bool("update", false, "write the golden files anew")

var index = packager.Resource{Kind: packager.Manifest, Manifest: "index"}

// views are the windows that the golden files show; the conformance test validates the same.
func views() map[string]packager.View {
	v := func(w *packager.Window, o packager.Options) packager.View {
		return packager.View{Window: w, Options: o}
	}
	two := func(ts ...packager.TrackWindow) *packager.Window {
		w := window(ts...)
		w.Parts = append(w.Parts, media.Part{Ordinal: 1, Start: media.At((epoch+14)*90000+7, 90000)})
		return w
	}
	restart := two(restarted(videoTrack("v1", 3e6, 8), 5, 360007, otherConfig),
		restarted(audioTrack("a1", "en", 8), 5, 192000, audioConfig))
	vod := two(restart.Tracks...)
	vod.Live = false
	fixed := window(videoTrack("v1", 3e6, 5))
	fixed.Fixed, fixed.Depth, fixed.Delay = true, 0, 20*time.Second
	shifted := v(window(videoTrack("v1", 3e6, 5)), packager.Options{})
	shifted.Base, shifted.SegmentQuery = "../../../../", "m=1700000000&x=1"
	return map[string]packager.View{
		"live": v(window(videoTrack("v1", 3e6, 30), videoTrack("v2", 1e6, 30), audioTrack("a1", "en", 30),
			audioTrack("a2", "de", 30)), packager.Options{TimeURL: "https://example.com/time"}),
		"time":         v(window(videoTrack("v1", 3e6, 5)), packager.Options{TimeTemplate: true}),
		"gap":          v(window(without(videoTrack("v1", 3e6, 8), 3), videoTrack("v2", 1e6, 8)), packager.Options{}),
		"restart":      v(restart, packager.Options{}),
		"vod":          v(vod, packager.Options{}),
		"fixed":        v(fixed, packager.Options{}),
		"time-shifted": shifted,
	}
}

func TestManifests(t *testing.T) {
	for name, v := range views() {
		t.Run(name, func(t *testing.T) {
			got, err := dash.Format{}.Render(v, index)
			require.NoError(t, err)
			// One element a line, for those who read the golden file.
			lines := strings.ReplaceAll(string(got), "><", ">\n<")
			file := filepath.Join("testdata", name+".mpd")
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(file, []byte(lines+"\n"), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), lines+"\n")
		})
	}
}

func TestNames(t *testing.T) {
	f := dash.Format{}
	for name, want := range map[string]packager.Resource{
		"index.mpd":                index,
		"segment_v1_900000000.mp4": {Kind: packager.MediaSegment, Tracks: []string{"v1"}, Number: 900000000},
		"segment_v1_t162000.mp4":   {Kind: packager.MediaSegment, Tracks: []string{"v1"}, ByTime: true, Time: 162000},
		"segment_v1_1a2b_init.mp4": {Kind: packager.Init, Tracks: []string{"v1"}, Config: "1a2b"},
	} {
		r, ok := f.Parse(name)
		require.True(t, ok, name)
		require.Equal(t, want, r)
	}
	for _, name := range []string{"", ".mpd", "a_b.mpd", "a/b.mpd", "index.m3u8", "segment_v1.a1_1.mp4", "segment_v1_1.ts"} {
		_, ok := f.Parse(name)
		require.False(t, ok, name)
	}
	require.Equal(t, "application/dash+xml", f.ContentType(index))
	require.Equal(t, "video/mp4", f.ContentType(packager.Resource{Kind: packager.MediaSegment}))
	require.Equal(t, "audio/mp4", f.ContentType(packager.Resource{Kind: packager.Init, Type: media.Audio}))
}

func TestAWindowWithoutMediaHasNoManifest(t *testing.T) {
	_, err := dash.Format{}.Render(packager.View{Window: &packager.Window{Live: true}}, index)
	require.ErrorIs(t, err, packager.ErrNoMedia)
	_, err = dash.Format{}.Render(packager.View{Window: window(videoTrack("v1", 1, 1))},
		packager.Resource{Kind: packager.Init})
	require.ErrorIs(t, err, packager.ErrNoTrack)
}

func TestAPeriodKeepsItsNameAndStartWhileTheWindowSlides(t *testing.T) {
	v := views()["restart"]
	before := parse(t, v)
	for i := range v.Tracks {
		v.Tracks[i].Segments = v.Tracks[i].Segments[6:]
	}
	after := parse(t, v)
	require.Len(t, before.Periods, 2)
	require.Len(t, after.Periods, 1)
	require.Equal(t, before.Periods[1].Id, after.Periods[0].Id)
	require.Equal(t, before.Periods[1].Start, after.Periods[0].Start)
	for i, set := range after.Periods[0].AdaptationSets {
		was := before.Periods[1].AdaptationSets[i]
		require.Equal(t, was.Id, set.Id)
		require.Equal(t, was.SegmentTemplate.PresentationTimeOffset, set.SegmentTemplate.PresentationTimeOffset)
	}
}

func TestTheStreamsEndMovesNothing(t *testing.T) {
	v := views()["restart"]
	live := parse(t, v)
	vod := parse(t, views()["vod"])
	require.Equal(t, "dynamic", live.GetType())
	require.Equal(t, "static", vod.GetType())
	require.Equal(t, live.AvailabilityStartTime, vod.AvailabilityStartTime)
	require.Nil(t, live.MediaPresentationDuration)
	require.NotNil(t, vod.MediaPresentationDuration)
	for i, p := range live.Periods {
		require.Equal(t, p.Id, vod.Periods[i].Id)
		require.Equal(t, p.Start, vod.Periods[i].Start)
		require.Nil(t, p.Duration, "more may follow")
	}
	require.Nil(t, vod.Periods[0].Duration, "it lasts until the next")
	last := vod.Periods[1]
	require.Equal(t, *vod.MediaPresentationDuration, *last.Start+*last.Duration)
}

func TestPlayersWaitAsLongAsSegmentsUsuallyLast(t *testing.T) {
	w := window(videoTrack("v1", 3e6, 6))
	for i := range w.Tracks[0].Segments {
		s := &w.Tracks[0].Segments[i]
		s.Arrived = media.At(s.End(), 90000).Floor(1000)
	}
	w.TargetDuration = 20 * time.Second // of one that has long gone
	m := parse(t, packager.View{Window: w})
	require.Equal(t, mpd.Duration(time.Second), *m.MinimumUpdatePeriod)
	require.Equal(t, mpd.Duration(2*time.Second), *m.MinBufferTime)
	require.Equal(t, mpd.Duration(6*time.Second), *m.SuggestedPresentationDelay)
	require.Equal(t, mpd.Duration(20*time.Second), *m.MaxSegmentDuration)
	w.Depth = 10 * time.Second
	m = parse(t, packager.View{Window: w})
	require.Equal(t, mpd.Duration(5*time.Second), *m.SuggestedPresentationDelay, "half the window")
	w.Fixed, w.Depth = true, 0
	m = parse(t, packager.View{Window: w})
	require.Equal(t, mpd.Duration(6*time.Second), *m.SuggestedPresentationDelay, "nothing leaves it")
}

// What dash.js takes for the end of a finished presentation lies behind all media, by no more than 3 ms.
func TestAFinishedPresentationEndsBehindItsMedia(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "segments")
		w := window(videoTrack("v1", 3e6, n), audioTrack("a1", "en", n))
		shift := rapid.Int64Range(-24000, 24000).Draw(t, "audio is late by")
		for i := range w.Tracks[1].Segments {
			w.Tracks[1].Segments[i].Start += shift
		}
		w.Live = false
		m := parse(t, packager.View{Window: w})
		require.Len(t, m.Periods, 1)
		ends := time.Duration(*m.Periods[0].Start + *m.Periods[0].Duration)
		require.InDelta(t, time.Duration(*m.MediaPresentationDuration), ends, 1000, "ns: they are parsed as floats")
		end := media.FromDuration(0)
		for _, tr := range w.Tracks {
			if e := media.At(tr.Last().End(), tr.Timescale); end.Before(e) {
				end = e
			}
		}
		behind := time.Duration(*m.MediaPresentationDuration) - end.Duration()
		require.Greater(t, behind, time.Millisecond)
		require.LessOrEqual(t, behind, 3*time.Millisecond)
	})
}

func TestAFirstSmallSegmentDoesNotSetTheBandwidth(t *testing.T) {
	slate, declared := videoTrack("v1", 20_000, 5), videoTrack("v2", 3e6, 5)
	slate.Peak, declared.Peak = 2_500_000, 2_800_000
	set := parse(t, packager.View{Window: window(slate, declared)}).Periods[0].AdaptationSets[0]
	require.Equal(t, uint32(2_500_000), set.Representations[0].Bandwidth)
	require.Equal(t, uint32(3_000_000), set.Representations[1].Bandwidth)
}

func TestPlayersSwitchBetweenTracksOfOneSoundAlone(t *testing.T) {
	at := func(tr packager.TrackWindow, bitrate, channels int) packager.TrackWindow {
		tr.Bitrate = bitrate
		c := *audioConfig
		c.Channels = channels
		for i := range tr.Segments {
			tr.Segments[i].Config = &c
		}
		return tr
	}
	for name, c := range map[string]struct {
		audios []packager.TrackWindow
		sets   [][]string
	}{
		"a ladder": {[]packager.TrackWindow{at(audioTrack("hi", "en", 3), 128e3, 2), at(audioTrack("lo", "en", 3), 64e3, 2)},
			[][]string{{"hi", "lo"}}},
		"two programmes of one language": {[]packager.TrackWindow{at(audioTrack("described", "en", 3), 127e3, 2),
			at(audioTrack("main", "en", 3), 128e3, 2)}, [][]string{{"described"}, {"main"}}},
		"two programmes without a language": {[]packager.TrackWindow{at(audioTrack("a1", "", 3), 127e3, 2),
			at(audioTrack("a2", "", 3), 128e3, 2)}, [][]string{{"a1"}, {"a2"}}},
		"two layouts": {[]packager.TrackWindow{at(audioTrack("stereo", "en", 3), 128e3, 2), at(audioTrack("surround", "en", 3), 384e3, 6)},
			[][]string{{"stereo"}, {"surround"}}},
		"muxed under two renditions": {[]packager.TrackWindow{at(audioTrack("v1-a", "en", 3), 128e3, 2), at(audioTrack("v1-a2", "en", 3), 64e3, 2),
			at(audioTrack("v2-a", "en", 3), 128001, 2), at(audioTrack("v2-a2", "en", 3), 64001, 2)}, [][]string{{"v1-a", "v2-a"}, {"v1-a2", "v2-a2"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := window(append([]packager.TrackWindow{videoTrack("v1-v", 3e6, 3), videoTrack("v2-v", 1e6, 3)}, c.audios...)...)
			var got [][]string
			ids := map[uint32]bool{}
			for _, set := range parse(t, packager.View{Window: w}).Periods[0].AdaptationSets {
				ids[*set.Id] = true
				if set.ContentType != "audio" {
					continue
				}
				var tracks []string
				for _, r := range set.Representations {
					tracks = append(tracks, r.Id)
				}
				got = append(got, tracks)
			}
			require.Equal(t, c.sets, got)
			require.Len(t, ids, 1+len(c.sets))
		})
	}
}

// A player tells the sets of one language apart by their ids.
func TestASetKeepsItsIdWhenAnotherOfItsLanguageComes(t *testing.T) {
	main, described := audioTrack("main", "en", 3), audioTrack("described", "en", 3)
	before := parse(t, packager.View{Window: window(videoTrack("v1", 3e6, 3), main)}).Periods[0].AdaptationSets
	after := parse(t, packager.View{Window: window(videoTrack("v1", 3e6, 3), described, main)}).Periods[0].AdaptationSets
	require.Equal(t, "main", after[2].Representations[0].Id)
	require.Equal(t, before[1].Id, after[2].Id)
}

func TestAConfigThatChangesInsideAPartBeginsAPeriod(t *testing.T) {
	video := videoTrack("v1", 3e6, 6)
	for i := 4; i < 6; i++ {
		video.Segments[i].Config = otherConfig
	}
	m := parse(t, packager.View{Window: window(video, audioTrack("a1", "", 6))})
	require.Len(t, m.Periods, 2)
	require.Equal(t, "0", m.Periods[0].Id)
	require.Equal(t, "0-900000004", m.Periods[1].Id)
	for i, counts := range [2][]int{{4, 4}, {2, 2}} {
		for j, set := range m.Periods[i].AdaptationSets {
			require.Len(t, segments(set.SegmentTemplate), counts[j])
		}
	}
}

func TestNumbersBeyondTheSchemaAreAddressedByTime(t *testing.T) {
	video := videoTrack("v1", 3e6, 3)
	for i := range video.Segments {
		video.Segments[i].Number += 1 << 32
	}
	got, err := dash.Format{}.Render(packager.View{Window: window(video)}, index)
	require.NoError(t, err)
	require.Contains(t, string(got), "$Time$")
	require.NotContains(t, string(got), "startNumber")
}

// Every listed URL leads to its segment, times never go back, and the timeline spans what the segments span.
func TestTimelinesLeadToTheSegments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "segments")
		tracks := []packager.TrackWindow{videoTrack("v1", 3e6, n), videoTrack("v2", 1e6, n), audioTrack("a1", "en", n)}
		for i := range tracks {
			for range rapid.IntRange(0, 3).Draw(t, "missing") {
				if k := len(tracks[i].Segments); k > 1 {
					tracks[i] = without(tracks[i], rapid.IntRange(0, k-1).Draw(t, "which"))
				}
			}
		}
		v := packager.View{Window: window(tracks...)}
		v.TimeTemplate = rapid.Bool().Draw(t, "time")
		m := parse(t, v)
		require.Len(t, m.Periods, 1)
		listed := 0
		for _, set := range m.Periods[0].AdaptationSets {
			for _, rep := range set.Representations {
				listed++
				template := rep.SegmentTemplate
				if template.SegmentTimeline == nil {
					template = set.SegmentTemplate
				}
				track := find(tracks, rep.Id)
				got := segments(template)
				require.Len(t, got, len(track.Segments))
				for i, s := range track.Segments {
					require.Equal(t, s.Start, got[i].start)
					url := strings.ReplaceAll(got[i].url, "$RepresentationID$", rep.Id)
					r, ok := dash.Format{}.Parse(url)
					require.True(t, ok, url)
					require.Equal(t, []string{rep.Id}, r.Tracks)
					if r.ByTime {
						require.Equal(t, s.Start, r.Time)
					} else {
						require.Equal(t, s.Number, r.Number)
					}
				}
				require.Equal(t, track.Last().End(), got[len(got)-1].end)
				init, ok := dash.Format{}.Parse(strings.ReplaceAll(rep.SegmentTemplate.Initialization, "$RepresentationID$", rep.Id))
				require.True(t, ok)
				require.Equal(t, track.Segments[0].Config.ID, init.Config)
			}
		}
		require.Equal(t, len(tracks), listed)
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", ".mpd", "index.mpd", "segment_v1_1.mp4", "segment_v1_t1.mp4", "segment_v1_a_init.mp4",
		"segment_v1_" + strings.Repeat("9", 40) + ".mp4", strings.Repeat("_", 300) + ".mp4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		r, ok := dash.Format{}.Parse(name)
		switch {
		case !ok:
		case r.Kind == packager.Manifest:
			require.Equal(t, name, r.Manifest+".mpd")
		case r.Kind == packager.Init:
			require.Equal(t, name, packager.InitName(r.Tracks[0], r.Config))
		case !r.ByTime:
			require.Equal(t, name, packager.SegmentName(r.Number, ".mp4", r.Tracks...))
		}
	})
}

func BenchmarkRender(b *testing.B) {
	for name, n := range map[string]int{"30 segments": 30, "43200 segments": 43200} {
		b.Run(name, func(b *testing.B) {
			v := packager.View{Window: window(videoTrack("v1", 3e6, n), videoTrack("v2", 1e6, n), videoTrack("v3", 5e5, n),
				audioTrack("a1", "en", n))}
			b.ReportAllocs()
			for b.Loop() {
				out, err := dash.Format{}.Render(v, index)
				require.NoError(b, err)
				b.SetBytes(int64(len(out)))
			}
		})
	}
}

// entry is one segment as a player reads it from a SegmentTimeline.
type entry struct {
	start, end int64
	url        string
}

// segments expands the timeline of a template the way the standard says.
func segments(template *mpd.SegmentTemplateType) (out []entry) {
	next, number := int64(0), int64(0)
	if template.StartNumber != nil {
		number = int64(*template.StartNumber)
	}
	for _, s := range template.SegmentTimeline.S {
		if s.T != nil {
			next = int64(*s.T)
		}
		for range s.R + 1 {
			url := strings.ReplaceAll(template.Media, "$Number$", strconv.FormatInt(number, 10))
			url = strings.ReplaceAll(url, "$Time$", strconv.FormatInt(next, 10))
			out = append(out, entry{start: next, end: next + int64(s.D), url: url})
			next += int64(s.D)
			number++
		}
	}
	return out
}

func parse(t require.TestingT, v packager.View) *mpd.MPD {
	b, err := dash.Format{}.Render(v, index)
	require.NoError(t, err)
	m, err := mpd.MPDFromBytes(b)
	require.NoError(t, err)
	return m
}

func find(tracks []packager.TrackWindow, id string) *packager.TrackWindow {
	for i := range tracks {
		if tracks[i].ID == id {
			return &tracks[i]
		}
	}
	return nil
}

// ISO/IEC 23009-1 5.3.1.2.
func TestNoSegmentIsLongerThanTheMPDSays(t *testing.T) {
	w := window(videoTrack("v1", 3e6, 6), audioTrack("a1", "en", 6))
	said := func() time.Duration { return time.Duration(*parse(t, packager.View{Window: w}).MaxSegmentDuration) }
	require.Equal(t, 2100*time.Millisecond, said(), "the audio is now and then a frame longer")
	w.Tracks[0].Segments[5].Duration = 3320 * 90
	require.Equal(t, 3400*time.Millisecond, said())
	w.Tracks = w.Tracks[:1]
	w.Tracks[0].Segments = w.Tracks[0].Segments[:5]
	require.Equal(t, 2*time.Second, said())
}

func TestSoundsBesideTheDefaultAreAlternates(t *testing.T) {
	w := window(videoTrack("v1", 3e6, 6), audioTrack("a2", "en", 6), audioTrack("a1", "de", 6))
	roles := func() (all []string) {
		for _, s := range parse(t, packager.View{Window: w}).Periods[0].AdaptationSets {
			all = append(all, s.Roles[0].Value)
		}
		return all
	}
	require.Equal(t, []string{"main", "main", "main"}, roles(), "nothing says which is the default")
	w.Tracks[1].Default = true
	require.Equal(t, []string{"main", "main", "alternate"}, roles())
}

func TestASetDoesNotSayThatSegmentsBeginWithASAPWhereOneDoesNot(t *testing.T) {
	w := window(videoTrack("v1", 3e6, 6), videoTrack("v2", 1e6, 6), audioTrack("a1", "en", 6))
	said := func() (all []uint32) {
		for _, s := range parse(t, packager.View{Window: w}).Periods[0].AdaptationSets {
			all = append(all, s.StartWithSAP)
		}
		return all
	}
	require.Equal(t, []uint32{1, 1}, said())
	w.Tracks[1].Segments[3].Dependent = true
	require.Equal(t, []uint32{0, 1}, said())
}

func TestSetsHaveTheNamesAndRolesOfTheirTracks(t *testing.T) {
	w := window(videoTrack("v1", 3e6, 6), videoTrack("signed", 2e6, 6), audioTrack("a1", "en", 6), audioTrack("a2", "en", 6),
		audioTrack("a3", "fr", 6))
	w.Tracks[1].Roles = media.RoleSign
	w.Tracks[2].Name = "English & more"
	w.Tracks[3].Name, w.Tracks[3].Roles, w.Tracks[3].Bitrate = "Described", media.RoleDescription, 32_000
	w.Tracks[4].Roles = media.RoleDub
	var said []string
	for _, s := range parse(t, packager.View{Window: w}).Periods[0].AdaptationSets {
		line := s.Representations[0].Id
		for _, l := range s.Labels {
			line += " '" + l.Value + "'"
		}
		for _, r := range s.Roles {
			line += " " + r.Value
		}
		for _, a := range s.Accessibilities {
			line += " " + string(a.SchemeIdUri) + "=" + a.Value
		}
		said = append(said, line)
	}
	require.Equal(t, []string{"v1 main", "signed alternate sign", "a1 'English & more' main",
		"a2 'Described' alternate description urn:tva:metadata:cs:AudioPurposeCS:2007=1", "a3 main dub"}, said)
}

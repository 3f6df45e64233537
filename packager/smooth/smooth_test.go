package smooth_test

import (
	"encoding/xml"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"headwater/packager"
	"headwater/packager/media"
	"headwater/packager/smooth"
)

var update = flag.Bool("update", false, "write the golden files anew")

var index = packager.Resource{Kind: packager.Manifest, Manifest: "index"}

func TestManifests(t *testing.T) {
	avc, aac := avcConfig(t, "avc0", ppsHex), aacConfig(t)
	hevc := &media.Config{ID: "hevc", Codec: "hvc1.1.6.L93.B0"}
	o := packager.Options{LookAhead: 2}
	vod := window(videoTrack(avc, "v1", 3e6, 4), audioTrack(aac, "a1", "", 128e3, 4))
	vod.Live = false
	fixed := packager.View{Window: window(videoTrack(avc, "v1", 3e6, 5)), Options: o}
	fixed.Fixed, fixed.Base, fixed.SegmentQuery = true, "../../../../../", "m=1&n=2"
	for name, v := range map[string]packager.View{
		"live": {Window: window(videoTrack(avc, "v1", 3e6, 8), videoTrack(avc, "v2", 1e6, 8),
			videoTrack(hevc, "v3", 2e6, 8), audioTrack(aac, "a1", "eng", 128e3, 8),
			audioTrack(aac, "a2", "deu", 64e3, 8)), Options: o},
		"gap": {Window: window(without(videoTrack(avc, "v1", 3e6, 13), 3), without(videoTrack(avc, "v2", 1e6, 13), 5),
			audioTrack(aac, "a1", "", 128e3, 13)), Options: o},
		"vod":          {Window: vod, Options: o},
		"time-shifted": fixed,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := smooth.Format{}.Render(v, index)
			require.NoError(t, err)
			file := filepath.Join("testdata", name+".xml")
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(file, got, 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got))
		})
	}
}

func TestNames(t *testing.T) {
	f := smooth.Format{}
	for name, want := range map[string]packager.Resource{
		"index.ism/Manifest": index,
		"index.ISM/manifest": index,
		"index.ism/QualityLevels(3000000)/Fragments(video=1800000000000000)": {
			Kind: packager.MediaSegment, Manifest: "index", ByTime: true, Time: 18e14, Bitrate: 3e6, Type: media.Video,
		},
		"index.ism/qualitylevels(64000)/fragmentinfo(audio_eng=5)": {
			Kind: packager.FragmentInfo, Manifest: "index", ByTime: true, Time: 5, Bitrate: 64000, Type: media.Audio,
		},
	} {
		r, ok := f.Parse(name)
		require.True(t, ok, name)
		require.Equal(t, want, r)
	}
	for _, name := range []string{
		"", "index.ism", "index.ism/", ".ism/Manifest", "a_b.ism/Manifest", "index.mpd", "index.ism/Manifest/x",
		"index.ism/QualityLevels(1)", "index.ism/QualityLevels(1)/", "index.ism/QualityLevels(01)/Fragments(video=1)",
		"index.ism/QualityLevels(1)/Fragments(video=-1)", "index.ism/QualityLevels(1)/Fragments(video=)",
		"index.ism/QualityLevels(1)/Fragments(video_x=1)", "index.ism/QualityLevels(1)/Fragments(text=1)",
		"index.ism/QualityLevels(99999999999)/Fragments(video=1)", "index.ism/QualityLevels(1)/Fragments(audio_=1)",
	} {
		_, ok := f.Parse(name)
		require.False(t, ok, name)
	}
	require.Equal(t, "text/xml", f.ContentType(index))
	require.Equal(t, "audio/mp4", f.ContentType(packager.Resource{Kind: packager.MediaSegment, Type: media.Audio}))
}

func TestWhatHasNoManifest(t *testing.T) {
	avc, aac := avcConfig(t, "avc0", ppsHex), aacConfig(t)
	o := packager.Options{LookAhead: 2}
	render := func(tracks ...packager.TrackWindow) error {
		_, err := smooth.Format{}.Render(packager.View{Window: window(tracks...), Options: o}, index)
		return err
	}
	t.Run("nothing at all", func(t *testing.T) { require.ErrorIs(t, render(), packager.ErrNoMedia) })
	t.Run("only what has no successors yet", func(t *testing.T) {
		require.ErrorIs(t, render(videoTrack(avc, "v1", 3e6, 2)), packager.ErrNoMedia)
	})
	t.Run("video that has begun before its audio", func(t *testing.T) {
		require.ErrorIs(t, render(videoTrack(avc, "v1", 3e6, 3), audioTrack(aac, "a1", "", 1e5, 2)), packager.ErrNoMedia)
	})
	t.Run("an init segment", func(t *testing.T) {
		_, err := smooth.Format{}.Render(packager.View{Window: window()}, packager.Resource{Kind: packager.Init})
		require.ErrorIs(t, err, packager.ErrNoTrack)
	})
}

func TestARenditionThatStoppedDoesNotHoldBackTheOthers(t *testing.T) {
	avc := avcConfig(t, "avc0", ppsHex)
	m := parse(t, packager.View{Window: window(videoTrack(avc, "v1", 3e6, 20), videoTrack(avc, "v2", 1e6, 12))})
	require.Len(t, m.Streams[0].Levels, 1)
	require.Len(t, m.Streams[0].Chunks, 20)
}

func TestOnlyMediaOfTheNewestParameterSetsIsListed(t *testing.T) {
	first, same, other := avcConfig(t, "c0", ppsHex), avcConfig(t, "c1", "68ef3cb1"), avcConfig(t, "c2", "68ef3cb1")
	track := videoTrack(first, "v1", 3e6, 9)
	for i := 4; i < 9; i++ {
		track.Segments[i].Config = same
	}
	track.Segments[8].Config = other
	m := parse(t, packager.View{Window: window(track)})
	require.Len(t, m.Streams[0].Chunks, 5)
	require.Contains(t, m.Streams[0].Levels[0].Private, "68ef3cb1")
}

// Every listed fragment is found again under its URL, times never go back, chunks are contiguous but for what is missing,
// and together they span what the segments span. Gaps near to the end are another matter.
func TestChunksLeadToTheSegments(t *testing.T) {
	avc, aac := avcConfig(t, "avc0", ppsHex), aacConfig(t)
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(12, 40).Draw(rt, "segments")
		look := rapid.IntRange(0, 3).Draw(rt, "lookAhead")
		tracks := []packager.TrackWindow{videoTrack(avc, "v1", 3e6, n), audioTrack(aac, "a1", "eng", 128e3, n)}
		for i := range tracks {
			for range rapid.IntRange(0, 2).Draw(rt, "missing") {
				tracks[i] = without(tracks[i], rapid.IntRange(0, len(tracks[i].Segments)-10).Draw(rt, "which"))
			}
		}
		v := packager.View{Window: window(tracks...), Options: packager.Options{LookAhead: look}}
		v.Fixed = true
		m := parse(rt, v)
		require.Len(rt, m.Streams, 2)
		for i, s := range m.Streams {
			track := tracks[i]
			shown := track.Segments[:len(track.Segments)-look]
			require.Len(rt, s.Chunks, len(shown))
			next := int64(0)
			for j, c := range s.Chunks {
				if c.T != 0 {
					require.GreaterOrEqual(rt, c.T, next)
					next = c.T
				}
				url := strings.NewReplacer("{bitrate}", strconv.Itoa(s.Levels[0].Bitrate),
					"{start time}", strconv.FormatInt(next, 10)).Replace(s.URL)
				r, ok := smooth.Format{}.Parse("index.ism/" + url)
				require.True(rt, ok, url)
				found, at, err := smooth.Find(v.Window, r)
				require.NoError(rt, err)
				require.Equal(rt, track.ID, found.ID)
				require.Equal(rt, j, at)
				next += c.D
			}
			require.Equal(rt, smooth.Time(shown[len(shown)-1].End(), track.Timescale), next)
		}
	})
}

// dash.js begins four chunks before the end, and never where nothing is there.
func TestALiveManifestEndsBeforeAGapUntilPlayersCanBeginBehindIt(t *testing.T) {
	avc, aac := avcConfig(t, "avc0", ppsHex), aacConfig(t)
	for behind, listed := range map[int]int{1: 7, 4: 7, 5: 7 + 5} {
		video, audio := videoTrack(avc, "v1", 3e6, 13+behind), audioTrack(aac, "a1", "", 128e3, 13+behind)
		for range 6 {
			video, audio = without(video, 7), without(audio, 7)
		}
		m := parse(t, packager.View{Window: window(video, audio)})
		for _, s := range m.Streams {
			require.Len(t, s.Chunks, listed, "%d segments behind the gap", behind)
		}
		last := m.Streams[0].Chunks[6]
		if listed > 7 {
			require.EqualValues(t, 14*smooth.TimeScale, last.D, "a player steps over the gap")
		} else {
			require.EqualValues(t, 2*smooth.TimeScale, last.D, "a player that is told of no more has all there is")
		}
	}
}

func TestAGapWithNothingBeforeItHoldsNothingBack(t *testing.T) {
	avc, aac := avcConfig(t, "avc0", ppsHex), aacConfig(t)
	audio := audioTrack(aac, "a1", "", 128e3, 9)
	audio.Segments = audio.Segments[5:]
	m := parse(t, packager.View{Window: window(without(videoTrack(avc, "v1", 3e6, 9), 4), audio)})
	require.Len(t, m.Streams[0].Chunks, 8)
	require.Len(t, m.Streams[1].Chunks, 4)
}

// dash.js takes the duration of the first chunk for that of all.
func TestALiveManifestDoesNotBeginWithAGap(t *testing.T) {
	track := without(videoTrack(avcConfig(t, "avc0", ppsHex), "v1", 3e6, 12), 1)
	w := window(track)
	require.Equal(t, smooth.Time(track.Segments[1].Start, 90000), parse(t, packager.View{Window: w}).Streams[0].Chunks[0].T)
	w.Fixed = true
	require.Equal(t, smooth.Time(track.Segments[0].Start, 90000), parse(t, packager.View{Window: w}).Streams[0].Chunks[0].T,
		"a viewer has asked for it")
}

// dash.js takes half of a short window for its delay, and buffers nothing of one shorter than three chunks.
func TestTheWindowIsToldOnceItIsFull(t *testing.T) {
	avc := avcConfig(t, "avc0", ppsHex)
	told := func(n int, depth time.Duration) int64 {
		w := window(videoTrack(avc, "v1", 3e6, n))
		w.Depth = depth
		return parse(t, packager.View{Window: w, Options: packager.Options{LookAhead: 2}}).Depth
	}
	require.Zero(t, told(3, time.Minute))
	require.Zero(t, told(28, time.Minute))
	require.EqualValues(t, time.Minute.Microseconds(), told(29, time.Minute))
	require.EqualValues(t, 12_000_000, told(6, 12*time.Second), "it will not be longer")
}

// What dash.js takes for the end of a finished presentation lies behind all media, by no more than a millisecond.
func TestAFinishedPresentationEndsBehindItsMedia(t *testing.T) {
	avc, aac := avcConfig(t, "avc0", ppsHex), aacConfig(t)
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(rt, "segments")
		w := window(videoTrack(avc, "v1", 3e6, n), audioTrack(aac, "a1", "eng", 128e3, n))
		shift := rapid.Int64Range(-24000, 24000).Draw(rt, "audio is late by")
		for i := range w.Tracks[1].Segments {
			w.Tracks[1].Segments[i].Start += shift
		}
		w.Live = false
		begin, shortest, end := int64(0), int64(math.MaxInt64), int64(0)
		for i, s := range parse(rt, packager.View{Window: w}).Streams {
			length := int64(0)
			for _, c := range s.Chunks {
				length += c.D
			}
			begin, shortest = max(begin, s.Chunks[0].T), min(shortest, length)
			end = max(end, smooth.Time(w.Tracks[i].Last().End(), w.Tracks[i].Timescale))
		}
		ends := begin + shortest/1000*1000
		require.Greater(rt, ends, end)
		require.LessOrEqual(rt, ends, end+1000)
	})
}

func TestPlayersSwitchBetweenTracksOfOneSoundAlone(t *testing.T) {
	avc, aac, surround := avcConfig(t, "avc0", ppsHex), aacConfig(t), aacConfig(t)
	surround.Channels = 6
	w := window(videoTrack(avc, "v1-v", 3e6, 5), videoTrack(avc, "v2-v", 1e6, 5),
		audioTrack(aac, "described", "eng", 127e3, 5), audioTrack(aac, "low", "eng", 64e3, 5), audioTrack(aac, "main", "eng", 128e3, 5),
		audioTrack(surround, "surround", "eng", 384e3, 5), audioTrack(aac, "t1", "", 128001, 5), audioTrack(aac, "t2", "", 128002, 5),
		audioTrack(aac, "v1-a", "deu", 128003, 5), audioTrack(aac, "v2-a", "deu", 128004, 5))
	levels := map[string][]int{}
	for _, s := range parse(t, packager.View{Window: w}).Streams {
		require.NotContains(t, levels, s.Name, "a stream's name is its own")
		for i, l := range s.Levels {
			levels[s.Name] = append(levels[s.Name], l.Bitrate)
			url := strings.NewReplacer("{bitrate}", strconv.Itoa(l.Bitrate), "{start time}", strconv.FormatInt(s.Chunks[0].T, 10)).Replace(s.URL)
			r, ok := smooth.Format{}.Parse("index.ism/" + url)
			require.True(t, ok, url)
			found, _, err := smooth.Find(w, r)
			require.NoError(t, err, url)
			require.Equal(t, levels[s.Name][i], found.Bitrate)
		}
	}
	require.Equal(t, map[string][]int{"video": {3e6, 1e6}, "audio_eng": {127e3, 64e3}, "audio_eng-2": {128e3}, "audio_eng-3": {384e3},
		"audio": {128001}, "audio_2": {128002}, "audio_deu": {128003, 128004}}, levels)
}

func TestFind(t *testing.T) {
	aac := aacConfig(t)
	w := window(audioTrack(aac, "a1", "", 64e3, 5))
	r := packager.Resource{Type: media.Audio, Bitrate: 64000, Time: smooth.Time(w.Tracks[0].Segments[2].Start, 48000)}
	t.Run("takes the nearest", func(t *testing.T) {
		for _, off := range []int64{-1, 0, 1, 500} {
			q := r
			q.Time += off
			_, i, err := smooth.Find(w, q)
			require.NoError(t, err)
			require.Equal(t, 2, i)
		}
	})
	t.Run("refuses what is not near any", func(t *testing.T) {
		for _, at := range []int64{0, r.Time + 2000, r.Time + 1e8, 1<<63 - 1} {
			q := r
			q.Time = at
			_, _, err := smooth.Find(w, q)
			require.ErrorIs(t, err, smooth.ErrNoFragment)
		}
	})
	t.Run("tells tracks by kind and bitrate", func(t *testing.T) {
		q := r
		q.Type = media.Video
		_, _, err := smooth.Find(w, q)
		require.ErrorIs(t, err, packager.ErrNoTrack)
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "index.ism/Manifest", "index.ism/QualityLevels(1)/Fragments(video=2)",
		"index.ism/QualityLevels(1)/FragmentInfo(audio_eng=2)", ".ism/", "index.ism/QualityLevels()/Fragments(=)",
		"index.ism/QualityLevels(" + strings.Repeat("9", 30) + ")/Fragments(video=" + strings.Repeat("9", 30) + ")",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		r, ok := smooth.Format{}.Parse(name)
		if !ok {
			return
		}
		require.True(t, packager.ValidID(r.Manifest))
		if r.Kind != packager.Manifest {
			_, _, err := smooth.Find(window(), r)
			require.ErrorIs(t, err, packager.ErrNoTrack)
			require.GreaterOrEqual(t, r.Time, int64(0))
		}
	})
}

func BenchmarkRender(b *testing.B) {
	avc, aac := avcConfig(b, "avc0", ppsHex), aacConfig(b)
	for _, n := range []int{30, 43200} {
		v := packager.View{Window: window(videoTrack(avc, "v1", 3e6, n), videoTrack(avc, "v2", 1e6, n),
			videoTrack(avc, "v3", 5e5, n), audioTrack(aac, "a1", "", 128e3, n)), Options: packager.Options{LookAhead: 2}}
		b.Run(strconv.Itoa(n)+" segments", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := smooth.Format{}.Render(v, index)
				require.NoError(b, err)
			}
		})
	}
}

// manifest is what a client reads.
type manifest struct {
	Depth   int64 `xml:"DVRWindowLength,attr"`
	Streams []struct {
		Name   string `xml:",attr"`
		URL    string `xml:"Url,attr"`
		Levels []struct {
			Bitrate int    `xml:",attr"`
			Private string `xml:"CodecPrivateData,attr"`
		} `xml:"QualityLevel"`
		Chunks []struct {
			T int64 `xml:"t,attr"`
			D int64 `xml:"d,attr"`
		} `xml:"c"`
	} `xml:"StreamIndex"`
}

func parse(t require.TestingT, v packager.View) (m manifest) {
	b, err := smooth.Format{}.Render(v, index)
	require.NoError(t, err)
	require.NoError(t, xml.Unmarshal(b, &m))
	return m
}

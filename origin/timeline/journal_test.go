package timeline

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"headwater/packager/media"
	"headwater/storage"
	"headwater/storage/mem"
)

func TestAFailingJournalLeavesMemoryAndJournalAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := &faulty{Journal: mem.New(time.Now)}
		w := newWorldOn(t, Options{}, j)
		w.track("v", media.Video, 90000)
		w.track("a", media.Audio, 48000)
		w.part(media.At(at(0), 90000))
		from := at(0)
		for i := range 30 {
			what := rapid.SampledFrom([]string{"ok", "ok", "ok", metaSuffix, segmentsSuffix}).Draw(t, "fails")
			j.fail = func(stream string) bool { return strings.HasSuffix(stream, what) }
			end := from + rapid.SampledFrom([]int64{180000, 180000, 180000, 250000}).Draw(t, "duration")
			for _, id := range []string{"a", "v"} {
				s, e := from, end
				if id == "a" {
					s, e = s*48/90, e*48/90
				}
				_, err := w.add(id, s, e)
				if err != nil {
					require.ErrorIs(t, err, errDisk)
					j.fail = nil
					if rapid.Bool().Draw(t, "again") {
						w.must(id, s, e)
					}
				}
			}
			require.Empty(t, w.tl.state.flights)
			for _, tr := range w.tl.state.order {
				require.Empty(t, tr.pending)
			}
			_, err := w.tl.SetTrack(w.ctx, media.Track{ID: fmt.Sprint("t", i), Kind: media.Video, Timescale: 1000})
			if what == metaSuffix && j.fail != nil {
				require.ErrorIs(t, err, errDisk)
			}
			j.fail = nil
			from = end
		}
		w.must("v", from, from+180000)
		before := w.view()
		w.restart()
		require.True(t, before == w.view(), "a replay gives the same")
	})
}

func TestWhateverRunsAtTheSameTimeReplaysTheSame(t *testing.T) {
	for _, numbering := range []Numbering{Auto, Counter} {
		w := newWorld(t, Options{Numbering: numbering})
		var wait sync.WaitGroup
		run := func(f func() error) {
			wait.Go(func() {
				for range 3 {
					if f() == nil {
						return
					}
				}
			})
		}
		w.part(media.At(at(0), 90000))
		for i := range 4 {
			run(func() error {
				kind, scale := media.Video, uint32(90000)
				if i == 3 {
					kind, scale = media.Audio, 48000
				}
				id := fmt.Sprint("t", i)
				if _, err := w.tl.SetTrack(w.ctx, media.Track{ID: id, Kind: kind, Timescale: scale}); err != nil {
					return err
				}
				for n := range int64(40) {
					c, err := w.tl.SetConfig(w.ctx, id, &media.Config{ID: fmt.Sprint(n / 20)})
					if err != nil {
						return err
					}
					if i == 0 && n%16 == 15 {
						if _, err := w.tl.BeginPart(w.ctx, media.At(at(0)+n*180000, 90000)); err != nil {
							return err
						}
					}
					for range 2 { // two uploads of the same
						wait.Go(func() {
							add := Add{Segment: media.Segment{Start: (noon + 2*n) * int64(scale), Duration: 2 * int64(scale), Config: c, Part: uint32(n / 17)}}
							if p, _ := w.tl.CurrentPart(); add.Part > p.Ordinal {
								add.Part = p.Ordinal
							}
							_, _ = w.tl.Append(w.ctx, id, add)
						})
					}
					_, _ = w.tl.Window(Query{Now: clock(100), Length: time.Minute})
					_, _, _ = w.tl.During(id, media.At(noon, 1), media.At(noon+10, 1))
				}
				return nil
			})
		}
		wait.Go(func() {
			for i := range 20 {
				w.tl.Expire(clock(float64(i)), 10)
				if err := w.tl.Forget(w.ctx); err != nil {
					panic(err)
				}
			}
		})
		wait.Wait()
		for _, tr := range w.tl.snap.Load().tracks {
			for i := 1; i < len(tr.segments); i++ {
				require.Less(t, tr.segments[i-1].Number, tr.segments[i].Number)
				require.Less(t, tr.segments[i-1].Start, tr.segments[i].Start)
			}
		}
		// What expired is journaled with the next trimming only: until then a replay has it again, to expire once more.
		w.tl.Expire(clock(19), 1000)
		before := w.view()
		w.restart()
		w.tl.Expire(clock(19), 1000)
		require.Equal(t, before, w.view())
	}
}

func TestTheFirstSegmentsOfTwoRenditionsMayComeAtTheSameTime(t *testing.T) {
	for range 50 {
		w := newWorld(t, Options{})
		w.track("v1", media.Video, 90000)
		w.track("v2", media.Video, 90000)
		w.track("a", media.Audio, 48000)
		w.part(media.At(at(0), 90000))
		w.must("a", frame(0), frame(2))
		var wait sync.WaitGroup
		for _, id := range []string{"v1", "v2"} {
			wait.Go(func() {
				for i := range int64(3) {
					_, err := w.add(id, at(0.5)+i*180000, at(2.5)+i*180000)
					if err != nil {
						panic(err)
					}
				}
			})
		}
		wait.Wait()
		require.Equal(t, []int64{noon / 2, noon/2 + 1, noon/2 + 2}, w.numbers("v1"))
		require.Equal(t, w.numbers("v1"), w.numbers("v2"))
		require.Len(t, w.numbers("a"), 1)
		before := w.view()
		w.restart()
		require.Equal(t, before, w.view())
	}
}

// slow is a journal whose appends to segment streams wait until they are let go.
type slow struct {
	storage.Journal
	waiting atomic.Int32
	gate    chan struct{}
}

func TestWhatIsBeingJournaledHoldsNobodyAndIsNotTrimmed(t *testing.T) {
	w := simple(t, 0, 6)
	j := &faulty{Journal: w.journal}
	s := &slow{gate: make(chan struct{})}
	w.journal = j
	w.restart()
	j.fail = func(stream string) bool {
		if strings.HasSuffix(stream, segmentsSuffix) && s.waiting.Add(1) == 1 {
			<-s.gate
		}
		return false
	}
	done := make(chan int64)
	go func() { n, _ := w.add("v", at(6), at(8)); done <- n }()
	for s.waiting.Load() == 0 {
		runtime.Gosched()
	}
	require.EqualValues(t, noon/2+4, w.must("v", at(8), at(10)), "the number of the one before is claimed")
	last, ok := w.tl.Last("v")
	require.True(t, ok)
	require.EqualValues(t, at(8), last.Start)
	require.Len(t, w.tl.Expire(clock(100), 10), 4)
	_, err := w.tl.Window(Query{Now: clock(10), Length: time.Minute})
	require.ErrorIs(t, err, ErrNotYet)
	close(s.gate)
	require.EqualValues(t, noon/2+3, <-done)
}

func TestTrimmingKeepsWhatIsNeeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, Options{Numbering: rapid.SampledFrom([]Numbering{Auto, Counter}).Draw(t, "numbering")})
		w.track("v", media.Video, 90000)
		w.track("a", media.Audio, 48000)
		w.part(media.At(at(0), 90000))
		for s := 0; s < 60; s += 2 {
			order := rapid.SampledFrom([]string{"va", "av", "v", "a"}).Draw(t, "order")
			for _, c := range order {
				if c == 'v' {
					_, _ = w.add("v", at(float64(s)), at(float64(s+2)))
				} else {
					_, _ = w.add("a", frame(s), frame(s+2))
				}
			}
			if rapid.IntRange(0, 3).Draw(t, "expire") == 0 {
				w.tl.Expire(clock(float64(s-rapid.IntRange(-4, 10).Draw(t, "age"))), rapid.IntRange(0, 5).Draw(t, "limit"))
				before := w.view()
				require.NoError(t, w.tl.Forget(w.ctx))
				w.restart()
				require.Equal(t, stripHeld(before), stripHeld(w.view()))
			}
		}
	})
}

// stripHeld drops the count of held segments: those that expired without a number come back until the journal is trimmed.
func stripHeld(view string) string {
	head, _, _ := strings.Cut(view, "held ")
	return head
}

func FuzzReplay(f *testing.F) {
	w := newWorld(f, Options{})
	w.track("v", media.Video, 90000)
	w.track("a", media.Audio, 48000)
	w.part(media.At(at(0), 90000))
	require.NoError(f, w.tl.Note(w.ctx, "key", []byte("value")))
	w.audio(0, 4)
	w.video(0, 6)
	w.must("v", at(6), at(9))
	w.must("v", at(9), at(12))
	w.tl.Expire(clock(3), 100)
	require.NoError(f, w.tl.Forget(w.ctx))
	var all [][]byte
	for _, suffix := range []string{metaSuffix, segmentsSuffix} {
		for rec, err := range w.journal.Read(w.ctx, w.tl.stream+suffix, 0) {
			require.NoError(f, err)
			all = append(all, rec.Data)
		}
	}
	pack := func(records [][]byte) (out []byte) {
		for _, r := range records {
			out = append(append(out, byte(len(r))), r...)
		}
		return out
	}
	f.Add(pack(all))
	for i := range all {
		f.Add(pack(all[:i]))
		f.Add(pack(append(append([][]byte{}, all[:i]...), all[i][:len(all[i])/2])))
	}
	f.Add([]byte{})
	f.Add([]byte{0})
	huge := writer{recordNote}.uint(1 << 60)
	f.Add(append([]byte{byte(len(huge))}, huge...))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newState(Auto)
		for pos := storage.Position(1); len(data) > 0; pos++ {
			n := min(int(data[0]), len(data)-1)
			if s.replay(storage.Record{Position: pos, Data: data[1 : 1+n]}) != nil {
				return
			}
			data = data[1+n:]
		}
		// What was accepted can be used.
		tl := &Timeline{stream: "x", journal: mem.New(time.Now), state: s}
		tl.publish()
		_, _ = tl.Window(Query{Now: clock(10), Length: time.Minute, Segment: 6 * time.Second})
		_, _ = tl.Window(Query{Now: clock(10), Start: clock(0), Startover: time.Hour})
		tl.Earliest()
		tl.State()
		for _, tr := range tl.state.order {
			tl.Following(tr.ID, 0, 6*time.Second, 3)
			if len(tr.configs) > 0 && len(tl.state.parts) > 0 {
				_, _ = tl.Append(t.Context(), tr.ID, Add{Segment: media.Segment{Start: 90000, Duration: 90000, Config: tr.configs[0]}})
			}
		}
		tl.Expire(clock(100), 5)
		require.NoError(t, tl.Forget(t.Context()))
	})
}

func TestAnUnknownRecordStopsTheStart(t *testing.T) {
	for name, c := range map[string]struct {
		stream  string
		records [][]byte
	}{
		"an unknown type":              {metaSuffix, [][]byte{{'?'}}},
		"an empty record":              {metaSuffix, [][]byte{{}}},
		"a short record":               {metaSuffix, [][]byte{{recordTrack, 0, 9}}},
		"a part out of turn":           {metaSuffix, [][]byte{encodePart(media.Part{Ordinal: 1})}},
		"a grid of no part":            {metaSuffix, [][]byte{encodeGrid(0, media.Grid{Step: media.At(1, 1)})}},
		"a configuration of no track":  {metaSuffix, [][]byte{encodeConfig(0, 0, &media.Config{})}},
		"a track out of turn":          {metaSuffix, [][]byte{encodeTrack(1, media.Track{ID: "x", Kind: media.Video, Timescale: 1})}},
		"a track without timescale":    {metaSuffix, [][]byte{encodeTrack(0, media.Track{ID: "x", Kind: media.Video})}},
		"a segment of no track":        {segmentsSuffix, [][]byte{encodeSegment(recordSegment, &track{}, media.Segment{Duration: 1})}},
		"what is gone of no track":     {segmentsSuffix, [][]byte{encodeGone(&track{})}},
		"a duration beyond all limits": {segmentsSuffix, [][]byte{writer{recordSegment, 0, 0, 0}.uint(1 << 63)}},
	} {
		t.Run(name, func(t *testing.T) {
			j := mem.New(time.Now)
			_, err := j.Append(t.Context(), "channel/default/one"+c.stream, c.records...)
			require.NoError(t, err)
			_, err = Open(t.Context(), j, "default/one", Options{})
			require.ErrorIs(t, err, errRecord)
		})
	}
}

func TestTracksThatCannotBeAreRefused(t *testing.T) {
	w := newWorld(t, Options{})
	w.track("v", media.Video, 90000)
	for _, tr := range []media.Track{{ID: "x", Kind: media.Video}, {Kind: media.Video, Timescale: 1}, {ID: "x", Timescale: 1},
		{ID: "v", Kind: media.Audio, Timescale: 90000}, {ID: "v", Kind: media.Video, Timescale: 1000}} {
		_, err := w.tl.SetTrack(w.ctx, tr)
		require.Error(t, err)
	}
	tr, err := w.tl.SetTrack(w.ctx, media.Track{ID: "v2", Kind: media.Video, Timescale: 90000, Bitrate: 1_000_000})
	require.NoError(t, err)
	require.Equal(t, 1_000_001, tr.Bitrate, "bitrates are unique")
	tr, err = w.tl.SetTrack(w.ctx, media.Track{ID: "v2", Kind: media.Video, Timescale: 90000, Bitrate: 5, Language: "de"})
	require.NoError(t, err)
	require.Equal(t, media.Track{ID: "v2", Kind: media.Video, Timescale: 90000, Bitrate: 1_000_001, Language: "de"}, tr)
	_, err = w.tl.SetConfig(w.ctx, "x", &media.Config{})
	require.ErrorIs(t, err, ErrNoTrack)
	require.NoError(t, w.tl.Note(w.ctx, "k", []byte("1")))
	require.NoError(t, w.tl.Note(w.ctx, "k", []byte("2")))
	w.restart()
	require.Equal(t, "2", string(w.tl.Noted("k")))
	names, err := Channels(w.ctx, w.journal)
	require.NoError(t, err)
	require.Equal(t, []string{"default/one"}, names)
	again, err := w.tl.SetTrack(w.ctx, media.Track{ID: "v2", Kind: media.Video, Timescale: 90000})
	require.NoError(t, err)
	require.Equal(t, tr, again)
}

func TestTheDefaultAudioComesFirstAndSurvivesARestart(t *testing.T) {
	w := newWorld(t, Options{})
	eng, deu := media.Track{ID: "eng", Kind: media.Audio, Timescale: 48000}, media.Track{ID: "deu", Kind: media.Audio, Timescale: 48000}
	order := func(tl *Timeline) (ids []string) {
		for _, tr := range tl.State().Tracks {
			ids = append(ids, tr.ID)
		}
		return ids
	}
	for _, tr := range []media.Track{deu, eng} {
		_, err := w.tl.SetTrack(w.ctx, tr)
		require.NoError(t, err)
	}
	require.Equal(t, []string{"deu", "eng"}, order(w.tl))
	eng.Default = true
	_, err := w.tl.SetTrack(w.ctx, eng)
	require.NoError(t, err)
	require.Equal(t, []string{"eng", "deu"}, order(w.tl))
	again, err := Open(w.ctx, w.journal, "default/one", Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"eng", "deu"}, order(again))
}

func TestATrackWrittenWithoutItsNewerFieldsIsOneThatLacksThem(t *testing.T) {
	for name, missing := range map[string]int{"the default and those since": 4, "name, roles and choice": 3, "none": 0} {
		t.Run(name, func(t *testing.T) {
			j, tr := mem.New(time.Now), media.Track{ID: "x", Kind: media.Audio, Timescale: 1, Language: "en"}
			record := encodeTrack(0, tr)
			_, err := j.Append(t.Context(), "channel/default/one"+metaSuffix, record[:len(record)-missing])
			require.NoError(t, err)
			tl, err := Open(t.Context(), j, "default/one", Options{})
			require.NoError(t, err)
			have, ok := tl.Track("x")
			require.True(t, ok)
			require.Equal(t, tr, have)
		})
	}
}

func TestATrackKeepsWhatItIsForOverARestart(t *testing.T) {
	w := newWorld(t, Options{})
	tr := media.Track{ID: "ad", Kind: media.Audio, Timescale: 48000, Name: "Audiodeskription", Roles: media.RoleDescription, Manual: true}
	set, err := w.tl.SetTrack(w.ctx, tr)
	require.NoError(t, err)
	again, err := Open(w.ctx, w.journal, "default/one", Options{})
	require.NoError(t, err)
	have, _ := again.Track("ad")
	require.Equal(t, set, have)
	_, err = w.tl.SetTrack(w.ctx, media.Track{ID: "main", Kind: media.Audio, Timescale: 48000})
	require.NoError(t, err)
	require.Equal(t, "main", w.tl.State().Tracks[0].ID, "what is beside the programme is not taken for it")
}

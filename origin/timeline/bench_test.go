package timeline

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
	"headwater/storage"
)

const (
	daySegments = 43_200 // of 2 s
	dayTracks   = 6
)

// day is a journal that holds a day of six tracks.
type day struct{ records map[string][][]byte }

func (d *day) Append(_ context.Context, stream string, records ...[]byte) (storage.Position, error) {
	d.records[stream] = append(d.records[stream], records...)
	return storage.Position(len(d.records[stream])), nil
}

func (d *day) Read(_ context.Context, stream string, _ storage.Position) iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		for i, data := range d.records[stream] {
			if !yield(storage.Record{Position: storage.Position(i + 1), Data: data}, nil) {
				return
			}
		}
	}
}

func (d *day) Trim(context.Context, string, storage.Position) error { return nil }
func (d *day) Streams(context.Context) ([]string, error)            { return nil, nil }
func (d *day) Drop(context.Context, string) error                   { return nil }

func newDay(t tester) *day {
	d := &day{records: map[string][][]byte{}}
	s := newState(Auto)
	stream := streamPrefix + "default/one"
	meta := [][]byte{encodePart(media.Part{Start: media.At(noon, 1)}), encodeGrid(0, media.NewGrid(media.At(noon*90000, 90000), media.At(2, 1)))}
	for i := range dayTracks {
		tr := newTrack(media.Track{ID: fmt.Sprint("v", i), Kind: media.Video, Timescale: 90000, Bitrate: i}, i)
		c := &media.Config{ID: "x", Header: make([]byte, 700)}
		tr.configs = []*media.Config{c}
		s.addTrack(tr)
		meta = append(meta, encodeTrack(i, tr.Track), encodeConfig(i, 0, c))
	}
	d.records[stream+metaSuffix] = append(meta, encodeLongest(media.At(2, 1)))
	for n := range int64(daySegments) {
		for _, tr := range s.order {
			d.records[stream+segmentsSuffix] = append(d.records[stream+segmentsSuffix], encodeSegment(recordSegment, tr, media.Segment{
				Number: noon/2 + n, Start: (noon + 2*n) * 90000, Duration: 180000, Size: 1_000_000 + n, Hash: uint64(n) * 0x9e3779b97f4a7c15,
				Arrived: (noon + 2*n + 2) * 1000, Config: tr.configs[0]}))
		}
	}
	return d
}

func TestADayOfSixTracksTakesLittleMemory(t *testing.T) {
	d := newDay(t)
	before := heap()
	tl, err := Open(t.Context(), d, "default/one", Options{})
	require.NoError(t, err)
	used := heap() - before
	runtime.KeepAlive(d)
	t.Logf("%d segments: %.1f MiB", dayTracks*daySegments, float64(used)/(1<<20))
	require.Equal(t, daySegments, tl.State().Tracks[5].Segments)
	require.Less(t, used, int64(40<<20))
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkReplayOfADay(b *testing.B) {
	d := newDay(b)
	for b.Loop() {
		if _, err := Open(b.Context(), d, "default/one", Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWindowOfADay(b *testing.B) {
	tl, err := Open(b.Context(), newDay(b), "default/one", Options{})
	require.NoError(b, err)
	for _, segment := range []time.Duration{0, six} {
		b.Run(fmt.Sprintf("segments of %s", segment), func(b *testing.B) {
			q := Query{Now: time.Unix(noon+86400, 0), Length: 24 * time.Hour, Segment: segment}
			for b.Loop() {
				if _, err := tl.Window(q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("one segment", func(b *testing.B) {
		for b.Loop() {
			if _, err := tl.Segment(Key{Track: "v0", Number: noon/6 + 100}, six); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	tl, err := Open(b.Context(), newDay(b), "default/one", Options{})
	require.NoError(b, err)
	c, err := tl.Config("v0", "x")
	require.NoError(b, err)
	at := int64(noon+86400) * 90000
	for b.Loop() {
		if _, err := tl.Append(b.Context(), "v0", Add{Segment: media.Segment{Start: at, Duration: 180000, Config: c}}); err != nil {
			b.Fatal(err)
		}
		at += 180000
	}
}

//go:build bench

package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/timeline"
	"headwater/packager/media"
	"headwater/storage"
	"headwater/storage/fs"
)

// ledger is a journal in memory, so that a long past can be written in one go.
type ledger struct {
	streams map[string][][]byte
	order   []string
}

func (l *ledger) Append(_ context.Context, stream string, records ...[]byte) (storage.Position, error) {
	if _, ok := l.streams[stream]; !ok {
		l.order = append(l.order, stream)
	}
	l.streams[stream] = append(l.streams[stream], records...)
	return storage.Position(len(l.streams[stream])), nil
}

func (l *ledger) Read(context.Context, string, storage.Position) iter.Seq2[storage.Record, error] {
	return func(func(storage.Record, error) bool) {}
}

func (l *ledger) Trim(context.Context, string, storage.Position) error { return nil }
func (l *ledger) Streams(context.Context) ([]string, error)            { return l.order, nil }
func (l *ledger) Drop(context.Context, string) error                   { return nil }

// fillPast writes the journal of a channel of the default group that has a day of 2 s segments behind it, of video and
// of audio, into a data directory that no server uses at present. There are no media bytes: manifests do not read them.
func fillPast(t testing.TB, data, channel string, now time.Time, length time.Duration) {
	t.Helper()
	ctx := context.Background()
	l := &ledger{streams: map[string][][]byte{}}
	tl, err := timeline.Open(ctx, l, "default/"+channel, timeline.Options{})
	require.NoError(t, err)
	segment := makeSegment(t)
	config := func(track string, c media.Config) *media.Config {
		sum := sha256.Sum256(segment.init)
		c.ID, c.Header = hex.EncodeToString(sum[:4]), segment.init
		kept, err := tl.SetConfig(ctx, track, &c)
		require.NoError(t, err)
		return kept
	}
	_, err = tl.SetTrack(ctx, media.Track{ID: "video", Kind: media.Video, Timescale: 90000, Bitrate: 5_000_000})
	require.NoError(t, err)
	_, err = tl.SetTrack(ctx, media.Track{ID: "audio", Kind: media.Audio, Timescale: 48000, Bitrate: 64_000, Language: "en"})
	require.NoError(t, err)
	video := config("video", media.Config{Codec: "avc1.42c00d", Width: 320, Height: 180, FrameRate: media.Ratio{Num: 25, Den: 1}})
	audio := config("audio", media.Config{Codec: "mp4a.40.2", SampleRate: 48000, Channels: 1})
	start := now.Add(-length).Unix() / 2 * 2
	part, err := tl.BeginPart(ctx, media.At(start, 1))
	require.NoError(t, err)
	frame := func(seconds int64) int64 { return (seconds*48000 + 1023) / 1024 * 1024 } // the audio frame that starts there or next
	for at := start; at+2 <= now.Unix(); at += 2 {
		add := func(track string, scale uint32, from, to int64, c *media.Config) {
			_, err := tl.Append(ctx, track, timeline.Add{
				Segment: media.Segment{Start: from, Duration: to - from, Size: 1 << 20, Hash: uint64(from), Arrived: (at + 2) * 1000,
					Part: part.Ordinal, Config: c},
				Step: media.At(2, 1), Locked: true})
			require.NoError(t, err)
		}
		add("video", 90000, at*90000, (at+2)*90000, video)
		add("audio", 48000, frame(at), frame(at+2), audio)
	}
	write(t, data, l)
}

// write copies a ledger into the journal of a data directory.
func write(t testing.TB, data string, l *ledger) {
	t.Helper()
	engine, err := fs.Open(data, fs.Options{NoSync: true})
	require.NoError(t, err)
	for _, stream := range l.order {
		for all := l.streams[stream]; len(all) > 0; {
			n := min(len(all), 5000)
			_, err := engine.Append(context.Background(), stream, all[:n]...)
			require.NoError(t, err)
			all = all[n:]
		}
	}
	require.NoError(t, engine.Close(), fmt.Sprint(l.order))
}

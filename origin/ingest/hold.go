package ingest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"headwater/origin/reply"
	"headwater/packager/media"
)

// This file is where one of two encoders on one input is refused.

// fedTracks is when the tracks of an input last got a fragment of a file or a segment, while the server runs.
type fedTracks struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (f *fedTracks) set(track string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at == nil {
		f.at = map[string]time.Time{}
	}
	f.at[track] = now
}

func (f *fedTracks) get(track string) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at[track]
}

// fedAt returns when a track last got media of this input, zero when it never did. What came before the server began may have
// been of either.
func (in *input) fedAt(track string) time.Time {
	at := in.fed.get(track)
	if last, has := in.tl.Last(track); has {
		if arrived := time.UnixMilli(last.Arrived); arrived.After(at) && arrived.Before(in.feed.began) {
			return arrived
		}
	}
	return at
}

// silence is how long a track must be without media before a file of another session takes it over: by then the next
// segment of an encoder that lives would have come. Of one that was restarted the first file comes about a segment after
// the last, so it hardly waits.
func silence(length time.Duration) time.Duration { return length + length/2 }

// move returns the session of a segment that does not continue its track's own, and its start: one that is there, or a new
// one. A file waits until the track is silent, and for those that came before it; reply.ErrConflict says that another encoder
// went on feeding the track meanwhile. The lock is held, save while waiting.
func (in *input) move(ctx context.Context, track string, c *media.Config, s stamp, now time.Time,
	pdt func() time.Time) (ordinal int, start int64, err error) {
	if _, has := in.tl.Last(track); has && !s.onEpoch(now) && in.tl.Earliest().UTC().Sub(now) > beginAhead {
		return 0, 0, errAhead(track, s, in.tl.Earliest().Round(s.Scale), now)
	}
	_, joined := in.memo.Tracks[track]
	before := in.fedAt(track)
	ahead, own := in.moving[track], make(chan struct{})
	in.moving[track] = own
	defer in.moved(track, own)
	said := in.unlocked(func() (said time.Time) {
		began := time.Now()
		said = pdt()
		if joined && s.File {
			// patienceRetry bounds the wait where segments are very long.
			time.Sleep(min(silence(s.length())-now.Sub(before)-time.Since(began), patienceRetry))
		}
		if ahead != nil {
			<-ahead // whose own wait is bounded
		}
		return said
	})
	ordinal, start, ok := in.find(track, c, s, said, now)
	have, joined := in.memo.Tracks[track]
	if joined && s.File && (!ok || have != ordinal) && in.fedAt(track).Sub(before) > s.length()/4 { // less is the end of what came before
		return 0, 0, fmt.Errorf("%w: an encoder with another clock goes on sending track %s", reply.ErrConflict, track)
	}
	if ok {
		return ordinal, start, nil
	}
	return in.begin(ctx, track, s, said, now)
}

// unlocked calls f without the lock, which is held before and after.
func (in *input) unlocked(f func() time.Time) time.Time {
	in.feed.mu.Unlock()
	defer in.feed.mu.Lock()
	return f()
}

// moved ends the wait of the file that comes next. The lock is held.
func (in *input) moved(track string, own chan struct{}) {
	close(own)
	if in.moving[track] == own {
		delete(in.moving, track)
	}
}

func errAhead(track string, s stamp, start int64, now time.Time) error {
	end := media.At(start+s.Duration, s.Scale).UTC()
	return fmt.Errorf("%w: the segment of track %s would end %s from now", ErrAhead, track, end.Sub(now).Round(time.Millisecond))
}

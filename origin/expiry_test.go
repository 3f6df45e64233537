package origin

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/channel"
	"headwater/origin/ingest"
	"headwater/storage"
	"headwater/storage/mem"
)

// stubborn is a store that refuses to delete, and to begin an upload, while it is told to.
type stubborn struct {
	storage.Driver
	refuses bool
}

func (s *stubborn) Create(ctx context.Context, key storage.Key, attrs storage.Attrs) (storage.Upload, error) {
	if s.refuses {
		return nil, storage.ErrNoSpace
	}
	return s.Driver.Create(ctx, key, attrs)
}

func (s *stubborn) Delete(ctx context.Context, key storage.Key) error {
	if s.refuses {
		return errors.New("the disk is in a mood")
	}
	return s.Driver.Delete(ctx, key)
}

func (g *rig) storedSegments() (n int) {
	for _, err := range g.server.cfg.Store.List(g.tb.Context(), ingest.MediaContainer, "", "") {
		require.NoError(g.tb, err)
		n++
	}
	return n
}

func TestWhatCouldNotBeDeletedIsSweptLater(t *testing.T) {
	disk := &stubborn{}
	g := newRig(t, func(now func() time.Time) (storage.Driver, storage.Journal) {
		e := mem.New(now)
		disk.Driver = e
		return disk, e
	}, endpointsOf(standard())...)
	g.push(0, 9)
	require.Equal(t, 20, g.storedSegments())
	g.at(noon.Add(2 * time.Hour))
	disk.refuses = true
	g.server.Expire(t.Context())
	require.Equal(t, 20, g.storedSegments())
	disk.refuses = false
	g.server.Expire(t.Context())
	require.Equal(t, 20, g.storedSegments(), "the timeline has forgotten them")
	g.server.Sweep(t.Context())
	require.Zero(t, g.storedSegments())
}

func TestASweepLeavesWhatIsNeeded(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 9)
	orphan := ingest.SegmentKey(chID, "video", noon.Add(-3*time.Hour).Unix()*90000)
	fresh := ingest.SegmentKey(chID, "video", noon.Add(-time.Second).Unix()*90000)
	for _, key := range []storage.Key{orphan, fresh} {
		_, err := g.server.cfg.Store.Put(t.Context(), key, storage.Attrs{}, http.NoBody)
		require.NoError(t, err)
	}
	g.server.Sweep(t.Context())
	require.Equal(t, 21, g.storedSegments())
	_, err := g.server.cfg.Store.Stat(t.Context(), orphan)
	require.ErrorIs(t, err, storage.ErrNotFound)
	_, err = g.server.cfg.Store.Stat(t.Context(), fresh)
	require.NoError(t, err, "an upload may be about to record it")
}

func TestMediaOfAChannelThatIsGoneExpiresToo(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 9)
	g.server.Expire(t.Context())
	_, err := g.server.cfg.Channels.Replace(channel.Set{})
	require.NoError(t, err)
	g.at(noon.Add(30 * time.Minute))
	g.server.Expire(t.Context())
	require.Equal(t, 20, g.storedSegments(), "it may come back")
	g.at(noon.Add(2 * time.Hour))
	g.server.Expire(t.Context())
	require.Zero(t, g.storedSegments())
}

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
	"headwater/origin/metrics"
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

// newStubbornRig returns a rig on such a store.
func newStubbornRig(t *testing.T) (*rig, *stubborn) {
	disk := &stubborn{}
	return newRig(t, func(now func() time.Time) (storage.Driver, storage.Journal) {
		e := mem.New(now)
		disk.Driver = e
		return disk, e
	}, endpointsOf(standard())...), disk
}

func (g *rig) storedSegments() (n int) {
	for _, err := range g.server.cfg.Store.List(g.tb.Context(), ingest.MediaContainer, "", "") {
		require.NoError(g.tb, err)
		n++
	}
	return n
}

func TestWhatCouldNotBeDeletedIsSweptLater(t *testing.T) {
	g, disk := newStubbornRig(t)
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
	put := func(start time.Time) storage.Key {
		key := ingest.SegmentKey(chID, "video", start.Unix()*90000)
		_, err := g.server.cfg.Store.Put(t.Context(), key, storage.Attrs{}, http.NoBody)
		require.NoError(t, err)
		return key
	}
	g.at(noon.Add(-2 * time.Hour))
	orphan := put(noon.Add(-3 * time.Hour))
	g.push(0, 9)
	late, young := put(noon.Add(-4*time.Hour)), put(noon.Add(-time.Second))
	g.server.Sweep(t.Context())
	require.Equal(t, 22, g.storedSegments())
	_, err := g.server.cfg.Store.Stat(t.Context(), orphan)
	require.ErrorIs(t, err, storage.ErrNotFound)
	for _, key := range []storage.Key{late, young} {
		_, err = g.server.cfg.Store.Stat(t.Context(), key)
		require.NoError(t, err, "an upload may be about to record it")
	}
}

func TestMediaOfASlowClockIsKeptAsLongAsAnyOther(t *testing.T) {
	g := newRig(t, nil, endpointsOf(channel.Endpoint{ManifestWindow: time.Minute})...)
	for k := range 10 {
		g.at(noon.Add(40*time.Minute + time.Duration(k)*segmentLength))
		require.Equal(t, http.StatusOK, g.put("video", k, 0))
	}
	g.server.Expire(t.Context())
	require.Equal(t, 10, g.storedSegments(), "it is 40 minutes old, and came just now")
	g.at(noon.Add(50 * time.Minute))
	g.server.Expire(t.Context())
	require.Zero(t, g.storedSegments())
}

func TestAChannelThatComesBackIsNumberedAsItIsConfigured(t *testing.T) {
	g := newRig(t, nil, endpointsOf(standard())...)
	g.push(0, 2)
	config := g.server.cfg
	config.Channels, config.Metrics = channel.NewRegistry(), metrics.New(func(channel.ID) bool { return true })
	again, err := New(config)
	require.NoError(t, err)
	require.NoError(t, again.Recover(t.Context()))
	ch := channel.Default(chID)
	ch.Numbering = channel.NumberingCounter
	_, err = config.Channels.Replace(channel.Set{Channels: []channel.Channel{ch}})
	require.NoError(t, err)
	_, tl, err := again.Live(t.Context(), chID)
	require.NoError(t, err)
	require.True(t, tl.State().Counted)
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

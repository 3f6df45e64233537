package timeline

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"headwater/packager/media"
	"headwater/storage"
	"headwater/storage/mem"
)

// gated is a journal whose first record of a segment waits.
type gated struct {
	storage.Journal
	once          sync.Once
	reached, open chan struct{}
}

func (g *gated) Append(ctx context.Context, stream string, records ...[]byte) (storage.Position, error) {
	if strings.HasSuffix(stream, segmentsSuffix) {
		first := false
		g.once.Do(func() { first = true })
		if first {
			close(g.reached)
			<-g.open
		}
	}
	return g.Journal.Append(ctx, stream, records...)
}

// The two arrive at once, as the first segments of an encoder do that sends no more of them.
func TestAudioThatIsBeingJournaledIsSettledByItsVideoAlone(t *testing.T) {
	j := &gated{Journal: mem.New(time.Now), reached: make(chan struct{}), open: make(chan struct{})}
	w := newWorldOn(t, Options{}, j)
	w.track("v", media.Video, 90000)
	w.track("a", media.Audio, 48000)
	w.part(media.At(1000, 1))
	audio, video := w.segment("a", 1000*48000, 1002*48000), w.segment("v", 1000*90000, 1002*90000)
	var together sync.WaitGroup
	together.Go(func() { _, err := w.tl.Append(w.ctx, "a", audio); assert.NoError(t, err) })
	<-j.reached
	together.Go(func() { _, err := w.tl.Append(w.ctx, "v", video); assert.NoError(t, err) })
	time.Sleep(10 * time.Millisecond)
	close(j.open)
	together.Wait()
	require.Equal(t, w.numbers("v"), w.numbers("a"))
	require.Len(t, w.numbers("a"), 1)
}

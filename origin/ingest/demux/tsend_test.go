package demux

import (
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// TestTheLastPictureLastsUntilTheEndOfTheSegment: a transport stream does not say when that is.
func TestTheLastPictureLastsUntilTheEndOfTheSegment(t *testing.T) {
	const audioFrame = 1920 // ticks of 90 kHz
	every := func(n int) (out []int64) {
		for i := range n {
			out = append(out, int64(i))
		}
		return out
	}
	for _, c := range []struct {
		name     string
		pictures []int64 // presentation times in frames of 40 ms; decoded in this order
		delay    int64   // frames by which decode times run ahead
		from, to int64   // of the audio, in frames of 40 ms from the first picture; none when equal
		want     int64   // duration of the video in frames
		open     bool    // nothing bears that out
	}{
		{"as it does in a still scene", []int64{0, 1, 2}, 0, 0, 50, 50, false},
		{"as it does in a scene that was still before", []int64{0, 45, 46}, 0, 0, 50, 50, false},
		{"though it is the only one", []int64{0}, 0, 0, 50, 50, false},
		{"that comes a picture later", []int64{0, 1, 2, 3}, 0, 0, 5, 5, false},
		{"whose pictures are reordered", []int64{0, 3, 1, 2}, 2, -2, 48, 50, false},
		{"although the audio began earlier", []int64{0, 1}, 0, -10, 50, 50, false},
		{"as usual, where no audio says otherwise", []int64{0, 45, 46}, 0, 0, 0, 47, true},
		{"as usual, not as the still picture before it", []int64{0, 1, 2, 40}, 0, 0, 0, 41, true},
		{"as usual, at another rate than declared", []int64{0, 2, 4, 6}, 0, 0, 0, 8, true},
		{"as usual, with audio of the same length", every(50), 0, 0, 50, 50, false},
		{"as usual, with audio that lies earlier in the stream", every(50), 0, -8, 42, 50, true},
		{"as usual, with audio that lies later in the stream", every(50), 0, 8, 58, 50, true},
		{"as usual, where video is at its end", []int64{0, 1, 2}, 0, 0, 300, 3, false},
	} {
		for start, name := range map[int64]string{20 * frameTime: "", clockPeriod - 25*frameTime: ", over the wrap of the clock"} {
			t.Run(c.name+name, func(t *testing.T) {
				m := newMuxer(t, aacTrack())
				for i, p := range c.pictures {
					nals := [][]byte{slice}
					if i == 0 {
						nals = [][]byte{sps1(t), pps, idr}
					}
					dts := p
					if c.delay > 0 {
						dts = int64(i) - c.delay
					}
					m.picture(start+p*frameTime, start+dts*frameTime, nals...)
				}
				for at := c.from * frameTime; at < c.to*frameTime; at += audioFrame {
					m.aac(start+at, "audio")
				}
				frags, _ := tracks(t, m.bytes())
				require.EqualValues(t, c.want*frameTime, frags[media.Video].Duration())
				require.Equal(t, c.open, frags[media.Video].OpenEnd)
			})
		}
	}
}

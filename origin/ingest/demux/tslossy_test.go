package demux

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"headwater/packager/media"
)

// spoil loses, tears and surrounds packets of a transport stream, about one in three hundred. What it tears it does not lengthen:
// a packet with as many bytes too few as too many cannot be told from a whole one.
func spoil(body []byte, rng *rand.Rand) (out []byte) {
	torn := false
	for ; len(body) >= packetSize; body = body[packetSize:] {
		p := body[:packetSize]
		what := rng.IntN(900)
		if what == 2 && torn {
			what = 3
		}
		switch torn = what == 1; what {
		case 0:
			continue
		case 1:
			p = p[:1+rng.IntN(packetSize-1)]
		case 2:
			for range 1 + rng.IntN(2*packetSize) {
				out = append(out, byte(rng.Uint32()))
			}
		}
		out = append(out, p...)
	}
	return out
}

func TestOfADamagedTransportStreamOnlyWholePicturesAreTaken(t *testing.T) {
	body := read(t, encode(t, " -map 0:v -map 1:a -c:v libx264 -preset ultrafast -b:v 2M -g 25 -pix_fmt yuv420p -c:a aac -f mpegts a.ts"), "a.ts")
	known := map[[32]byte]bool{}
	each := func(f *Fragment, data []byte, visit func(sum [32]byte)) {
		if f.Track.Kind != media.Video {
			return
		}
		for _, s := range f.Samples {
			visit(sha256.Sum256(data[:s.Size]))
			data = data[s.Size:]
		}
	}
	good, err := ReadTS(bytes.NewReader(body), DefaultLimits)
	require.NoError(t, err)
	for i := range good {
		data, err := io.ReadAll(good[i].Body)
		require.NoError(t, err)
		each(&good[i], data, func(sum [32]byte) { known[sum] = true })
	}
	wrong, taken := 0, 0
	for seed := range uint64(200) {
		damaged := spoil(body, rand.New(rand.NewPCG(seed, 7)))
		check := func(f *Fragment) {
			data, err := io.ReadAll(f.Body)
			require.NoError(t, err)
			each(f, data, func(sum [32]byte) {
				taken++
				if !known[sum] {
					wrong++
				}
			})
		}
		if frags, err := ReadTS(bytes.NewReader(damaged), DefaultLimits); err == nil {
			for i := range frags {
				check(&frags[i])
			}
		}
		for r := NewTSReader(bytes.NewReader(damaged), DefaultLimits); ; {
			ev, err := r.Next()
			if err != nil {
				break
			}
			if ev.Fragment != nil {
				check(ev.Fragment)
			}
		}
	}
	require.Zero(t, wrong, "of %d", taken)
}

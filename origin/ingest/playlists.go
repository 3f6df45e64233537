package ingest

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"headwater/origin/ingest/demux"
	"headwater/origin/ingest/manifest"
	"headwater/packager/media"
)

// Limits of a playlist or MPD in bytes, unpacked.
const (
	maxManifest = 8 << 20
	maxText     = 256 << 10 // to be read back
)

// readManifest reads a playlist or MPD, packed with gzip or not, into held memory.
func readManifest(br *bufio.Reader, held *share) ([]byte, error) {
	var r io.Reader = br
	if magic, _ := br.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		gz, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("%w: gzip: %w", demux.ErrMalformed, err)
		}
		r = gz
	}
	data, err := io.ReadAll(held.reading(io.LimitReader(r, maxManifest+1)))
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &corrupt):
		return nil, fmt.Errorf("%w: gzip: %w", demux.ErrMalformed, err)
	case err != nil:
		return nil, err
	case len(data) > maxManifest:
		return nil, fmt.Errorf("%w: manifest over %d bytes", demux.ErrTooLarge, maxManifest)
	}
	return data, nil
}

// playlist receives an HLS playlist. Playlists are advisory: they tell which files belong together, the encoder's
// wall clock and languages; times and durations come from the media.
func (p *push) playlist(ctx context.Context, data []byte) error {
	pl, err := manifest.ParsePlaylist(data)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", demux.ErrMalformed, p.name, err)
	}
	before, _ := p.in.names.text(p.name)
	p.in.names.setText(p.name, data)
	if !pl.Multivariant {
		if ends := p.in.names.setPlaylist(p.name, pl); ends {
			return p.endOf(ctx, p.listed()...)
		}
		return nil
	}
	gone := p.in.names.setMaster(p.name, pl)
	if err := p.forget(ctx, gone...); err != nil || bytes.Equal(before, data) || len(data) > maxText {
		return err
	}
	return p.keep(ctx, data)
}

// mpd receives a DASH manifest: it tells which init segment belongs to which media.
func (p *push) mpd(ctx context.Context, data []byte) error {
	m, err := manifest.ParseMPD(data)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", demux.ErrMalformed, p.name, err)
	}
	ends, err := p.in.names.setMPD(p.name, m)
	if err != nil {
		return err
	}
	p.in.names.setText(p.name, data)
	if !ends {
		return nil
	}
	variants := p.in.ends.within(func(name string) bool {
		rel, below := relative(p.name, name)
		return below && m.Lists(rel)
	})
	if len(variants) == 0 {
		variants = []string{p.name} // an input that is not active
	}
	return p.endOf(ctx, variants...)
}

// programTime returns a function that looks up what the encoder's playlist says of this upload's start. Of several tracks
// the first that is placed asks: the others begin a little apart and go with it.
func (p *push) programTime(ctx context.Context) func() time.Time {
	if p.hls() && !p.timed {
		return func() time.Time {
			p.timed = true
			return p.in.names.entry(ctx, p.name, p.tale, p.began).at
		}
	}
	return noProgramTime
}

// unusual is the share of a segment's usual duration (one in unusual) from which on another duration is not believed
// before the playlist was asked.
const unusual = 8

// lastLonger makes the last picture of a fragment whose end the upload does not show last as long as the playlist says. The
// playlist is asked only where the segment seems to be no usual one: it may come late.
func (p *push) lastLonger(ctx context.Context, f *demux.Fragment) {
	length, usual := media.At(f.Duration(), f.Track.Timescale).Duration(), p.tl.Step()
	if !f.OpenEnd || abs(length-usual) <= usual/unusual {
		return
	}
	more := p.in.names.entry(ctx, p.name, p.tale, p.began).duration - length
	if more > 0 && more <= longestStill {
		f.Samples[len(f.Samples)-1].Duration += uint32(media.FromDuration(more).Round(f.Track.Timescale))
	}
}

// longestStill is how much longer the last picture of a segment may last than is usual because a playlist says so.
const longestStill = 10 * time.Second

func noProgramTime() time.Time { return time.Time{} }

// hls reports whether the upload is a file that a playlist may list.
func (p *push) hls() bool {
	if _, stream := streamName(p.name); stream {
		return false
	}
	if p.muxed || path.Ext(p.name) == ".ts" {
		return true
	}
	at, sure := p.in.names.initKnown(p.name)
	s, named := initStem(at)
	return !sure || !named || s != mediaStem(p.name)
}

// setMPD remembers an MPD, unless it alone is more than all may be. ends says that it is static and the one before was not.
func (n *names) setMPD(name string, m *manifest.MPD) (ends bool, err error) {
	size := 0
	for i := range m.Representations {
		size += m.Representations[i].Size()
	}
	if size > maxMPDBytes {
		return false, fmt.Errorf("%w: the names that %s lists are more than %d bytes", demux.ErrTooLarge, name, maxMPDBytes)
	}
	n.update(func() {
		before := n.mpds.m[name]
		ends = m.Static && (before == nil || !before.Static)
		n.mpds.set(name, m, size)
	})
	return ends, nil
}

// inited returns the init segment that was received under this very name, nil when none was.
func (n *names) inited(name string) *demux.Init {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.inits.m[name]
}

func (n *names) initKnown(name string) (at string, sure bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.initPath(name)
}

func (n *names) text(name string) ([]byte, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	t, ok := n.texts.m[name]
	return t, ok
}

func (n *names) setText(name string, data []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(data) <= maxText {
		n.texts.set(name, data, 0)
	}
}

package ingest

import (
	"errors"
	"io"
	"path"

	"headwater/origin/ingest/demux"
)

// This file is what is not made anything of in uploads that are taken.

// What an Observer's LeftOut counts.
const (
	LeftPackets = "packets" // packets and frames of MPEG-TS that are missing or damaged
	LeftTracks  = "tracks"  // of types that are not packaged, beside good ones
	LeftUploads = "uploads" // of types that are not packaged
	LeftDrift   = "drift"   // segments of an encoder whose clock is fast
)

// leftOut counts tracks or an upload that nothing is made of, and logs it once for files of this kind.
func (p *push) leftOut(what string, why []string) {
	if len(why) == 0 {
		return
	}
	p.seen.LeftOut(p.id, what, len(why))
	key := what + "|" + stemKey(p.name) + path.Ext(p.name)
	if !p.in.names.tell(key) {
		return
	}
	if what == LeftUploads {
		p.log.Info("upload ignored: nothing is made of files of this type")
		return
	}
	for _, reason := range why {
		p.log.Info("upload has a track that is not packaged", "track", reason)
	}
}

// tell reports whether something is to be logged for the first time.
func (n *names) tell(what string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	had := n.logged.has(what)
	n.logged.set(what, struct{}{}, 0)
	return !had
}

// tsLeftOut counts what MPEG-TS lacks, and the streams in it that are not packaged.
func (p *push) tsLeftOut(frags []demux.Fragment) {
	lost := 0
	for i := range frags {
		lost += frags[i].Lost
	}
	if lost > 0 {
		p.seen.LeftOut(p.id, LeftPackets, lost)
		if !p.lacks { // an endless one may lack some all the time
			p.log.Warn("upload lacks packets", "lost", lost)
		}
		p.lacks = true
	}
	p.leftOut(LeftTracks, frags[0].Ignored)
}

// askEvery is how much of an upload that nothing is made of is read before it is asked again whether it may go on.
const askEvery = 1 << 20

// ignore reads an upload that nothing is made of to its end, which an endless stream need not have.
func (p *push) ignore() error {
	p.leftOut(LeftUploads, []string{p.name})
	if _, stream := insideStream(p.name); stream {
		p.body.limit = 0
	}
	for {
		if _, err := io.CopyN(io.Discard, p.body, askEvery); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := p.allowed(); err != nil {
			return err
		}
	}
}

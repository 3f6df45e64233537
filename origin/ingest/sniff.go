package ingest

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"path"

	"headwater/origin/ingest/demux"
)

// This file is what an upload is by its bytes. A name whose extension is unknown, missing or wrong is good: the bytes decide
// where they are clear, else the name does.

// maxSniff is how many bytes are looked at: of a manifest its declaration and comments, of MPEG-TS what may stand before its
// first packet.
const maxSniff = 4 << 10

// kind finds out what an upload is. It waits for as many bytes only as can still tell, and looks at what has come with them.
func (p *push) kind(br *bufio.Reader) fileKind {
	named := kindOf(p.name)
	if named == fileSparse {
		return named // text and events come in MP4 as well
	}
	_, stream := insideStream(p.name)
	sure := named != fileOther && (stream || path.Ext(p.name) != "")
	for n := 1; ; {
		_, err := br.Peek(n)
		head, _ := br.Peek(min(br.Buffered(), maxSniff))
		ended := err != nil || len(head) == maxSniff
		if named == fileTS && len(head) > 0 && head[0] == syncByte {
			return fileTS
		}
		found, more := signature(head)
		if !sure && found == fileOther && !more {
			found, more = loosePackets(head)
		}
		if found != fileOther || !more || ended {
			return cmp.Or(found, named)
		}
		n = len(head) + 1
	}
}

// The packets of MPEG-TS (ISO/IEC 13818-1, 2.4.3.2).
const (
	packetSize = 188
	syncByte   = 0x47
)

// texts are what files of text begin with.
var texts = []struct {
	begin []byte
	kind  fileKind
}{{[]byte("#EXTM3U"), filePlaylist}, {[]byte("WEBVTT"), fileText}}

// signature returns what begins with head, fileOther when that tells nothing; more says that more bytes could tell.
func signature(head []byte) (k fileKind, more bool) {
	if magic := []byte{0x1f, 0x8b}; bytes.HasPrefix(head, magic) {
		return filePacked, false
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	for _, t := range texts {
		if bytes.HasPrefix(text, t.begin) {
			return t.kind, false
		}
		more = more || bytes.HasPrefix(t.begin, text)
	}
	if bytes.HasPrefix(text, []byte("<")) {
		return rootElement(text)
	}
	if len(head) < 8 {
		return fileOther, true
	}
	if head[0] == syncByte {
		if len(head) <= packetSize {
			return fileOther, true
		}
		if head[packetSize] == syncByte {
			return fileTS, false
		}
	}
	if head[0] == 0 && boxes[string(head[4:8])] { // no box that a file begins with has 16 MiB
		return fileMP4, false
	}
	return fileOther, more
}

// boxes are those that an MP4 file or a piece of one may begin with (ISO/IEC 14496-12; 23009-1, 6.3.4).
var boxes = map[string]bool{"ftyp": true, "styp": true, "moov": true, "moof": true, "sidx": true, "ssix": true, "prft": true, "emsg": true,
	"free": true, "skip": true, "uuid": true, "mdat": true, "mfra": true, "pdin": true}

// rootElement tells an MPD from other XML by the name of its first element.
func rootElement(text []byte) (k fileKind, more bool) {
	for {
		text = bytes.TrimLeft(text, " \t\r\n")
		end := ""
		switch {
		case bytes.HasPrefix(text, []byte("<?")):
			end = "?>"
		case bytes.HasPrefix(text, []byte("<!--")):
			end = "-->"
		case bytes.HasPrefix(text, []byte("<!")) && !bytes.HasPrefix([]byte("<!--"), text):
			end = ">"
		}
		if end == "" {
			break
		}
		_, rest, ok := bytes.Cut(text, []byte(end))
		if !ok {
			return fileOther, true
		}
		text = rest
	}
	stop := bytes.IndexAny(text, " \t\r\n/>")
	if stop < 0 {
		return fileOther, len(text) < maxName
	}
	name := text[:stop]
	if i := bytes.IndexByte(name, ':'); i >= 0 { // a prefix of its namespace
		name = name[i+1:]
	} else {
		name = bytes.TrimPrefix(name, []byte("<"))
	}
	if string(name) == "MPD" && text[0] == '<' {
		return fileMPD, false
	}
	return fileOther, false
}

// loosePackets finds three packets of MPEG-TS behind something else, which their reader skips.
func loosePackets(head []byte) (k fileKind, more bool) {
	for i := range max(0, len(head)-2*packetSize) {
		if head[i] == syncByte && head[i+packetSize] == syncByte && head[i+2*packetSize] == syncByte {
			return fileTS, false
		}
	}
	return fileOther, true
}

// manifest receives a playlist or an MPD, packed with gzip or not; what it is shows when it is unpacked.
func (p *push) manifest(ctx context.Context, br *bufio.Reader) error {
	data, err := readManifest(br, p.held)
	if err != nil || len(data) == 0 {
		return err
	}
	found, _ := signature(data[:min(len(data), maxSniff)])
	switch found = cmp.Or(found, kindOf(p.name)); found {
	case filePlaylist:
		return p.playlist(ctx, data)
	case fileMPD:
		return p.mpd(ctx, data)
	case fileMP4, fileTS:
		return fmt.Errorf("%w: %s is packed with gzip, and no playlist or MPD", demux.ErrUnsupported, p.name)
	}
	return p.ignore()
}

package origin

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// captures is where recorded pushes are kept; its README.md says how, and what the files mean.
const captures = "../testdata/captures"

// capture is what an encoder sent over HTTP, as it came.
type capture struct {
	about  about
	events []event // by time
}

// about is the first line of a capture.
type about struct {
	Name     string         `json:"name"`
	Began    time.Time      `json:"began"` // what the times of events count from
	Encoder  string         `json:"encoder"`
	Commands []string       `json:"commands"` // one shell command each, run one after the other; $IN is the channel's ingest URL
	Source   []sourceStream `json:"source"`
}

// sourceStream is what ffprobe says of a stream in the recorded files, put together.
type sourceStream struct {
	Files    string  `json:"files"` // as in rendition
	Codec    string  `json:"codec"`
	Width    int     `json:"width,omitempty"`
	Height   int     `json:"height,omitempty"`
	Rate     int     `json:"rate,omitempty"`
	Channels int     `json:"channels,omitempty"`
	Language string  `json:"language,omitempty"`
	Frames   int     `json:"frames"`
	From     float64 `json:"from"` // seconds: earliest presentation time, edit lists applied
	To       float64 `json:"to"`   // and the end of what is presented last
}

// event is something that an encoder did: all fields but At and Conn exclude each other.
type event struct {
	At    time.Duration // since the capture began
	Conn  int           // counted from 1 in the order in which they were opened
	Head  []string      // begins a request: its line and its header, as they came
	Data  []byte        // of a body, the framing of HTTP taken off
	Done  bool          // ends a request's body as HTTP has it
	Close bool          // closes the connection: in the middle of a body, or after it
}

// eventLine is an event as it is written. Data that is text is written out, else Bytes of it follow in the other file.
type eventLine struct {
	Micros int64    `json:"us"`
	Conn   int      `json:"conn"`
	Head   []string `json:"head,omitempty"`
	Text   string   `json:"text,omitempty"`
	Bytes  int      `json:"bytes,omitempty"`
	Done   bool     `json:"done,omitempty"`
	Close  bool     `json:"close,omitempty"`
}

// write keeps a capture as NAME.jsonl and NAME.gz.
func (c capture) write(t *testing.T) {
	t.Helper()
	var lines, bodies bytes.Buffer
	out := json.NewEncoder(&lines)
	out.SetEscapeHTML(false)
	packed, err := gzip.NewWriterLevel(&bodies, gzip.BestCompression)
	require.NoError(t, err)
	require.NoError(t, out.Encode(c.about))
	for _, e := range c.events {
		l := eventLine{Micros: e.At.Microseconds(), Conn: e.Conn, Head: e.Head, Done: e.Done, Close: e.Close}
		if readable(e.Data) {
			l.Text = string(e.Data)
		} else {
			l.Bytes = len(e.Data)
			_, err = packed.Write(e.Data)
			require.NoError(t, err)
		}
		require.NoError(t, out.Encode(l))
	}
	require.NoError(t, packed.Close())
	file := filepath.Join(captures, c.about.Name)
	require.NoError(t, os.WriteFile(file+".jsonl", lines.Bytes(), 0o644))
	require.NoError(t, os.WriteFile(file+".gz", bodies.Bytes(), 0o644))
}

func readable(b []byte) bool {
	return utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' })
}

// readCapture returns the capture of a name.
func readCapture(t *testing.T, name string) (c capture) {
	t.Helper()
	file := filepath.Join(captures, name)
	lines, err := os.ReadFile(file + ".jsonl")
	require.NoError(t, err)
	raw, err := os.ReadFile(file + ".gz")
	require.NoError(t, err)
	bodies, err := gzip.NewReader(bytes.NewReader(raw))
	require.NoError(t, err)
	in := json.NewDecoder(bytes.NewReader(lines))
	in.DisallowUnknownFields()
	require.NoError(t, in.Decode(&c.about))
	for in.More() {
		var l eventLine
		require.NoError(t, in.Decode(&l))
		e := event{At: time.Duration(l.Micros) * time.Microsecond, Conn: l.Conn, Head: l.Head, Data: []byte(l.Text), Done: l.Done, Close: l.Close}
		if l.Bytes > 0 {
			e.Data = make([]byte, l.Bytes)
			_, err = io.ReadFull(bodies, e.Data)
			require.NoError(t, err)
		}
		c.events = append(c.events, e)
	}
	rest, err := io.Copy(io.Discard, bodies)
	require.NoError(t, err)
	require.Zero(t, rest, "bytes that no line stands for")
	return c
}

// wire returns an event as it stands on a connection whose request is chunked or not; nothing for Close.
func (e event) wire(chunked bool) []byte {
	switch {
	case e.Head != nil:
		return []byte(strings.Join(e.Head, "\r\n") + "\r\n\r\n")
	case e.Done && chunked:
		return []byte("0\r\n\r\n")
	case len(e.Data) > 0 && chunked:
		return fmt.Appendf(nil, "%x\r\n%s\r\n", len(e.Data), e.Data)
	}
	return e.Data
}

// field returns the value of a header field, "" when there is none.
func (e event) field(name string) string {
	for _, line := range e.Head[min(1, len(e.Head)):] {
		if key, value, _ := strings.Cut(line, ":"); strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (e event) chunked() bool { return strings.EqualFold(e.field("Transfer-Encoding"), "chunked") }

// exchange is a recorded request.
type exchange struct {
	method, target string
	body           []byte
	whole          bool // it did not break off
	ended          time.Duration
}

// name returns the path and the query of a request below the channel, "." for the channel itself.
func (x exchange) name() string { return cmp.Or(strings.TrimPrefix(x.target, channelPath+"/"), ".") }

// exchanges returns the requests of a capture in the order in which they ended.
func (c capture) exchanges() (out []exchange) {
	open := map[int]*exchange{}
	end := func(e event) {
		if x := open[e.Conn]; x != nil {
			x.whole, x.ended = e.Done, e.At
			out = append(out, *x)
			delete(open, e.Conn)
		}
	}
	for _, e := range c.events {
		switch {
		case e.Head != nil:
			words := strings.Fields(e.Head[0])
			open[e.Conn] = &exchange{method: words[0], target: words[1]}
		case e.Done, e.Close:
			end(e)
		default:
			open[e.Conn].body = append(open[e.Conn].body, e.Data...)
		}
	}
	return out
}

// gather is the time in which pieces of one body count as one: encoders flush what they have in many.
const gather = 10 * time.Millisecond

// ordered sorts events by time, and joins the pieces of bodies that came at about the same time.
func ordered(raw []event) (out []event) {
	slices.SortStableFunc(raw, func(a, b event) int { return int(a.At - b.At) })
	last := map[int]int{}            // of a connection, its last event in out
	began := map[int]time.Duration{} // and when the first of its pieces came
	for _, e := range raw {
		i, ok := last[e.Conn]
		if ok && e.Data != nil && out[i].Data != nil && e.At-began[e.Conn] < gather {
			e.Data = append(out[i].Data, e.Data...)
			out[i] = event{} // it counts from when all of it is there
		} else {
			began[e.Conn] = e.At
		}
		last[e.Conn] = len(out)
		out = append(out, e)
	}
	return slices.DeleteFunc(out, func(e event) bool { return e.Conn == 0 })
}

// readHead reads the request line and the header of a request as they are.
func readHead(r *bufio.Reader) (lines []string, err error) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, err
		}
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return lines, nil
		}
		lines = append(lines, line)
	}
}

package origin

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// channelPath is the channel that captures are pushed to.
const channelPath = "/in/v1/default/1/ch"

// recorder is an HTTP server that takes everything and records what comes, from the bytes on the wire on.
type recorder struct {
	listener net.Listener
	secret   bool // it wants credentials, and does not look at them
	began    time.Time
	conns    sync.WaitGroup

	mu     sync.Mutex
	events []event
}

func newRecorder(t *testing.T, secret bool) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &recorder{listener: l, secret: secret, began: time.Now().UTC().Truncate(time.Microsecond)}
	go func() {
		for n := 1; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Go(func() {
				s.serve(n, conn)
				_ = conn.Close()
			})
		}
	}()
	return s
}

// url returns where an encoder pushes to.
func (s *recorder) url() string { return "http://" + s.listener.Addr().String() + channelPath }

// end returns what was recorded once every encoder has left.
func (s *recorder) end() []event {
	_ = s.listener.Close()
	s.conns.Wait()
	return ordered(s.events)
}

func (s *recorder) record(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.At = time.Since(s.began).Truncate(time.Microsecond)
	s.events = append(s.events, e)
}

// serve takes the requests of a connection until its client closes it.
func (s *recorder) serve(n int, conn net.Conn) {
	r := bufio.NewReader(conn)
	defer s.record(event{Conn: n, Close: true})
	for {
		head, err := readHead(r)
		if err != nil {
			return
		}
		e := event{Conn: n, Head: head}
		s.record(e)
		status := "200 OK"
		switch {
		case s.secret && e.field("Authorization") == "":
			status = "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"ingest\""
		case strings.HasPrefix(head[0], "GET "):
			status = "404 Not Found"
		case e.field("Expect") != "":
			_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		refused := s.secret && e.field("Authorization") == "" && e.field("Expect") != ""
		if !refused { // else the body does not come
			if s.body(n, e, r) != nil {
				return
			}
			s.record(event{Conn: n, Done: true})
		}
		closing := strings.EqualFold(e.field("Connection"), "close")
		if closing {
			status += "\r\nConnection: close"
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 "+status+"\r\nContent-Length: 0\r\n\r\n") // it may have left
		if closing {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}
}

// body records the body of a request as it comes.
func (s *recorder) body(n int, e event, r *bufio.Reader) error {
	if e.chunked() {
		return s.chunks(n, r)
	}
	length := e.field("Content-Length")
	if length == "" {
		return nil
	}
	left, err := strconv.Atoi(length)
	if err != nil {
		return err
	}
	for left > 0 {
		b := make([]byte, min(left, 32<<10))
		got, err := r.Read(b)
		if got > 0 {
			s.record(event{Conn: n, Data: b[:got]})
		}
		if left -= got; err != nil && left > 0 {
			return err
		}
	}
	return nil
}

func (s *recorder) chunks(n int, r *bufio.Reader) error {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(strings.TrimSpace(line), 16, 32)
		if err != nil {
			return err
		}
		b := make([]byte, size)
		got, err := io.ReadFull(r, b)
		if got > 0 {
			s.record(event{Conn: n, Data: b[:got]})
		}
		if err != nil {
			return err
		}
		if _, err := r.ReadString('\n'); err != nil || size == 0 {
			return err
		}
	}
}

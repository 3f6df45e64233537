package objects

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of an access log that is not written as fast as it comes.
const (
	logQueue = 8192      // lines, of about 500 bytes
	logBatch = 128 << 10 // bytes that are written at once
)

// AccessLog writes a line of JSON for each request to a container whose access logging is on: docs/formats/access-log.md.
// Requests do not wait for the disk: when too many lines do, more are dropped and counted. It is a collector of the count.
// Create with OpenAccessLog.
type AccessLog struct {
	prometheus.Collector
	dropped prometheus.Counter
	name    string
	open    func(name string) (*os.File, error)

	mu     sync.RWMutex // exclusive: to end
	closed bool
	queue  chan []byte
	reopen chan chan error
	ended  chan struct{}

	file *os.File // of the goroutine that writes
	torn bool     // the last line is not whole
}

// Stdout is the name of an access log that goes to standard output.
const Stdout = "-"

// OpenAccessLog returns an access log that is appended to the file of a name, which is made if needed and not limited in size,
// or written to Stdout. The caller closes it.
func OpenAccessLog(name string) (*AccessLog, error) {
	dropped := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "headwater", Name: "container_access_log_dropped_total",
		Help: "Lines of the access log that were not written: the disk was too slow, or failed."})
	l := &AccessLog{Collector: dropped, dropped: dropped, name: name, open: openLog, queue: make(chan []byte, logQueue),
		reopen: make(chan chan error), ended: make(chan struct{})}
	var err error
	if l.file, err = l.open(name); err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	go l.run()
	return l, nil
}

func openLog(name string) (*os.File, error) {
	if name == Stdout {
		return os.Stdout, nil
	}
	return os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
}

// Observe writes the line of a request, if its container wants it.
func (l *AccessLog) Observe(r *Record) {
	if !r.Container.AccessLogging {
		return
	}
	line, err := json.Marshal(newLogLine(r))
	if err != nil { // it is of strings and numbers
		l.dropped.Inc()
		return
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		l.dropped.Inc()
		return
	}
	select {
	case l.queue <- append(line, '\n'):
	default:
		l.dropped.Inc()
	}
}

// Reopen goes on in a new file of the same name, after the old one was renamed. On error it goes on in the old one.
func (l *AccessLog) Reopen() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed || l.name == Stdout {
		return nil
	}
	done := make(chan error)
	l.reopen <- done
	return <-done
}

// Close writes what waits and ends the log; requests that end later are dropped.
func (l *AccessLog) Close() error {
	l.mu.Lock()
	already := l.closed
	l.closed = true
	l.mu.Unlock()
	if already {
		return nil
	}
	close(l.queue)
	<-l.ended
	if l.name == Stdout {
		return nil
	}
	return l.file.Close()
}

func (l *AccessLog) run() {
	defer close(l.ended)
	for {
		select {
		case done := <-l.reopen:
			done <- l.swap()
		case line, ok := <-l.queue:
			if !ok {
				return
			}
			l.write(line)
		}
	}
}

// swap opens the file anew. What was observed before is in the old one.
func (l *AccessLog) swap() error {
	for n := len(l.queue); n > 0 && len(l.queue) > 0; n-- {
		l.write(<-l.queue) // nobody else takes from it
	}
	f, err := l.open(l.name)
	if err != nil {
		return fmt.Errorf("access log: %w", err)
	}
	old := l.file
	l.file, l.torn = f, false
	return old.Close()
}

// write writes a line, and those that have queued up behind it.
func (l *AccessLog) write(line []byte) {
	batch, lines := line, 1
	if l.torn {
		batch = append([]byte{'\n'}, line...)
	}
	for range len(l.queue) {
		if len(batch) >= logBatch {
			break
		}
		next, ok := <-l.queue
		if !ok {
			break
		}
		batch, lines = append(batch, next...), lines+1
	}
	n, err := l.file.Write(batch)
	if err != nil {
		l.dropped.Add(float64(lines - strings.Count(string(batch[:n]), "\n")))
		l.torn = l.torn && n == 0 || n > 0 && batch[n-1] != '\n'
		return
	}
	l.torn = false
}

// logLine is a line as MediaStore wrote it (reference 7.2). What is null there is null here.
type logLine struct {
	Path           string
	Requester      string `json:",omitempty"`
	AWSAccountID   string `json:"AWSAccountId,omitempty"`
	RequestID      string
	ContainerName  string
	Operation      string
	TotalTime      int64 // ms
	TurnAroundTime int64 // ms
	BytesReceived  int64
	BytesSent      int64
	ReceivedTime   string
	ErrorCode      *string
	Source         *string
	HTTPStatus     int
	ExpiresAt      *string
}

// noValue stands for a path or an operation that a request has not.
const noValue = "-"

func newLogLine(r *Record) logLine {
	line := logLine{
		Path: "/" + r.Path, Requester: r.Requester, AWSAccountID: account(r.Requester), RequestID: r.RequestID,
		ContainerName: r.Container.Name, Operation: string(r.Operation),
		TotalTime: r.Total.Milliseconds(), TurnAroundTime: r.Turnaround.Milliseconds(),
		BytesReceived: r.BytesIn, BytesSent: r.BytesOut,
		ReceivedTime: r.Received.UTC().Format("2006-01-02T15:04:05.000Z"), HTTPStatus: r.Status,
	}
	if r.Path == "" {
		line.Path = noValue
	}
	if r.Operation == "" {
		line.Operation = noValue
	}
	if r.ErrorCode != "" {
		line.ErrorCode = &r.ErrorCode
	}
	if r.Source != "" {
		line.Source = &r.Source
	}
	if !r.Expires.IsZero() {
		at := r.Expires.UTC().Format(time.RFC3339)
		line.ExpiresAt = &at
	}
	return line
}

// account returns the account of an ARN, "" where there is none.
func account(arn string) string {
	if f := strings.SplitN(arn, ":", 6); len(f) == 6 && f[0] == "arn" {
		return f[4]
	}
	return ""
}

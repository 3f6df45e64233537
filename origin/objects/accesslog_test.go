package objects

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/container"
)

// openTestLog returns a log in a file that does not exist yet.
func openTestLog(t *testing.T) (*AccessLog, string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "access.log")
	l, err := OpenAccessLog(name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l, name
}

// logged reads the lines of a file.
func logged(t *testing.T, name string) (lines []map[string]any) {
	t.Helper()
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	for line := range strings.Lines(string(raw)) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &m), line)
		lines = append(lines, m)
	}
	return lines
}

func logRecord(path string) *Record {
	return &Record{Container: &container.Container{Name: "harbor", AccessLogging: true}, Operation: GetObject, Path: path, Status: 200,
		Received: time.Date(2026, 3, 1, 12, 0, 0, 245e6, time.UTC)}
}

func TestALineHasTheFieldsOfMediaStore(t *testing.T) {
	l, name := openTestLog(t)
	r := logRecord("live/index.m3u8")
	r.Requester, r.RequestID, r.Source = "arn:aws:iam::210987654321:user/encoder", "R1", "192.0.2.1"
	r.Total, r.Turnaround, r.BytesIn, r.BytesOut = 1999*time.Microsecond, 42*time.Millisecond, 7, 184
	r.Expires, r.ErrorCode = time.Date(2026, 3, 1, 12, 0, 15, 9, time.UTC), CodeClientGone
	l.Observe(r)
	l.Observe(&Record{Container: r.Container, Status: 405, Requester: "anonymous"})
	require.NoError(t, l.Close())
	lines := logged(t, name)
	require.Equal(t, map[string]any{"Path": "/live/index.m3u8", "Requester": "arn:aws:iam::210987654321:user/encoder",
		"AWSAccountId": "210987654321", "RequestID": "R1", "ContainerName": "harbor", "Operation": "GetObject", "TotalTime": 1.0,
		"TurnAroundTime": 42.0, "BytesReceived": 7.0, "BytesSent": 184.0, "ReceivedTime": "2026-03-01T12:00:00.245Z",
		"ErrorCode": "ClientDisconnected", "Source": "192.0.2.1", "HTTPStatus": 200.0, "ExpiresAt": "2026-03-01T12:00:15Z"}, lines[0])
	require.Equal(t, "-", lines[1]["Path"])
	require.Equal(t, "-", lines[1]["Operation"])
	require.NotContains(t, lines[1], "AWSAccountId")
	for _, null := range []string{"ErrorCode", "Source", "ExpiresAt"} {
		require.Contains(t, lines[1], null)
		require.Nil(t, lines[1][null])
	}
}

func TestContainersAreLoggedWhoseLoggingIsOn(t *testing.T) {
	l, name := openTestLog(t)
	g := newRig(t, func(g *rig) { g.opt.Observe = l.Observe })
	g.put("/before", "x")
	g.changeContainer(func(c *container.Container) { c.AccessLogging = true })
	g.put("/a", "x")
	require.Equal(t, 404, g.do(http.MethodGet, "/none", nil).StatusCode)
	require.Eventually(t, func() bool { return len(logged(t, name)) == 2 }, 5*time.Second, 5*time.Millisecond)
	lines := logged(t, name)
	require.Equal(t, "/a", lines[0]["Path"])
	require.Equal(t, "anonymous", lines[0]["Requester"])
	require.Equal(t, "ObjectNotFoundException", lines[1]["ErrorCode"])
}

func TestALogIsRotatedByRename(t *testing.T) {
	l, name := openTestLog(t)
	const writers, each = 4, 500
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				l.Observe(logRecord("a"))
			}
		})
	}
	require.NoError(t, os.Rename(name, name+".1"))
	require.NoError(t, l.Reopen())
	wg.Wait()
	l.Observe(logRecord("last"))
	require.NoError(t, l.Close())
	old, next := logged(t, name+".1"), logged(t, name)
	require.Len(t, append(old, next...), writers*each+1)
	require.Equal(t, "/last", next[len(next)-1]["Path"])
	require.Zero(t, gather(t, l)["headwater_container_access_log_dropped_total"])
}

func TestAFileThatCannotBeReopenedIsWrittenOn(t *testing.T) {
	l, name := openTestLog(t)
	l.open = func(string) (*os.File, error) { return nil, os.ErrPermission }
	require.ErrorIs(t, l.Reopen(), os.ErrPermission)
	l.Observe(logRecord("a"))
	require.NoError(t, l.Close())
	require.Len(t, logged(t, name), 1)
	require.NoError(t, l.Reopen(), "there is nothing to reopen")
	l.Observe(logRecord("late"))
	require.Equal(t, 1.0, gather(t, l)["headwater_container_access_log_dropped_total"], "dropped")
}

// TestRequestsDoNotWaitForALogThatStands has the log written to a pipe that nobody reads.
func TestRequestsDoNotWaitForALogThatStands(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	l, _ := openTestLog(t)
	l.open = func(string) (*os.File, error) { return w, nil }
	require.NoError(t, l.Reopen())
	began := time.Now()
	const count = 3 * logQueue
	for range count {
		l.Observe(logRecord("a"))
	}
	require.Less(t, time.Since(began), 10*time.Second)
	require.GreaterOrEqual(t, gather(t, l)["headwater_container_access_log_dropped_total"], float64(logQueue))
	require.NoError(t, r.Close()) // the disk fails
	require.NoError(t, l.Close())
	require.LessOrEqual(t, gather(t, l)["headwater_container_access_log_dropped_total"], float64(count))
	require.Greater(t, gather(t, l)["headwater_container_access_log_dropped_total"], float64(2*logQueue))
}

func TestAfterATornLineANewOneBegins(t *testing.T) {
	l, name := openTestLog(t)
	require.NoError(t, l.Close())
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"Path":"/to`)
	require.NoError(t, err)
	l.file, l.torn, l.queue = f, true, make(chan []byte, 1)
	l.write([]byte("{}\n"))
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, "{\"Path\":\"/to\n{}\n", string(raw))
	require.False(t, l.torn)
	require.NoError(t, f.Close())
}

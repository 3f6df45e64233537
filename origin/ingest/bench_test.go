package ingest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"headwater/origin/timeline"
	"headwater/storage"
	"headwater/storage/fs"
)

// BenchmarkPutSegment uploads segments of 1.24 MB over HTTP: to the Handler on the file engine without fsync, and to a
// handler that only writes the body to a file.
func BenchmarkPutSegment(b *testing.B) {
	v := video(50)
	v.size = 24_800
	segment := v.fragment(0, 0, 50)
	tfdt := bytes.Index(segment, []byte("tfdt")) + 8
	run := func(b *testing.B, h http.Handler, count *atomic.Int64) {
		srv := httptest.NewServer(h)
		defer srv.Close()
		u, err := url.Parse(srv.URL)
		require.NoError(b, err)
		b.ReportAllocs()
		b.SetBytes(int64(len(segment)))
		for b.Loop() {
			n := count.Add(1)
			binary.BigEndian.PutUint64(segment[tfdt:], uint64(n*25600))
			u.Path = fmt.Sprintf("/v/%d.cmfv", n)
			r := &http.Request{Method: http.MethodPut, URL: u, Body: io.NopCloser(bytes.NewReader(segment)), ContentLength: int64(len(segment))}
			res, err := srv.Client().Do(r)
			require.NoError(b, err)
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			require.Equal(b, http.StatusOK, res.StatusCode)
		}
	}
	b.Run("ingest", func(b *testing.B) {
		engine, err := fs.Open(b.TempDir(), fs.Options{NoSync: true})
		require.NoError(b, err)
		b.Cleanup(func() { _ = engine.Close() })
		g := newRig(b)
		g.tl, err = timeline.Open(b.Context(), engine, chID.String(), timeline.Options{})
		require.NoError(b, err)
		var n atomic.Int64
		base := time.Now()
		g.h = New(g, storage.New(engine, storage.Options{}), g, Options{Now: func() time.Time {
			return base.Add(time.Duration(n.Load()) * 2 * time.Second)
		}})
		g.accept("v/init.cmfv", v.init(b))
		run(b, g.handler(1), &n)
		require.Zero(b, g.counted("duplicate"))
		require.EqualValues(b, n.Load(), g.counted("segment v"))
	})
	b.Run("file", func(b *testing.B) {
		dir := b.TempDir()
		run(b, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			f, err := os.Create(filepath.Join(dir, strings.ReplaceAll(r.URL.Path, "/", "_")))
			if err == nil {
				_, err = io.Copy(f, r.Body)
			}
			if err == nil {
				err = f.Close()
			}
			if err != nil {
				panic(err)
			}
		}), new(atomic.Int64))
	})
}

package fs

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"headwater/storage"
	"headwater/storage/storagetest"
)

const segmentSize = 1_240_000 // bytes, 2 s at 5 Mbit/s

func BenchmarkPlainFileWrite(b *testing.B) {
	for _, sync := range []bool{false, true} {
		b.Run(fmt.Sprintf("sync=%t", sync), func(b *testing.B) {
			dir, data := b.TempDir(), storagetest.Content("x", segmentSize)
			b.SetBytes(segmentSize)
			for i := 0; b.Loop(); i++ {
				f, err := os.Create(filepath.Join(dir, fmt.Sprint(i%64)))
				require.NoError(b, err)
				_, err = f.Write(data)
				require.NoError(b, err)
				if sync {
					require.NoError(b, f.Sync())
				}
				require.NoError(b, f.Close())
			}
		})
	}
}

func BenchmarkPut(b *testing.B) {
	for _, noSync := range []bool{true, false} {
		for _, attrs := range []storage.Attrs{{}, {ContentType: "video/mp4", ETag: "1"}} {
			b.Run(fmt.Sprintf("sync=%t/attrs=%t", !noSync, !attrs.IsZero()), func(b *testing.B) {
				e := openTest(b, b.TempDir(), Options{NoSync: noSync})
				s, data := storage.New(e, storage.Options{}), storagetest.Content("x", segmentSize)
				b.SetBytes(segmentSize)
				for i := 0; b.Loop(); i++ {
					_, err := s.Put(context.Background(), key(fmt.Sprintf("default/news/v/%d.cmfv", i%64)), attrs, bytes.NewReader(data))
					require.NoError(b, err)
				}
			})
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, attrs := range []storage.Attrs{{}, {ContentType: "video/mp4", ETag: "1"}} {
		b.Run(fmt.Sprintf("attrs=%t", !attrs.IsZero()), func(b *testing.B) {
			e := openTest(b, b.TempDir(), Options{NoSync: true})
			s, k := storage.New(e, storage.Options{}), key("default/news/v/1.cmfv")
			_, err := s.Put(context.Background(), k, attrs, bytes.NewReader([]byte("x")))
			require.NoError(b, err)
			for b.Loop() {
				obj, err := s.Open(context.Background(), k)
				require.NoError(b, err)
				require.NoError(b, obj.Body.Close())
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 32} {
		for _, noSync := range []bool{true, false} {
			b.Run(fmt.Sprintf("writers=%d/sync=%t", writers, !noSync), func(b *testing.B) {
				e := openTest(b, b.TempDir(), Options{NoSync: noSync})
				record := make([]byte, 60)
				n := b.N
				b.ResetTimer()
				var wg sync.WaitGroup
				for w := range writers {
					wg.Go(func() {
						for i := w; i < n; i += writers {
							if _, err := e.Append(context.Background(), fmt.Sprint("s", w), record); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

// BenchmarkBareDatabaseCommit is what a lone Append is measured against.
func BenchmarkBareDatabaseCommit(b *testing.B) {
	e := openTest(b, b.TempDir(), Options{})
	record := make([]byte, 60)
	for b.Loop() {
		require.NoError(b, e.db.Update(func(tx *bbolt.Tx) error {
			s, err := tx.Bucket([]byte(bucketJournal)).CreateBucketIfNotExists([]byte("s"))
			if err != nil {
				return err
			}
			n, err := s.NextSequence()
			if err != nil {
				return err
			}
			return s.Put(binary.BigEndian.AppendUint64(nil, n), record)
		}))
	}
}

func BenchmarkRead260000Records(b *testing.B) {
	e := openTest(b, b.TempDir(), Options{NoSync: true})
	batch := make([][]byte, 1000)
	for i := range batch {
		batch[i] = make([]byte, 60)
	}
	for range 260 {
		_, err := e.Append(context.Background(), "s", batch...)
		require.NoError(b, err)
	}
	for b.Loop() {
		n := 0
		for _, err := range e.Read(context.Background(), "s", 0) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		require.Equal(b, 260_000, n)
	}
}

func BenchmarkReopen(b *testing.B) {
	dir := b.TempDir()
	e := openTest(b, dir, Options{NoSync: true})
	for i := range 5000 {
		_, err := storage.New(e, storage.Options{}).Put(context.Background(), key(fmt.Sprintf("v/%d", i)), storage.Attrs{}, bytes.NewReader(nil))
		require.NoError(b, err)
	}
	require.NoError(b, e.Close())
	for b.Loop() {
		e, err := Open(dir, Options{})
		require.NoError(b, err)
		require.NoError(b, e.Close())
	}
}

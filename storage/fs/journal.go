package fs

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"

	"headwater/storage"
)

const (
	maxStream    = 1 << 10  // bytes of a stream's name
	readBytes    = 64 << 10 // a reader holds no transaction longer than it takes to copy this much
	readRecords  = 1 << 10  // or this many
	trimPerWrite = 4 << 10  // records that one transaction of Trim removes at most
)

func checkStream(stream string) error {
	if stream == "" || len(stream) > maxStream {
		return fmt.Errorf("%w: stream name of %d bytes, want 1 to %d", storage.ErrInvalidKey, len(stream), maxStream)
	}
	return nil
}

func journalFailure(op, stream string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("journal %s %q: %w", op, stream, classify(err))
}

// streamOf returns the stream's bucket, or nil.
func streamOf(tx *bbolt.Tx, stream string) *bbolt.Bucket {
	return tx.Bucket([]byte(bucketJournal)).Bucket([]byte(stream))
}

// Append adds records. Calls that run at the same time share one commit of the database.
func (e *Engine) Append(ctx context.Context, stream string, records ...[]byte) (storage.Position, error) {
	if err := checkStream(stream); err != nil {
		return 0, journalFailure("append to", stream, err)
	}
	var last uint64
	if len(records) == 0 {
		err := e.db.View(func(tx *bbolt.Tx) error {
			if b := streamOf(tx, stream); b != nil {
				last = b.Sequence()
			}
			return nil
		})
		return storage.Position(last), journalFailure("append to", stream, err)
	}
	err := e.writes.do(ctx, func(tx *bbolt.Tx) error {
		b, err := tx.Bucket([]byte(bucketJournal)).CreateBucketIfNotExists([]byte(stream))
		if err != nil {
			return err
		}
		b.FillPercent = 1 // keys only grow, so pages that were split are never added to
		last = b.Sequence()
		for _, record := range records {
			last++
			if err := b.Put(binary.BigEndian.AppendUint64(nil, last), record); err != nil {
				return err
			}
		}
		return b.SetSequence(last)
	})
	if err != nil {
		return 0, journalFailure("append to", stream, err)
	}
	return storage.Position(last), nil
}

// Read yields records in batches, each read in a short transaction of its own, so a slow consumer delays nobody.
func (e *Engine) Read(ctx context.Context, stream string, from storage.Position) iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		var end uint64 // last position at the time of the first batch
		var batch []storage.Record
		next := max(uint64(from), 1)
		for first := true; first || next <= end; first = false {
			err := ctx.Err()
			if err == nil {
				batch, err = e.readBatch(stream, next, &end, batch[:0])
			}
			if err != nil {
				yield(storage.Record{}, journalFailure("read", stream, err))
				return
			}
			if len(batch) == 0 {
				return
			}
			for _, record := range batch {
				if !yield(record, nil) {
					return
				}
			}
			next = uint64(batch[len(batch)-1].Position) + 1
		}
	}
}

// readBatch appends copies of the records from position next to end; an end of 0 is set to the stream's.
func (e *Engine) readBatch(stream string, next uint64, end *uint64, batch []storage.Record) ([]storage.Record, error) {
	err := e.db.View(func(tx *bbolt.Tx) error {
		b := streamOf(tx, stream)
		if b == nil {
			return nil
		}
		if *end == 0 {
			*end = b.Sequence()
		}
		size, c := 0, b.Cursor()
		for k, v := c.Seek(binary.BigEndian.AppendUint64(nil, next)); k != nil; k, v = c.Next() {
			at := binary.BigEndian.Uint64(k)
			if at > *end || len(batch) == readRecords || (size+len(v) > readBytes && size > 0) {
				break
			}
			size += len(v)
			batch = append(batch, storage.Record{Position: storage.Position(at), Data: v})
		}
		slab := make([]byte, 0, size) // what the cursor gave is only good inside the transaction
		for i, record := range batch {
			at := len(slab)
			slab = append(slab, record.Data...)
			batch[i].Data = slab[at:len(slab):len(slab)]
		}
		return nil
	})
	return batch, err
}

// Trim removes records in several transactions if there are many; a Trim that is cut short has removed the oldest.
func (e *Engine) Trim(ctx context.Context, stream string, before storage.Position) error {
	for more := true; more; {
		err := e.writes.do(ctx, func(tx *bbolt.Tx) error {
			more = false
			b := streamOf(tx, stream)
			if b == nil {
				return nil
			}
			var keys [][]byte
			c := b.Cursor()
			for k, _ := c.First(); k != nil && binary.BigEndian.Uint64(k) < uint64(before); k, _ = c.Next() {
				if more = len(keys) == trimPerWrite; more {
					break
				}
				keys = append(keys, append([]byte(nil), k...))
			}
			for _, k := range keys {
				if err := b.Delete(k); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return journalFailure("trim", stream, err)
		}
	}
	return nil
}

// Streams lists the names of streams in byte order.
func (e *Engine) Streams(ctx context.Context) ([]string, error) {
	var names []string
	err := ctx.Err()
	if err == nil {
		err = e.db.View(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(bucketJournal)).ForEachBucket(func(name []byte) error {
				names = append(names, string(name))
				return nil
			})
		})
	}
	if err != nil {
		return nil, fmt.Errorf("journal streams: %w", classify(err))
	}
	return names, nil
}

// Drop removes a stream, its positions too: should it be written again they begin at 1.
func (e *Engine) Drop(ctx context.Context, stream string) error {
	err := e.writes.do(ctx, func(tx *bbolt.Tx) error {
		if streamOf(tx, stream) == nil {
			return nil
		}
		return tx.Bucket([]byte(bucketJournal)).DeleteBucket([]byte(stream))
	})
	return journalFailure("drop", stream, err)
}

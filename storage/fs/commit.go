package fs

import (
	"context"
	"sync"

	"go.etcd.io/bbolt"

	"headwater/storage"
)

// maxBatch is how many writes share one commit at most.
const maxBatch = 256

// write is a change of the database. apply may run more than once, each time on a fresh transaction.
type write struct {
	ctx   context.Context
	apply func(*bbolt.Tx) error
	err   error
	done  chan struct{}
}

// committer owns all write transactions of the database. It applies what has queued up while the disk was busy in one
// transaction, so many writers share a sync and a lone writer never waits for company. Writes are applied in the order
// they were submitted.
type committer struct {
	db    *bbolt.DB
	fault func(op string) error
	queue chan *write
	ended chan struct{}

	mu     sync.RWMutex
	closed bool
}

func newCommitter(db *bbolt.DB, fault func(string) error) *committer {
	c := &committer{db: db, fault: fault, queue: make(chan *write, maxBatch), ended: make(chan struct{})}
	go c.run()
	return c
}

// submit queues a change and returns without waiting for it.
func (c *committer) submit(ctx context.Context, apply func(*bbolt.Tx) error) *write {
	w := &write{ctx: ctx, apply: apply, done: make(chan struct{})}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		w.finish(storage.ErrClosed)
		return w
	}
	c.queue <- w
	return w
}

// do makes a change durable. When ctx ends before the change has begun nothing changes.
func (c *committer) do(ctx context.Context, apply func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.submit(ctx, apply).wait()
}

// close ends the committer after what was submitted, and reports whether this call did so.
func (c *committer) close() bool {
	c.mu.Lock()
	already := c.closed
	c.closed = true
	c.mu.Unlock()
	if already {
		return false
	}
	close(c.queue)
	<-c.ended
	return true
}

func (c *committer) run() {
	defer close(c.ended)
	for w := range c.queue {
		batch := []*write{w}
	gather:
		for len(batch) < maxBatch {
			select {
			case w, ok := <-c.queue:
				if !ok {
					break gather
				}
				batch = append(batch, w)
			default:
				break gather
			}
		}
		c.commit(batch)
	}
}

// commit applies a batch in one transaction. A write whose own apply fails is taken out and the rest is tried again.
func (c *committer) commit(batch []*write) {
	for len(batch) > 0 {
		bad := -1
		err := c.db.Update(func(tx *bbolt.Tx) error {
			for i, w := range batch {
				if err := w.ctx.Err(); err != nil {
					bad = i
					return err
				}
				if err := w.apply(tx); err != nil {
					bad = i
					return err
				}
			}
			return c.fault("commit")
		})
		if bad < 0 {
			for _, w := range batch {
				w.finish(err)
			}
			return
		}
		batch[bad].finish(err)
		batch = append(batch[:bad], batch[bad+1:]...)
	}
}

func (w *write) finish(err error) {
	w.err = classify(err)
	close(w.done)
}

func (w *write) wait() error {
	<-w.done
	return w.err
}

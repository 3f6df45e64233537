package fs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"

	"headwater/storage"
)

// classify makes an error of the operating system or of bbolt match one of package storage's.
func classify(err error) error {
	kind := storage.ErrIO
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, storage.ErrClosed), errors.Is(err, storage.ErrInvalidKey), errors.Is(err, ErrFormat),
		errors.Is(err, storage.ErrNoSpace), errors.Is(err, storage.ErrIO):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, berrors.ErrMaxSizeReached):
		kind = storage.ErrNoSpace
	case errors.Is(err, os.ErrClosed), errors.Is(err, berrors.ErrDatabaseNotOpen):
		kind = storage.ErrClosed
	}
	return fmt.Errorf("%w: %w", kind, err)
}

// classifyRead is classify for steps where a missing file means a missing object.
func classifyRead(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return storage.ErrNotFound
	}
	return classify(err)
}

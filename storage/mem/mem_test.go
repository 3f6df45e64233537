package mem

import (
	"testing"
	"time"

	"headwater/storage/storagetest"
)

func TestMemoryEngineConforms(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storagetest.Engine {
		e := New(time.Now)
		var engine storagetest.Engine
		engine = storagetest.Engine{Driver: e, Journal: e, Index: e, Reopen: func(*testing.T) storagetest.Engine { return engine }}
		return engine
	})
}

package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// certificateInterval is how often the certificate's files are looked at, at most.
const certificateInterval = 10 * time.Second

// certificate is the public listener's, which follows its files: connections that exist keep the old one, new ones get
// the new one. A bad file leaves the last good one in force. Create with newCertificate.
type certificate struct {
	cert, key string
	log       *slog.Logger
	now       func() time.Time
	current   atomic.Pointer[tls.Certificate]
	mu        sync.Mutex // of what follows
	looked    time.Time
	stamps    [2]fileStamp
}

// fileStamp tells whether a file is still the one that was read.
type fileStamp struct {
	modified time.Time
	size     int64
}

// newCertificate loads the pair of files.
func newCertificate(cert, key string, now func() time.Time, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log, now: now, looked: now(), stamps: stampsOf(cert, key)}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("loading the certificate %s: %w", cert, err)
	}
	c.current.Store(&pair)
	return c, nil
}

// config returns the listener's TLS configuration: TLS 1.2 or later (DASH-IF Live Media Ingest, section 2), HTTP/2 and 1.1.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c.follow()
			return c.current.Load(), nil
		},
	}
}

// follow looks at the files if nobody has for a while, and reads them when they have changed.
func (c *certificate) follow() {
	if !c.mu.TryLock() {
		return // another handshake is looking
	}
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.looked) < certificateInterval {
		return
	}
	c.looked = now
	c.readChanged()
}

// reload reads the files at once when they have changed.
func (c *certificate) reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked = c.now()
	c.readChanged()
}

// readChanged expects mu to be held.
func (c *certificate) readChanged() {
	stamps := stampsOf(c.cert, c.key)
	if stamps == c.stamps {
		return
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		// Also seen between the writes of two files: the stamps stay, so that the next look tries again.
		c.log.Error("certificate is bad, the last good one stays in force", "cert", c.cert, "error", err)
		return
	}
	c.stamps = stamps
	c.current.Store(&pair)
	c.log.Info("certificate read again", "cert", c.cert, "not_after", pair.Leaf.NotAfter)
}

func stampsOf(files ...string) (stamps [2]fileStamp) {
	for i, name := range files {
		if info, err := os.Stat(name); err == nil {
			stamps[i] = fileStamp{info.ModTime(), info.Size()}
		}
	}
	return stamps
}

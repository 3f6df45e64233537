package auth

import (
	"context"
	"net"
	"sync/atomic"
)

// connectionKey is the type of this package's only context key.
type connectionKey struct{}

// connection is what is remembered of a network connection: the nonce that was used on it last while it was fresh. An
// encoder that keeps a connection open for weeks and reads no answers, as ffmpeg does with -http_persistent, never learns
// that its nonce got old, and whoever else overheard it is not on this connection.
type connection struct{ nonce atomic.Pointer[string] }

// Connected gives ctx, the context of all requests of a connection, a place for what Digest remembers of it. It is made to
// be the ConnContext of an http.Server; without it nonces end with NonceLifetime everywhere.
func Connected(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, &connection{})
}

func (c *connection) remember(nonce string) {
	if c != nil {
		c.nonce.Store(&nonce)
	}
}

func (c *connection) remembers(nonce string) bool {
	if c == nil {
		return false
	}
	last := c.nonce.Load()
	return last != nil && *last == nonce
}

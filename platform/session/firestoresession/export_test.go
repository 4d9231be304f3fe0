package firestoresession

import "google.golang.org/grpc"

// Limits of one document and one call.
const (
	HeadBytes  = headBytes
	ChunkBytes = chunkBytes
)

// Names of collections.
const (
	Sessions = sessionCollection
	Chunks   = chunkCollection
	Uploads  = uploadCollection
)

// WatchesPerConnection is how many watches share one connection.
const WatchesPerConnection = watchesPerConnection

var (
	Escape   = escape
	Unescape = unescape
)

// With returns the options of a driver whose connections have these.
func (o Options) With(dial ...grpc.DialOption) Options {
	o.dial = append(o.dial, dial...)
	return o
}

// WatchConnections is how many connections watches have open.
func (d *Driver) WatchConnections() int {
	d.listeners.mu.Lock()
	defer d.listeners.mu.Unlock()
	return len(d.listeners.open)
}

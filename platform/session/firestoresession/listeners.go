package firestoresession

import (
	"context"
	"errors"
	"slices"
	"sync"

	vkit "cloud.google.com/go/firestore/apiv1"
)

// watchesPerConnection stays below the 100 calls that the service's front end takes on one connection at a time: what is over it
// waits unseen, and would wait for ever behind watches.
const watchesPerConnection = 80

// listeners are the connections of watches, as many as there are watches for.
type listeners struct {
	dial func(context.Context) (*vkit.Client, error)

	mu     sync.Mutex
	open   []*listener
	closed bool
}

type listener struct {
	client  *vkit.Client
	watches int
}

// acquire returns a connection with room for one more watch.
func (l *listeners) acquire(ctx context.Context) (*listener, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.New("firestore: the driver is closed")
	}
	for _, c := range l.open {
		if c.watches < watchesPerConnection {
			c.watches++
			return c, nil
		}
	}
	client, err := l.dial(context.WithoutCancel(ctx)) // it outlives the watch that it is opened for
	if err != nil {
		return nil, err
	}
	c := &listener{client: client, watches: 1}
	l.open = append(l.open, c)
	return c, nil
}

// release gives a connection back. One stays open without watches.
func (l *listeners) release(c *listener) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.watches--
	if c.watches > 0 || l.closed || len(l.open) == 1 {
		return nil
	}
	l.open = slices.DeleteFunc(l.open, func(other *listener) bool { return other == c })
	return c.client.Close()
}

func (l *listeners) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	var faults []error
	for _, c := range l.open {
		faults = append(faults, c.client.Close())
	}
	l.open = nil
	return errors.Join(faults...)
}

package pubsubbus

import (
	"context"
	"sync"
)

// keyLocks gives one publication at a time the keys that it names. The zero value is ready.
type keyLocks struct {
	mu   sync.Mutex
	held map[topicKey]*keyLock
}

type topicKey struct{ topic, key string }

// keyLock is a mutex whose waiters can give up. It is forgotten with its last user.
type keyLock struct {
	users int
	free  chan struct{} // holds one token when nobody has the lock
}

// lock takes all keys, which must be sorted and distinct so that two calls never wait for each other. It returns
// ctx's error when that ends first.
func (l *keyLocks) lock(ctx context.Context, topic string, keys []string) (unlock func(), err error) {
	taken := 0
	unlock = func() {
		for _, key := range keys[:taken] {
			l.leave(topicKey{topic, key}, true)
		}
	}
	for _, key := range keys {
		k := topicKey{topic, key}
		select {
		case <-l.join(k).free:
			taken++
		case <-ctx.Done():
			l.leave(k, false)
			unlock()
			return nil, ctx.Err()
		}
	}
	return unlock, nil
}

func (l *keyLocks) join(k topicKey) *keyLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	one, ok := l.held[k]
	if !ok {
		one = &keyLock{free: make(chan struct{}, 1)}
		one.free <- struct{}{}
		if l.held == nil {
			l.held = map[topicKey]*keyLock{}
		}
		l.held[k] = one
	}
	one.users++
	return one
}

func (l *keyLocks) leave(k topicKey, had bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.held[k]
	if had {
		one.free <- struct{}{}
	}
	if one.users--; one.users == 0 {
		delete(l.held, k)
	}
}

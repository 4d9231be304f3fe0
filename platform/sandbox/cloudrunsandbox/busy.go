package cloudrunsandbox

import (
	"context"
	"sync"

	"vibesdk-gcp/platform/sandbox"
)

// busy lets one call of this process at a time work on a generation: of many duplicates the others find what the first
// has done, and start nothing that would have to be given up. Between processes the claim is what counts.
type busy struct {
	mu   sync.Mutex
	refs map[sandbox.Ref]*turn
}

type turn struct {
	held    chan struct{}
	waiting int
}

// enter waits for the turn. The function it returns ends it.
func (b *busy) enter(ctx context.Context, ref sandbox.Ref) (leave func(), err error) {
	b.mu.Lock()
	if b.refs == nil {
		b.refs = map[sandbox.Ref]*turn{}
	}
	t := b.refs[ref]
	if t == nil {
		t = &turn{held: make(chan struct{}, 1)}
		b.refs[ref] = t
	}
	t.waiting++
	b.mu.Unlock()
	forget := func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if t.waiting--; t.waiting == 0 {
			delete(b.refs, ref)
		}
	}
	select {
	case t.held <- struct{}{}:
		return func() { <-t.held; forget() }, nil
	case <-ctx.Done():
		forget()
		return nil, context.Cause(ctx)
	}
}

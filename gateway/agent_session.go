package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/trace"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
)

// agentSession is one session and its connections here. Frames are put into the queues of connections under its lock, so that
// all see the same order.
type agentSession struct {
	id     string
	hub    *agentHub
	ready  chan struct{} // closed when the record was read once, or err is set
	err    error
	cancel context.CancelFunc
	conns  int // guarded by the hub's lock

	mu sync.Mutex
	// broken is set when the watch ended before its time: nobody may join any more.
	broken  error
	members map[*agentConn]struct{}
	record  *session.Record // nil when nothing is stored
	// shown is the state that clients were shown last, nil for none.
	shown   []byte
	mcp     []byte
	pending map[uint64]*agentMutation
	// followed are the traces of mutations whose broadcast gets a span.
	followed map[uint64]trace.SpanContext
	// touched are the connections that a broadcast under way is for.
	touched []*agentConn
	// clock numbers what happens, so that before and after can be told.
	clock uint64
	// moved is closed when another record was shown; nil when nobody waits for that.
	moved chan struct{}
}

// agentMutation is one that a connection here published and whose outcome is awaited.
type agentMutation struct {
	id   string
	conn *agentConn
	// state is the state that it sets, if it does, and frame whether it came as a state frame: then its sender knows the state.
	state []byte
	frame bool
	// at is when it was received, by the session's clock.
	at uint64
	// decided is called once under the session's lock, with the record of the outcome.
	decided func(o session.Outcome, r *session.Record)
	// message is what is published, and unpublished is called when that failed, instead of decided.
	message     events.Message
	unpublished func(error)
	// trace is that of the mutation's span, if it is sampled.
	trace trace.SpanContext
	timer *time.Timer
}

// await waits until the session was read.
func (s *agentSession) await(ctx context.Context) error {
	late := time.NewTimer(s.hub.g.WaitFor)
	defer late.Stop()
	select {
	case <-s.ready:
		return s.err
	case <-late.C:
		return errUnread
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch reads the record and follows it until the last connection has gone.
func (s *agentSession) watch(ctx context.Context) {
	reader := s.hub.g.Sessions
	record, err := reader.Load(ctx, s.id)
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		s.err = err
		s.makeRoom()
		close(s.ready)
		return
	}
	var after int64
	s.mcp = mcpFrame(nil)
	if err == nil {
		s.record, after, s.mcp = record, record.Commit, mcpFrame(record)
		if record.Present && !record.Expired(time.Now()) {
			s.shown, _ = record.State()
		}
	}
	close(s.ready)
	for record, err := range reader.Watch(ctx, s.id, after) {
		if err != nil {
			s.hub.g.log.WarnContext(ctx, "watch of an agent broke", "session_id", s.id, "error", err)
			s.makeRoom()
			s.breakOff(err)
			return
		}
		s.advance(record)
	}
}

func (s *agentSession) makeRoom() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.forget(s)
}

// advance tells the connections what changed with a record, in the order in which it did.
func (s *agentSession) advance(r *session.Record) {
	touched, end := s.take(r)
	releaseAll(touched)
	end(len(touched))
}

// touch holds what is queued for a connection until the whole record was told, with the lock held.
func (s *agentSession) touch(c *agentConn) {
	if !c.shown {
		c.shown = true
		c.hold()
		s.touched = append(s.touched, c)
	}
}

// untouch are the connections to release, with the lock held.
func (s *agentSession) untouch() []*agentConn {
	touched := s.touched
	s.touched = nil
	for _, c := range touched {
		c.shown = false
	}
	return touched
}

// take is advance but for the writing: it returns the connections to release, and the end of the broadcast's span.
func (s *agentSession) take(r *session.Record) (touched []*agentConn, end func(conns int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { touched = s.untouch() }()
	var seen int64
	before := s.record
	if before != nil && before.Commit < r.Commit {
		seen = before.Commit
	}
	s.record = r
	end = s.broadcastSpan(s.decidedTraces(r, seen))
	defer s.tell() // behind what the record makes known
	destroyed := false
	for _, e := range r.Ring.After(seen) {
		destroyed = destroyed || e.Kind == session.Destroy && e.Code == session.Applied
		m := s.pending[e.Hash]
		if m == nil {
			continue
		}
		s.forget(e.Hash, m)
		if m.state != nil && e.Code == session.Applied {
			s.show(m.state, m)
		}
		s.touch(m.conn)
		m.decided(e.Outcome(m.id), r)
	}
	if destroyed && before != nil && before.Present {
		s.shown = nil
		for c := range s.members {
			go c.close(websocket.StatusGoingAway, "Durable Object destroyed")
		}
		return nil, end
	}
	state, ok := r.State()
	switch {
	case !ok:
		s.shown = nil
	case s.shown == nil || !bytes.Equal(state, s.shown):
		s.show(state, nil) // somebody else's change
	}
	if mcp := mcpFrame(r); !bytes.Equal(mcp, s.mcp) {
		s.mcp = mcp
		plain, nested := text(mcp), text(broadcastFrame(mcp, ""))
		for c := range s.members {
			switch {
			case c.quiet:
			case c.user != "":
				s.tellConn(c, nested)
			default:
				s.tellConn(c, plain)
			}
		}
	}
	return nil, end
}

// tellConn queues a message that goes to others as well, with the lock held.
func (s *agentSession) tellConn(c *agentConn, m *agentMessage) {
	s.touch(c)
	c.queueMessage(m)
}

// tell wakes who waits for a record, with the lock held.
func (s *agentSession) tell() {
	if s.moved != nil {
		close(s.moved)
		s.moved = nil
	}
}

// reach waits until the connections were shown a version of the session or a later one, and says false when that takes too long.
func (s *agentSession) reach(ctx context.Context, version int64, timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		s.mu.Lock()
		if version == 0 || s.record != nil && s.record.Version >= version {
			s.mu.Unlock()
			return true
		}
		if s.moved == nil {
			s.moved = make(chan struct{})
		}
		moved := s.moved
		s.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

// show sends a state to all connections. Whoever sent it as a frame does not get it back, and neither do those of the same id, unless
// another state was sent to them in between: they would be left with that one.
func (s *agentSession) show(state []byte, by *agentMutation) {
	s.shown = state
	s.clock++
	frame := text(stateFrame(state))
	var nested *agentMessage
	for c := range s.members {
		if c.user != "" && !c.quiet { // VibeSDK's agents leave nobody out
			if nested == nil {
				sender := ""
				if by != nil && by.frame {
					sender = by.conn.key
				}
				nested = text(broadcastFrame(frame.payload, sender))
			}
			s.tellConn(c, nested)
			continue
		}
		if by != nil && by.frame && c.key == by.conn.key && c.joined < by.at && c.toldState < by.at {
			continue
		}
		c.toldState = s.clock
		if !c.quiet {
			s.tellConn(c, frame)
		}
	}
}

// expect awaits the outcome of a mutation that is about to be published. After the time decided is called with an error.
func (s *agentSession) expect(m *agentMutation, timeout time.Duration) {
	hash := mutationHash(m.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock++
	m.at = s.clock
	s.pending[hash] = m
	s.followSpan(hash, m.trace)
	m.conn.undecided++
	m.timer = time.AfterFunc(timeout, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.pending[hash] == m {
			s.forget(hash, m)
			m.decided(session.Outcome{MutationID: m.id, Err: errNoOutcome}, s.record)
		}
	})
}

var errNoOutcome = errors.New("the session did not answer in time; the change may still be made")

// abandon ends the wait for a mutation that was not published, and says false when its outcome was there already. One that came through
// nevertheless is shown as anybody else's.
func (s *agentSession) abandon(m *agentMutation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	hash := mutationHash(m.id)
	if s.pending[hash] != m {
		return false
	}
	s.forget(hash, m)
	return true
}

func (s *agentSession) forget(hash uint64, m *agentMutation) {
	delete(s.pending, hash)
	delete(s.followed, hash)
	m.timer.Stop()
	m.conn.undecided--
	select {
	case m.conn.settled <- struct{}{}:
	default:
	}
}

// current is the record as connections know it, nil when there is none.
func (s *agentSession) current() *session.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.record == nil || !s.record.Present || s.record.Expired(time.Now()) {
		return nil
	}
	return s.record
}

// breakOff closes all connections of a session that is not watched any more.
func (s *agentSession) breakOff(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = err
	for c := range s.members {
		go c.close(websocket.StatusInternalError, "the session cannot be read")
	}
}

// mutationHash is how rings remember the id of a mutation: see [session.Entry].
func mutationHash(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint64(sum[:])
}

package router

// Idle reports that the lane has no request under way.
func (l *Lane) Idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if c.phase.Load() != int32(phaseIdle) {
			return false
		}
	}
	return true
}

// Lanes counts the connections that the lane still has.
func (l *Lane) Lanes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// Asides is how often a poller left a connection to a goroutine.
func (l *Lane) Asides() int64 { return l.asides.Load() }

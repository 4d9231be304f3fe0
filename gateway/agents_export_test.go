package gateway

// AgentSockets is how many clients of agents are connected.
func (g *Gateway) AgentSockets() int {
	g.hub.mu.Lock()
	defer g.hub.mu.Unlock()
	return g.hub.sockets
}

// AgentPending is how many mutations of the clients of a session have no outcome.
func (g *Gateway) AgentPending(sessionID string) int {
	s := g.hub.session(sessionID)
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending)
}

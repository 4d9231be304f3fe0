package gateway

// AgentSockets is how many clients of agents are connected.
func (g *Gateway) AgentSockets() int {
	g.hub.mu.Lock()
	defer g.hub.mu.Unlock()
	return g.hub.sockets
}

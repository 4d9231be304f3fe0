package chaos

// Outcome is what a client knows of something that it asked for.
type Outcome int

// The outcomes, in the order of what is known: of several answers to the same request the greatest counts.
const (
	// Unknown: no answer came, or one that says nothing about the effect.
	Unknown Outcome = iota
	// Accepted: it is durable on its way.
	Accepted
	// Rejected: it was decided against.
	Rejected
	// Applied: it has its effect.
	Applied
)

func (o Outcome) String() string {
	return [...]string{"unknown", "accepted", "rejected", "applied"}[o]
}

// durable reports that it will have its effect, if it does not become a dead letter.
func (o Outcome) durable() bool { return o == Accepted || o == Applied }

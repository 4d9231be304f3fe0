package app

// minConsoleSecret is the shortest secret of the console, in characters.
const minConsoleSecret = 32

// ConsoleConfig is about the operator's pages at /console of the gateway.
type ConsoleConfig struct {
	// Enabled serves them. CONSOLE, on or off. Defaults to on: without callers the gateway listens on this machine only.
	Enabled bool
	// Secret encrypts the cookies of those who are signed in, at least 32 characters. Gateways that share it take each other's cookies.
	// Read from the file that CONSOLE_SECRET_FILE names. Defaults to the key of API_KEY_FILE, and without one to a secret that each
	// process makes up.
	Secret string
}

func (r *reader) console() ConsoleConfig {
	c := ConsoleConfig{Enabled: r.choice("CONSOLE", "on", "on", "off") == "on", Secret: r.secretFile("CONSOLE_SECRET_FILE")}
	if n := len(c.Secret); n >= minSecret && n < minConsoleSecret {
		r.fault("CONSOLE_SECRET_FILE", "holds fewer than %d characters", minConsoleSecret)
	}
	return c
}

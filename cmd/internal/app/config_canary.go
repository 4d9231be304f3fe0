package app

import "strconv"

// CanaryConfig is about a second provider beside the first: for calls that name it, and to be compared with.
type CanaryConfig struct {
	// Second is the configuration of the second provider, of which sessions and limits are used. Read from the file that CANARY_ENV_FILE
	// names, a NAME=value on each line, as vibed would run there. Defaults to none.
	Second *Config
	// Parity compares what the first provider answers with what the second has: sessions that are loaded, and decisions that charge
	// nothing. PARITY, on or off. Defaults to off.
	Parity bool
	// ParityRatio is the share that is compared. PARITY_RATIO. Defaults to 1.
	ParityRatio float64
}

func (r *reader) canary() CanaryConfig {
	c := CanaryConfig{
		Parity:      r.oneOf("PARITY", "off", "on") == "on",
		ParityRatio: parsed(r, "PARITY_RATIO", "1", func(s string) (float64, error) { return strconv.ParseFloat(s, 64) }),
	}
	if !(c.ParityRatio >= 0 && c.ParityRatio <= 1) { // NaN too
		r.fault("PARITY_RATIO", "%v is not from 0 to 1", c.ParityRatio)
	}
	path := r.text("CANARY_ENV_FILE", "")
	if path == "" {
		if c.Parity {
			r.fault("PARITY", "on needs CANARY_ENV_FILE, which names the provider to compare with")
		}
		return c
	}
	second, err := readConfigFile(path, true)
	if err != nil {
		r.fault("CANARY_ENV_FILE", "%s", err)
	}
	c.Second = &second
	return c
}

// checkCanary holds the rules between the two providers.
func (r *reader) checkCanary(c Config) {
	if second := c.Canary.Second; second != nil {
		if second.Provider == c.Provider {
			r.fault("CANARY_ENV_FILE", "has RUNTIME_PROVIDER=%s, which is the first provider's, too: calls could not name it", c.Provider)
		}
		for _, part := range []string{"sessions", "limits"} {
			if home := homeOf(c, part); home == homeOf(*second, part) {
				r.fault("CANARY_ENV_FILE", "has its %s where the first provider has them, %s", part, home)
			}
		}
	}
}

package app

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ConfigError lists what is wrong with the configuration.
type ConfigError struct {
	// Faults are in the order of reading, each beginning with its variable.
	Faults []string
}

func (e *ConfigError) Error() string {
	return "configuration:\n  " + strings.Join(e.Faults, "\n  ")
}

// reader reads variables and collects faults. A variable set to nothing counts as not set.
type reader struct {
	lookup func(string) (string, bool)
	faults []string
}

func (r *reader) fault(name, format string, args ...any) {
	r.faults = append(r.faults, name+": "+fmt.Sprintf(format, args...))
}

func (r *reader) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	return &ConfigError{Faults: r.faults}
}

func (r *reader) text(name, fallback string) string {
	if v, ok := r.lookup(name); ok && v != "" {
		return v
	}
	return fallback
}

// oneOf takes one of the values; the first is the default.
func (r *reader) oneOf(name string, values ...string) string {
	return r.choice(name, values[0], values...)
}

// choice takes one of the values.
func (r *reader) choice(name, fallback string, values ...string) string {
	v := r.text(name, fallback)
	if !slices.Contains(values, v) {
		r.fault(name, "%q is none of %s", v, strings.Join(values, ", "))
	}
	return v
}

func (r *reader) duration(name string, fallback, least, most time.Duration) time.Duration {
	v := r.text(name, "")
	if v == "" {
		return fallback
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < least || d > most {
		r.fault(name, "%q is not a duration from %s to %s, like 30s or 5m", v, least, most)
		return fallback
	}
	return d
}

func (r *reader) number(name string, fallback, least, most int) int {
	v := r.text(name, "")
	if v == "" {
		return fallback
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		r.fault(name, "%q is not a number from %d to %d", v, least, most)
		return fallback
	}
	return n
}

func parsed[T any](r *reader, name, fallback string, parse func(string) (T, error)) T {
	v, err := parse(r.text(name, fallback))
	if err != nil {
		r.fault(name, "%s", err)
	}
	return v
}

// minSecret is the least length of a key: below it guessing is feasible.
const minSecret = 16

// secretFile reads a secret from the file that a variable names. The secret itself is never in a fault.
func (r *reader) secretFile(name string) string {
	path := r.text(name, "")
	if path == "" {
		return ""
	}
	data, err := os.ReadFile(path)
	if err != nil {
		r.fault(name, "%s", err)
		return ""
	}
	secret := strings.TrimSpace(string(data))
	if len(secret) < minSecret {
		r.fault(name, "%s holds fewer than %d characters", path, minSecret)
	}
	return secret
}

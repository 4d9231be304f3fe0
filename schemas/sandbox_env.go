package schemas

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of a sandbox's environment.
const (
	MaxEnv         = 200
	MaxEnvName     = 128       // bytes
	MaxEnvValue    = 32 << 10  // bytes
	MaxEnvAllBytes = 256 << 10 // names and values together
)

// reservedEnv are the names that the platform sets itself. A value from outside would break the sandbox or let
// it pose as another.
var (
	reservedEnv         = []string{"HOME", "PATH", "PORT"}
	reservedEnvPrefixes = []string{"SANDBOX_", "VIBESDK_"}
)

// validateEnv never puts a value into a fault.
func validateEnv(env map[string]string, f *faults) {
	if len(env) > MaxEnv {
		f.add("env", "has %d names, the limit is %d", len(env), MaxEnv)
	}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(env)) {
		value := env[name]
		total += len(name) + len(value)
		place := mapPlace("env", name)
		f.check(place, envName(name))
		switch {
		case len(value) > MaxEnvValue:
			f.add(place, "has a value of %d bytes, the limit is %d", len(value), MaxEnvValue)
		case !utf8.ValidString(value):
			f.add(place, "has a value that is not valid UTF-8")
		case strings.IndexByte(value, 0) >= 0:
			f.add(place, "has a value with NUL")
		}
	}
	if total > MaxEnvAllBytes {
		f.add("env", "has %d bytes of names and values, the limit is %d", total, MaxEnvAllBytes)
	}
}

func envName(name string) string {
	if len(name) > MaxEnvName {
		return fmt.Sprintf("has a name of %d bytes, the limit is %d", len(name), MaxEnvName)
	}
	for i := range len(name) {
		if !isNameByte(name[i], i) {
			return "has a name that is not made of letters, digits and _, or starts with a digit"
		}
	}
	switch {
	case name == "":
		return "has an empty name"
	case slices.Contains(reservedEnv, name):
		return "is set by the platform and must not be given"
	}
	for _, prefix := range reservedEnvPrefixes {
		if strings.HasPrefix(name, prefix) {
			return "must not be given: names that start with " + prefix + " are the platform's"
		}
	}
	return ""
}

package guest

import (
	"cmp"
	"slices"
	"strings"
)

// maskFrom is the shortest value that is masked: shorter ones are words like "true" that occur anywhere.
const maskFrom = 6

// masker replaces the values of the app's environment by ***.
type masker struct {
	replacer *strings.Replacer
	// longest is the length of the longest masked value in bytes.
	longest int
}

// newMasker masks the values of env. A value of several lines is masked line by line, since logs are lines.
func newMasker(env map[string]string) masker {
	var secrets []string
	for _, value := range env {
		for line := range strings.Lines(value) {
			if line = strings.TrimSpace(line); len(line) >= maskFrom {
				secrets = append(secrets, line)
			}
		}
	}
	// A value that holds another one is masked as a whole.
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	secrets = slices.Compact(secrets)
	if len(secrets) == 0 {
		return masker{}
	}
	pairs := make([]string, 0, 2*len(secrets))
	for _, s := range secrets {
		pairs = append(pairs, s, "***")
	}
	return masker{strings.NewReplacer(pairs...), len(secrets[0])}
}

func (m masker) mask(s string) string {
	if m.replacer == nil {
		return s
	}
	return m.replacer.Replace(s)
}

package router

import (
	"net/http"
	"strings"
)

// ownPrefix begins the names of the router's own cookies. No app gets or sets them.
const ownPrefix = "__vibesdk_"

// withoutOwnCookies takes the router's own cookies out of a request.
func withoutOwnCookies(h http.Header) {
	lines := h["Cookie"]
	for i, line := range lines {
		if !strings.Contains(line, ownPrefix) {
			continue
		}
		var kept []string
		for pair := range strings.SplitSeq(line, ";") {
			if pair = strings.TrimSpace(pair); pair != "" && !strings.HasPrefix(pair, ownPrefix) {
				kept = append(kept, pair)
			}
		}
		lines = append(lines[:i:i], lines[i:]...) // the client's own list stays as it is
		lines[i] = strings.Join(kept, "; ")
	}
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		if line != "" {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = kept
}

// scopeCookies makes every cookie of an answer one of its own host alone. With a Domain it would reach the hosts of other apps and the
// platform itself, all of which lie below one domain.
func scopeCookies(h http.Header) {
	lines := h["Set-Cookie"]
	if len(lines) == 0 {
		return
	}
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		if line, ok := scopedCookie(line); ok {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		delete(h, "Set-Cookie")
		return
	}
	h["Set-Cookie"] = kept
}

func scopedCookie(line string) (scoped string, ok bool) {
	if strings.HasPrefix(strings.TrimSpace(line), ownPrefix) {
		return "", false
	}
	if !strings.Contains(strings.ToLower(line), "domain") {
		return line, true
	}
	parts := strings.Split(line, ";")
	kept := parts[:1]
	for _, attribute := range parts[1:] {
		name, _, _ := strings.Cut(attribute, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "domain") {
			kept = append(kept, attribute)
		}
	}
	return strings.Join(kept, ";"), true
}

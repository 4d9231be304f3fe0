package app

import (
	"net/url"
	"slices"
	"strings"
)

// passed are the variables that the commands of every project get as this process has them: what a tool needs to
// find programs, certificates, proxies and registries, and nothing that could be a secret.
var passed = []string{
	"PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
	"NO_PROXY", "no_proxy", "GOFLAGS", "GOTOOLCHAIN", "GOSUMDB",
}

// passedURLs are passed unless a value holds a user name or password.
var passedURLs = []string{
	"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "GOPROXY", "NPM_CONFIG_REGISTRY", "npm_config_registry",
}

// sandboxEnv is the environment of projects' commands, with the variables that SANDBOX_PASS_ENV names, apart by commas.
func (r *reader) sandboxEnv() map[string]string {
	env := map[string]string{}
	for _, name := range passed {
		if v := r.text(name, ""); v != "" {
			env[name] = v
		}
	}
	for _, name := range passedURLs {
		if v := r.text(name, ""); v != "" && !hasUserInfo(v) {
			env[name] = v
		}
	}
	for name := range strings.SplitSeq(r.text("SANDBOX_PASS_ENV", ""), ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		v, ok := r.lookup(name)
		if !ok {
			r.fault("SANDBOX_PASS_ENV", "names %q, which is not set", name)
			continue
		}
		env[name] = v
	}
	return env
}

// hasUserInfo reports whether any address of a list, apart by commas or bars as in GOPROXY, names a user.
func hasUserInfo(list string) bool {
	parts := strings.FieldsFunc(list, func(c rune) bool { return c == ',' || c == '|' })
	return slices.ContainsFunc(parts, func(part string) bool {
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil {
			return true // what is not understood may hold anything
		}
		return u.User != nil || strings.Contains(part, "@")
	})
}

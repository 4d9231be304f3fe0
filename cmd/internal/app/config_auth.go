package app

import (
	"log/slog"
	"net/url"
	"strings"

	"vibesdk-gcp/gateway/auth"
)

// AuthConfig is about who may call the gateway. Without any of it only this machine may.
type AuthConfig struct {
	// Key is one key that may do everything. Read from the file that API_KEY_FILE names. Defaults to none.
	Key string
	// File has the callers, the digests of their keys and their scopes; package gateway/auth describes it. API_KEYS_FILE. It is read
	// again when it changes. Defaults to none.
	File string
	// OIDCAudience lets ID tokens for this audience name callers of the file by email or subject. OIDC_AUDIENCE. Defaults to none,
	// and then no token counts.
	OIDCAudience string
	// OIDCIssuer and OIDCKeysURL are whose tokens these are. OIDC_ISSUER, OIDC_KEYS_URL. Default to Google's.
	OIDCIssuer, OIDCKeysURL string
	// Origins are those of web pages that may call from a browser, like https://app.example.com, or * for all. CORS_ORIGINS. Defaults
	// to none but our own.
	Origins []string
}

// Enabled reports whether callers have to say who they are.
func (c AuthConfig) Enabled() bool { return c.Key != "" || c.File != "" }

// callers are nil when everybody on this machine may call.
func (c AuthConfig) callers(log *slog.Logger) (*auth.Callers, error) {
	if !c.Enabled() {
		return nil, nil //nolint:nilnil // nobody is known, which is no fault
	}
	return auth.New(auth.Options{
		Key: c.Key, File: c.File, Logger: log, OIDC: auth.OIDC{Audience: c.OIDCAudience, Issuer: c.OIDCIssuer, KeysURL: c.OIDCKeysURL},
	})
}

func (r *reader) auth() AuthConfig {
	c := AuthConfig{
		Key:          r.secretFile("API_KEY_FILE"),
		File:         r.text("API_KEYS_FILE", ""),
		OIDCAudience: r.text("OIDC_AUDIENCE", ""),
		OIDCIssuer:   r.text("OIDC_ISSUER", auth.GoogleIssuer),
		OIDCKeysURL:  r.text("OIDC_KEYS_URL", auth.GoogleKeys),
		Origins:      list(r.text("CORS_ORIGINS", "")),
	}
	if c.File != "" {
		if _, err := auth.New(auth.Options{File: c.File}); err != nil {
			r.fault("API_KEYS_FILE", "%s", err)
		}
	}
	if c.OIDCAudience != "" && c.File == "" {
		r.fault("OIDC_AUDIENCE", "needs API_KEYS_FILE, which says what the accounts may do")
	}
	if !secureURL(c.OIDCKeysURL) {
		r.fault("OIDC_KEYS_URL", "must be an https address: whoever can change the keys can sign tokens")
	}
	for _, origin := range c.Origins {
		u, err := url.Parse(origin)
		switch {
		case origin == "*" && !c.Enabled():
			r.fault("CORS_ORIGINS", "* needs API_KEY_FILE or API_KEYS_FILE: any web page could use this server otherwise")
		case origin == "*":
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Scheme+"://"+u.Host != origin:
			r.fault("CORS_ORIGINS", "%q is no origin, like https://app.example.com", origin)
		}
	}
	return c
}

// secureURL reports whether nobody on the way can change what is at an address: it is https or on this machine.
func secureURL(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return false
	}
	host := strings.ToLower(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (host == "localhost" || host == "127.0.0.1" || host == "::1")
}

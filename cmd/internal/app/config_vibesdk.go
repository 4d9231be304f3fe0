package app

import "vibesdk-gcp/gateway"

// VibeSDKConfig is about the routes that VibeSDK's own clients, its page and its SDK, connect to agents by.
type VibeSDKConfig struct {
	// JWTSecret is VibeSDK's JWT_SECRET, 32 bytes or more: its users' tokens are verified with it. Read from the file that
	// JWT_SECRET_FILE names. Defaults to none, and then there are no such routes.
	JWTSecret string
}

func (r *reader) vibeSDK() VibeSDKConfig {
	c := VibeSDKConfig{JWTSecret: r.secretFile("JWT_SECRET_FILE")}
	if n := len(c.JWTSecret); n >= minSecret && n < gateway.VibeSDKMinSecret {
		r.fault("JWT_SECRET_FILE", "holds fewer than %d characters", gateway.VibeSDKMinSecret)
	}
	return c
}

package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// KeyPrefix begins every key of [NewKey], so that scanners for secrets can find one that went astray.
const KeyPrefix = "vibe_"

// NewKey makes an API key of 256 random bits.
func NewKey() string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // it never fails
	return KeyPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
}

// digest is what is kept of a key.
type digest [sha256.Size]byte

func digestOf(key string) digest { return sha256.Sum256([]byte(key)) }

// Digest is how a key stands in the file: its SHA-256 in hexadecimal.
func Digest(key string) string {
	d := digestOf(key)
	return hex.EncodeToString(d[:])
}

package sandbox

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
)

// idPattern is what [IDFor] returns. Ids become folder names, host labels and service names, so nothing
// else is accepted anywhere.
var idPattern = regexp.MustCompile(`^sbx-[a-z2-7]{16}$`)

// IDFor returns the id of the sandbox that a request asks for: `sbx-` and 80 bits of the SHA-256 of the
// request's id. The same request is the same sandbox, for ever.
func IDFor(requestID string) string {
	sum := sha256.Sum256([]byte(requestID))
	return "sbx-" + lower32(sum[:10])
}

// ValidID reports whether id has the form that [IDFor] returns.
func ValidID(id string) bool { return idPattern.MatchString(id) }

// NewToken returns the unguessable part of a preview's host name: 16 characters of [a-z2-7], 80 random bits.
func NewToken() string {
	var b [10]byte
	rand.Read(b[:]) // never fails; it ends the program instead
	return lower32(b[:])
}

// NewControlToken returns a bearer token for the live endpoints of one generation: 32 random bytes,
// base64url without padding.
func NewControlToken() string {
	var b [32]byte
	rand.Read(b[:]) // as above
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Ref names the present generation of the record.
func (r Record) Ref() Ref { return Ref{ID: r.ID, Fence: r.Fence} }

// String returns id/fence.
func (r Ref) String() string { return fmt.Sprintf("%s/%d", r.ID, r.Fence) }

func lower32(b []byte) string {
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

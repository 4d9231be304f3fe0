package console

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"sync"
	"time"
)

const (
	// sealRounds makes guessing dear: who has a cookie of his own could try secrets that people make up. The figure is OWASP's for
	// PBKDF2 with SHA-256, as of 2023.
	sealRounds = 600_000
	sealLabel  = "vibesdk-gcp console session 1"
	// maxToken is the longest key or token, in bytes: browsers keep cookies of 4 KB.
	maxToken = 2800
)

// seal encrypts what the cookie of a person holds: the key that was given, and when it ends.
type seal struct {
	aead func() (cipher.AEAD, error)
}

func newSeal(secret []byte) *seal {
	return &seal{aead: sync.OnceValues(func() (cipher.AEAD, error) { // it takes a while, and only who signs in needs it
		key := make([]byte, 32)
		if len(secret) == 0 {
			_, _ = rand.Read(key) // it never fails
		} else {
			var err error
			if key, err = pbkdf2.Key(sha256.New, string(secret), []byte(sealLabel), sealRounds, len(key)); err != nil {
				return nil, err
			}
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return cipher.NewGCMWithRandomNonce(block)
	})}
}

// close makes the value of a cookie.
func (s *seal) close(token string, ends time.Time) (string, error) {
	aead, err := s.aead()
	if err != nil {
		return "", err
	}
	plain := binary.BigEndian.AppendUint64(nil, uint64(ends.Unix()))
	sealed := aead.Seal(nil, nil, append(plain, token...), []byte(sealLabel)) //nolint:gosec // the AEAD makes its own random nonce and takes none
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

var errNoSession = errors.New("the session has ended")

// open returns the token of a cookie's value, or errNoSession when it is not ours or has ended.
func (s *seal) open(value string, now time.Time) (string, error) {
	aead, err := s.aead()
	if err != nil {
		return "", err
	}
	sealed, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return "", errNoSession
	}
	plain, err := aead.Open(nil, nil, sealed, []byte(sealLabel))
	if err != nil || len(plain) <= 8 || !now.Before(time.Unix(int64(binary.BigEndian.Uint64(plain)), 0)) {
		return "", errNoSession
	}
	return string(plain[8:]), nil
}

// secure reports whether the browser speaks https, to us or to the load balancer before us. Who makes it up harms only himself.
func secure(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}

// cookieName is that of the session. The prefix lets browsers refuse one that another host of the domain set, as previews could.
func cookieName(r *http.Request) string {
	if secure(r) {
		return "__Host-vibesdk-console"
	}
	return "vibesdk-console"
}

// session is the token of who is signed in; empty for nobody.
func (c *Console) session(r *http.Request) string {
	cookie, err := r.Cookie(cookieName(r))
	if err != nil {
		return ""
	}
	token, err := c.seal.open(cookie.Value, c.o.Now())
	if err != nil {
		return ""
	}
	return token
}

func (c *Console) remember(w http.ResponseWriter, r *http.Request, token string) error {
	value, err := c.seal.close(token, c.o.Now().Add(SessionTTL))
	if err != nil {
		return err
	}
	setCookie(w, r, value, int(SessionTTL/time.Second))
	return nil
}

func (c *Console) forget(w http.ResponseWriter, r *http.Request) { setCookie(w, r, "", -1) }

func setCookie(w http.ResponseWriter, r *http.Request, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // it is Secure wherever the browser speaks https
		Name: cookieName(r), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: secure(r), SameSite: http.SameSiteStrictMode,
	})
}

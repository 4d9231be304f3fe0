package auth

import (
	"context"
	"errors"
	"strings"
	"time"
)

// ErrOtherAccount means that a token is good, and of somebody else.
var ErrOtherAccount = errors.New("the token is of another account")

// Account is one account, which proves itself with ID tokens: a service that calls us, like Pub/Sub when it pushes. It is safe for
// concurrent use.
type Account struct {
	tokens *verifier
	email  string
}

// NewAccount returns the account with an email address, whose tokens are as o says: the audience is required. now is the clock; nil is
// [time.Now].
func NewAccount(o OIDC, email string, now func() time.Time) (*Account, error) {
	switch {
	case o.Audience == "":
		return nil, errors.New("audience is empty: any token of the issuer would do")
	case email == "":
		return nil, errors.New("email is empty: any account of the issuer would do")
	}
	if now == nil {
		now = time.Now
	}
	return &Account{newVerifier(o, now), strings.ToLower(email)}, nil
}

// Check returns nil for a token of the account. The error wraps [ErrUnknown] for one that proves nothing here, is [ErrOtherAccount], or
// wraps [ErrUnavailable].
func (a *Account) Check(ctx context.Context, token string) error {
	if strings.Count(token, ".") != 2 {
		return ErrUnknown
	}
	have, err := a.tokens.verify(ctx, token)
	if err != nil {
		return err
	}
	if !bool(have.EmailVerified) || strings.ToLower(have.Email) != a.email {
		return ErrOtherAccount
	}
	return nil
}

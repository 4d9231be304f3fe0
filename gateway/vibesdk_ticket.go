package gateway

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"vibesdk-gcp/platform/ratelimit"
)

const (
	// ticketTTL is how long a ticket is good.
	ticketTTL = 15 * time.Second
	// ticketMemory is how long it is remembered that a ticket was used: by as much more than ticketTTL the clocks of gateways and of
	// the limits' backend may differ.
	ticketMemory = 10 * time.Minute
	// ticketPrefix begins tickets for agents, as VibeSDK's do: then hexadecimal digits follow.
	ticketPrefix = "tk_"
	// maxUser bounds the id of a user, in bytes.
	maxUser = 256

	ticketNonce = 16 // bytes
	ticketHead  = ticketNonce + 8
)

var (
	errTicketForged  = errors.New("the ticket is not one of ours for this agent")
	errTicketExpired = errors.New("the ticket has expired")
	errTicketUsed    = errors.New("the ticket was used")
)

// tickets issues tickets that are good for one connection to one agent, and takes them back. A ticket carries what it says, signed: a
// nonce, the end of its life, and the user; the agent is in the signature alone. That it is used once is counted where rate limits
// are, so that any gateway with the key and that backend takes it. See docs/decisions/0013.
type tickets struct {
	key    []byte
	limits *ratelimit.Limiter
}

// newTickets derives the key for tickets from the secret, so that neither signs for the other.
func newTickets(secret string, limits *ratelimit.Limiter) (*tickets, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "vibesdk-gcp ticket v1", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("key of tickets: %w", err)
	}
	return &tickets{key: key, limits: limits}, nil
}

// issue makes a ticket. The user is 1 to maxUser bytes.
func (t *tickets) issue(agent, user string, expires time.Time) (string, error) {
	if user == "" || len(user) > maxUser {
		return "", fmt.Errorf("the id of a user must be 1 to %d bytes", maxUser)
	}
	body := make([]byte, ticketHead, ticketHead+len(user)+sha256.Size)
	_, _ = rand.Read(body[:ticketNonce]) // it never fails
	binary.BigEndian.PutUint64(body[ticketNonce:], uint64(expires.UnixMilli()))
	body = append(body, user...)
	return ticketPrefix + hex.EncodeToString(t.sign(body, agent)), nil
}

// sign appends the signature of a body and an agent. The body's length stands before both, so that no two pairs sign the same bytes.
func (t *tickets) sign(body []byte, agent string) []byte {
	mac := hmac.New(sha256.New, t.key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(body))))
	mac.Write(body)
	mac.Write([]byte(agent))
	return mac.Sum(body)
}

// read returns the user of a ticket for an agent, without using it. No error has a part of the ticket.
func (t *tickets) read(ticket, agent string, now time.Time) (user string, err error) {
	digits, ok := strings.CutPrefix(ticket, ticketPrefix)
	if !ok || len(digits) > 2*(ticketHead+maxUser+sha256.Size) || digits != strings.ToLower(digits) {
		return "", errTicketForged
	}
	signed, err := hex.DecodeString(digits)
	if err != nil || len(signed) <= ticketHead+sha256.Size {
		return "", errTicketForged
	}
	body := signed[: len(signed)-sha256.Size : len(signed)-sha256.Size]
	if !hmac.Equal(t.sign(body, agent), signed) {
		return "", errTicketForged
	}
	if now.UnixMilli() > int64(binary.BigEndian.Uint64(body[ticketNonce:])) {
		return "", errTicketExpired
	}
	return string(body[ticketHead:]), nil
}

// use takes a ticket for an agent and returns its user. Of any number of calls with one ticket, on any gateways, one succeeds. An
// error of the backend is none of the errTicket…: then nobody gets in, and the ticket may be used up.
func (t *tickets) use(ctx context.Context, ticket, agent string, now time.Time) (user string, err error) {
	if user, err = t.read(ticket, agent, now); err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte(ticket))
	// What is charged in its own window is one, and what does not count in that window is forgotten by the sweep of limits.
	once := ratelimit.Config{Limit: 1, Period: ticketMemory.Seconds(), BucketSize: ticketMemory.Seconds()}
	results, err := t.limits.Take(ctx, ratelimit.Charge{Limit: "wsTicket", Identifier: hex.EncodeToString(digest[:]), N: 1, Config: &once})
	switch {
	case err != nil:
		return "", fmt.Errorf("use of a ticket: %w", err)
	case results[0].Degraded: // the guard of this process does not know what others took
		return "", fmt.Errorf("use of a ticket: %w", ratelimit.ErrUnavailable)
	case !results[0].Success:
		return "", errTicketUsed
	}
	return user, nil
}

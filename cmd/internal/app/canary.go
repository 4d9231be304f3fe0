package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"vibesdk-gcp/events"
	"vibesdk-gcp/gateway"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/schemas"
)

// A session belongs to the provider that it was made at, and its name is the pair of both: whoever made one under the header sends the
// header with each call about it. So each session has one store and one order of mutations, and nobody has to look in two places.

// providerHeader names the provider that a call is for.
const providerHeader = gateway.ProviderHeader

// chosen are the gateways of the two providers.
type chosen struct {
	first, second         http.Handler
	firstName, secondName string
	// allow reports whether the caller may choose: 0, or a refusal with its status.
	allow func(r *http.Request) (status int, detail string)
}

// ServeHTTP implements http.Handler.
func (c *chosen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch name := r.Header.Get(providerHeader); name {
	case "":
		c.first.ServeHTTP(w, r)
	case c.firstName, c.secondName:
		switch status, detail := c.allow(r); status {
		case 0:
		case http.StatusUnauthorized:
			// The gateway says so, and counts who guesses; of a path that is not there, since some have callers of their own.
			nowhere := r.Clone(r.Context())
			nowhere.URL.Path, nowhere.URL.RawPath, nowhere.URL.RawQuery = "/", "", ""
			c.first.ServeHTTP(w, nowhere)
			return
		default:
			refuse(w, status, "provider", detail)
			return
		}
		w.Header().Set(providerHeader, name)
		if name == c.firstName {
			c.first.ServeHTTP(w, r)
			return
		}
		c.second.ServeHTTP(w, r)
	default:
		refuse(w, http.StatusBadRequest, "invalid", fmt.Sprintf("%s must be %s or %s", providerHeader, c.firstName, c.secondName))
	}
}

// noChoice is a gateway with one provider: its name alone is accepted.
func noChoice(name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked := r.Header.Get(providerHeader); asked != "" && asked != name {
			refuse(w, http.StatusBadRequest, "invalid", fmt.Sprintf("%s must be %s: there is no other provider here", providerHeader, name))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers as the gateway does, with a problem of RFC 9457.
func refuse(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // the caller may be gone
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail, "code": code,
	})
}

// secondPublisher publishes for the second provider.
type secondPublisher struct {
	events.Publisher

	name string
	// first are the sessions that mutations must not be about, nil when that was looked at before.
	first *session.Reader
}

// Publish implements [events.Publisher]. A mutation of a session that is present at the first provider is refused: it would
// make two of one.
func (p secondPublisher) Publish(ctx context.Context, topic events.Topic, msgs ...events.Message) error {
	if topic.Name != events.StateMutations.Name && topic.Name != events.AgentCallbacks.Name {
		return p.Publisher.Publish(ctx, topic, msgs...)
	}
	msgs = slices.Clone(msgs)
	for i, m := range msgs {
		if p.first != nil && topic.Name == events.StateMutations.Name {
			if err := p.check(ctx, m); err != nil {
				return err
			}
		}
		msgs[i].Attributes = maps.Clone(m.Attributes)
		if msgs[i].Attributes == nil {
			msgs[i].Attributes = map[string]string{}
		}
		msgs[i].Attributes[schemas.ProviderAttribute] = p.name
	}
	return p.Publisher.Publish(ctx, topic, msgs...)
}

func (p secondPublisher) check(ctx context.Context, m events.Message) error {
	mutation, err := schemas.DecodeStateMutation(m.Data)
	if err != nil {
		return nil //nolint:nilerr // the bus says what is wrong with it
	}
	switch _, err := p.first.Get(ctx, mutation.GetSessionId()); {
	case errors.Is(err, session.ErrNotFound), errors.Is(err, session.ErrInvalid):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: the session is at the other provider; without %s it can be changed there", session.ErrConflict, providerHeader)
}

// firstPublisher publishes for callers who did not name the second provider, nor may they in a message.
type firstPublisher struct{ events.Publisher }

// Publish implements [events.Publisher].
func (p firstPublisher) Publish(ctx context.Context, topic events.Topic, msgs ...events.Message) error {
	for _, m := range msgs {
		if m.Attributes[schemas.ProviderAttribute] != "" {
			return fmt.Errorf("%w: attribute %s is set by the gateway, for calls with %s", events.ErrInvalid, schemas.ProviderAttribute, providerHeader)
		}
	}
	return p.Publisher.Publish(ctx, topic, msgs...)
}

// errNoProvider is a message for a provider that this program has not.
func errNoProvider(name string) error {
	return events.Permanent(fmt.Errorf("attribute %s: provider %.40q is none of this program: see CANARY_ENV_FILE", schemas.ProviderAttribute, name))
}

// apart gives each message to the handler of its provider. Those of a provider that is not there are parked: applied to the other one they
// would do harm.
func apart(s *second, first, other events.Handler) events.Handler {
	return func(ctx context.Context, m events.Message) error {
		switch name := m.Attributes[schemas.ProviderAttribute]; {
		case name == "":
			return first(ctx, m)
		case s != nil && name == s.name:
			return other(ctx, m)
		default:
			return errNoProvider(name)
		}
	}
}

// batchesApart is apart for runs of messages of one key. Sessions of one id at two providers are two, so their order does not matter.
func batchesApart(s *second, first, other events.BatchHandler) events.BatchHandler {
	return func(ctx context.Context, key string, run []events.Message) error {
		if !slices.ContainsFunc(run, func(m events.Message) bool { return m.Attributes[schemas.ProviderAttribute] != "" }) {
			return first(ctx, key, run)
		}
		places := map[string][]int{}
		for i, m := range run {
			name := m.Attributes[schemas.ProviderAttribute]
			places[name] = append(places[name], i)
		}
		errs := make([]error, len(run))
		for name, at := range places {
			part := make([]events.Message, len(at))
			for n, i := range at {
				part[n] = run[i]
			}
			var err error
			switch {
			case name == "":
				err = first(ctx, key, part)
			case s != nil && name == s.name:
				err = other(ctx, key, part)
			default:
				err = errNoProvider(name)
			}
			each, ok := errors.AsType[*events.BatchError](err)
			for n, i := range at {
				if errs[i] = err; ok && len(each.Errs) == len(at) {
					errs[i] = each.Errs[n]
				}
			}
		}
		if errors.Join(errs...) == nil {
			return nil
		}
		return &events.BatchError{Errs: errs}
	}
}

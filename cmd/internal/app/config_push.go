package app

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/gateway/auth"
)

// PushConfig is about consumers that Pub/Sub calls. The same in every program of an installation, for each then knows which it is.
type PushConfig struct {
	// Consumers are the subscriptions that are pushed, to /push/<subscription> at Listen, like janitor,parked; the others are pulled.
	// PUSH_CONSUMERS. Defaults to none. It goes with Bus pubsub.
	Consumers []string
	// Audience must be in the ID tokens of pushes, and Account, an email address, is whose they must be. PUSH_AUDIENCE, PUSH_ACCOUNT. Default to
	// none, and then only this machine may push.
	Audience, Account string
	// Issuer and KeysURL are whose tokens these are. PUSH_ISSUER, PUSH_KEYS_URL. Default to Google's.
	Issuer, KeysURL string
	// Deadline is the ack deadline of the pushed subscriptions, after which Pub/Sub gives a request up. PUSH_DEADLINE. Defaults to 10m, the most
	// that Pub/Sub allows.
	Deadline time.Duration
	// URL is where an emulator reaches Listen: push subscriptions are made there to it. PUSH_URL. Required with an emulator.
	URL string
}

// consumers are the subscriptions by the roles that handle them.
var consumers = map[Role]events.Subscription{
	RoleSandboxRunner: events.SandboxRunner, RoleStateWriter: events.StateWriter, RoleCallbackRunner: events.CallbackRunner,
	RoleJanitor: events.Janitor, RoleDeadLetters: events.Parked,
}

// pushes reports whether a role is one that Pub/Sub calls.
func (c Config) pushes(role Role) bool {
	sub, ok := consumers[role]
	return ok && slices.Contains(c.Push.Consumers, sub.Name)
}

func (r *reader) push() PushConfig {
	c := PushConfig{
		Consumers: list(r.text("PUSH_CONSUMERS", "")),
		Audience:  r.text("PUSH_AUDIENCE", ""),
		Account:   r.text("PUSH_ACCOUNT", ""),
		Issuer:    r.text("PUSH_ISSUER", auth.GoogleIssuer),
		KeysURL:   r.text("PUSH_KEYS_URL", auth.GoogleKeys),
		Deadline:  r.duration("PUSH_DEADLINE", 10*time.Minute, 10*time.Second, 10*time.Minute),
		URL:       strings.TrimRight(r.text("PUSH_URL", ""), "/"),
	}
	var names []string
	for _, sub := range events.Subscriptions() {
		names = append(names, sub.Name)
		if slices.Contains(c.Consumers, sub.Name) && c.Deadline <= sub.WithDefaults().AttemptTimeout {
			r.fault("PUSH_DEADLINE", "%s is no longer than an attempt of %s, %s", c.Deadline, sub.Name, sub.WithDefaults().AttemptTimeout)
		}
	}
	for _, name := range c.Consumers {
		if !slices.Contains(names, name) {
			r.fault("PUSH_CONSUMERS", "%q is no subscription; they are %s", name, strings.Join(names, ", "))
		}
	}
	if (c.Audience == "") != (c.Account == "") {
		r.fault("PUSH_AUDIENCE", "goes with PUSH_ACCOUNT: a token for one and of the other is what proves that Pub/Sub calls")
	}
	if !secureURL(c.KeysURL) {
		r.fault("PUSH_KEYS_URL", "must be an https address: whoever can change the keys can sign tokens")
	}
	if u, err := url.Parse(c.URL); c.URL != "" && (err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "http" && u.Scheme != "https") {
		r.fault("PUSH_URL", "must be like http://127.0.0.1:8787") // not repeated: it may hold what it should not
	}
	return c
}

// checkPush holds the rules between its fields and others.
func (r *reader) checkPush(c Config) {
	switch {
	case len(c.Push.Consumers) == 0:
		if c.Push.URL != "" {
			r.fault("PUSH_URL", "has no use without PUSH_CONSUMERS")
		}
	case c.Bus != "pubsub":
		r.fault("PUSH_CONSUMERS", "goes with BUS_BACKEND=pubsub: nobody pushes otherwise")
	case c.PubSubEndpoint != "" && c.Push.URL == "":
		r.fault("PUSH_URL", "is required with PUBSUB_EMULATOR_HOST: it is where the emulator reaches LISTEN, like http://127.0.0.1:8787")
	case c.PubSubEndpoint == "" && c.Push.URL != "":
		r.fault("PUSH_URL", "is for an emulator: Terraform makes the subscriptions of a project")
	}
}

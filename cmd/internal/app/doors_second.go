package app

import (
	"errors"
	"net/http"
	"strings"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/gateway/auth"
)

// openGateways opens the gateway, and one over the second provider's sessions and limits for calls that name it.
func (d *doors) openGateways(c Config, p *provider, o gateway.Options) (err error) {
	if p.second == nil {
		if d.gateway, err = gateway.New(o); err != nil {
			return err
		}
		d.calls = noChoice(c.Provider, d.gateway)
		return nil
	}
	first, other := o, o
	// The console is one, and its calls name the provider that a page is about.
	calls := &chosen{firstName: c.Provider, secondName: p.second.name, allow: mayChoose(o.Callers)}
	first.Console.API, first.Console.Providers = calls, []string{calls.firstName, calls.secondName}
	other.Console = gateway.ConsoleOptions{}
	first.Publisher = firstPublisher{o.Publisher}
	other.Publisher = secondPublisher{Publisher: o.Publisher, name: p.second.name, first: p.sessions.Reader}
	other.Sessions, other.Limits = p.second.sessions.Reader, p.second.limits
	if d.gateway, err = gateway.New(first); err != nil {
		return err
	}
	if d.second, err = gateway.New(other); err != nil {
		return err
	}
	calls.first, calls.second = d.gateway, d.second
	d.calls = calls
	return nil
}

// mayChoose lets callers choose a provider who are known by a key and have the scope. Tickets and the tokens of other issuers do not count.
func mayChoose(callers *auth.Callers) func(*http.Request) (status int, detail string) {
	return func(r *http.Request) (int, string) {
		if callers == nil {
			return http.StatusForbidden, "callers who are not known may not choose a provider: set API_KEY_FILE or API_KEYS_FILE"
		}
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		switch caller, err := callers.Identify(r.Context(), token); {
		case errors.Is(err, auth.ErrUnavailable):
			return http.StatusServiceUnavailable, "the token cannot be checked now"
		case err != nil:
			return http.StatusUnauthorized, ""
		case !caller.May(auth.ProvidersChoose):
			return http.StatusForbidden, "the key has no scope " + string(auth.ProvidersChoose)
		}
		return 0, ""
	}
}

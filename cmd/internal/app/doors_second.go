package app

import (
	"net/http"

	"vibesdk-gcp/gateway"
)

// openGateways opens the gateway, and one over the second provider's sessions and limits for calls that name it.
func (d *doors) openGateways(c Config, p *provider, o gateway.Options) (err error) {
	if p.second == nil {
		if d.gateway, err = gateway.New(o); err != nil {
			return err
		}
		d.calls = traced(p.telemetry, noChoice(c.Provider, d.gateway))
		return nil
	}
	first, other := o, o
	first.Publisher = firstPublisher{o.Publisher}
	other.Publisher = secondPublisher{Publisher: o.Publisher, name: p.second.name, first: p.sessions.Reader}
	other.Sessions, other.Limits = p.second.sessions.Reader, p.second.limits
	if d.gateway, err = gateway.New(first); err != nil {
		return err
	}
	if d.second, err = gateway.New(other); err != nil {
		return err
	}
	d.calls = traced(p.telemetry, chosen{
		first: d.gateway, second: d.second, firstName: c.Provider, secondName: p.second.name, allow: mayChoose(c),
	})
	return nil
}

// mayChoose lets callers choose a provider who are known and may. The gateway behind checks the key itself.
func mayChoose(c Config) func(*http.Request) (status int, detail string) {
	return func(*http.Request) (int, string) {
		if c.APIKey == "" {
			return http.StatusForbidden, "callers who are not known may not choose a provider: set API_KEY_FILE"
		}
		return 0, ""
	}
}

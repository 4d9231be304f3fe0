package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"vibesdk-gcp/gateway/auth"
)

// providerHeader names the provider that a call of the API is for, and providerQuery the one that a page is about.
const (
	providerHeader = "X-Runtime-Provider"
	providerQuery  = "provider"
)

// providerSections are about what each provider has of its own. All else is shared.
var providerSections = []string{"/sessions", "/limits"}

// providerChoice is a provider that a page may be about.
type providerChoice struct {
	Name, Path string
	Current    bool
}

// other reports whether a name is that of a provider beside the first.
func (c *Console) other(name string) bool {
	return len(c.o.Providers) > 1 && slices.Contains(c.o.Providers[1:], name)
}

// mayChoose reports whether the person may look beyond the first provider: as with the API, only one who is known may.
func (v *visit) mayChoose() bool {
	return v.c.o.Callers != nil && v.caller.May(auth.ProvidersChoose)
}

// chooseProvider reads which provider the page is about.
func (v *visit) chooseProvider() error {
	name := v.r.URL.Query().Get(providerQuery)
	known := v.c.o.Providers
	switch {
	case name == "" || len(known) > 0 && name == known[0]:
		return nil
	case !v.c.other(name):
		detail := "There is only one here."
		if len(known) > 1 {
			detail = "Here are " + strings.Join(known, " and ") + "."
		}
		return &pageError{http.StatusNotFound, "There is no such provider", detail}
	case !v.mayChoose():
		return &pageError{http.StatusForbidden, "Your key does not allow this", "It needs the scope " + string(auth.ProvidersChoose) + "."}
	}
	v.provider = name
	return nil
}

// providers fills in what a page of a section says of providers: whose it shows, the way to the others, and who may go there.
func (s *shell) providers(v *visit) {
	known := v.c.o.Providers
	if len(known) < 2 || !slices.Contains(providerSections, s.Section) {
		return
	}
	s.Provider = v.provider
	if !v.mayChoose() {
		s.ProviderHint = "What you see is of the provider " + known[0] + ". For " + strings.Join(known[1:], " and ") +
			" sign in with a key that has the scope " + string(auth.ProvidersChoose) + "."
		return
	}
	for i, name := range known {
		path := Prefix + s.Section
		if i > 0 {
			path += "?" + url.Values{providerQuery: {name}}.Encode()
		}
		s.Providers = append(s.Providers, providerChoice{name, path, name == v.provider || i == 0 && v.provider == ""})
	}
}

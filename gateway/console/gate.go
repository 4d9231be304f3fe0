package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/gateway/client"
)

// policy is what pages may load: what is ours, and nothing that is written into a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; frame-src "

// ServeHTTP answers a request whose path is [Prefix] or below it.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", policy+"'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	// With no-referrer browsers would call the origin of our own forms null.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if c.foreign(r) {
		c.fail(w, r, &pageError{http.StatusForbidden, "A page of another site may not do this", ""})
		return
	}
	c.mux.ServeHTTP(w, r)
}

// foreign reports whether another site makes the browser ask. Only links may lead here from elsewhere.
func (c *Console) foreign(r *http.Request) bool {
	if c.protection.Check(r) != nil {
		return true
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	default:
		return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
	}
}

// visit is one request of a person who may make it.
type visit struct {
	c      *Console
	w      http.ResponseWriter
	r      *http.Request
	caller auth.Caller
	token  string
	// provider is the one that the page is about; empty is the first.
	provider string
	api      *client.Client
}

// may reports whether the person has a scope.
func (v *visit) may(scope auth.Scope) bool {
	return scope == anyone || v.c.o.Callers == nil || v.caller.May(scope)
}

// visited answers a page for those who may see it; whoever is not signed in is asked to.
func (c *Console) visited(p page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{c: c, w: w, r: r}
		if c.o.Callers != nil {
			v.token = c.session(r)
			var err error
			v.caller, err = c.o.Callers.Identify(r.Context(), v.token)
			if errors.Is(err, auth.ErrUnavailable) {
				c.fail(w, r, &pageError{http.StatusServiceUnavailable, "Your token cannot be checked now", "Try again in a moment."})
				return
			}
			if err != nil {
				c.askToSignIn(w, r)
				return
			}
		}
		err := error(&pageError{http.StatusForbidden, "Your key does not allow this", "It needs the scope " + string(p.scope) + "."})
		if v.may(p.scope) {
			if err = v.chooseProvider(); err == nil {
				v.api = c.client(r, v.token, v.provider)
				err = p.answer(v)
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, client.ErrUnauthorized):
			c.askToSignIn(w, r)
		default:
			v.fail(err)
		}
	})
}

// askToSignIn sends a person to the page for it, and back afterwards when that can be done.
func (c *Console) askToSignIn(w http.ResponseWriter, r *http.Request) {
	query := url.Values{}
	if r.Method == http.MethodGet && r.URL.Path != Prefix+"/" {
		query.Set("next", r.URL.RequestURI())
	}
	if _, err := r.Cookie(cookieName(r)); err == nil {
		query.Set("ended", "1")
		c.forget(w, r)
	}
	to := url.URL{Path: Prefix + "/login", RawQuery: query.Encode()}
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

// ownPath is a path of the console that somebody may be sent to, the first page when it is none.
func ownPath(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, Prefix+"/") || strings.ContainsAny(text, "\\\r\n\t") ||
		strings.HasPrefix(text, "//") {
		return Prefix + "/"
	}
	return u.RequestURI()
}

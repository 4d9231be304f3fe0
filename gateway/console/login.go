package console

import (
	"errors"
	"net/http"
	"strings"

	"vibesdk-gcp/gateway/client"
)

// loginView is what the page to sign in shows.
type loginView struct {
	// Next is where to go afterwards.
	Next string
	// Linked tells that another site led here: browsers then keep back the cookie of somebody who is signed in.
	Linked bool
	Ended  bool
	Fault  string
}

func (c *Console) loginPage(w http.ResponseWriter, r *http.Request) {
	if c.o.Callers == nil {
		http.Redirect(w, r, Prefix+"/", http.StatusSeeOther)
		return
	}
	site := r.Header.Get("Sec-Fetch-Site")
	query := r.URL.Query()
	c.showLogin(w, r, http.StatusOK, loginView{
		Next: ownPath(query.Get("next")), Linked: site == "cross-site" || site == "same-site", Ended: query.Get("ended") != "",
	})
}

func (c *Console) showLogin(w http.ResponseWriter, r *http.Request, status int, view loginView) {
	c.render(w, r, status, "login", shell{Title: "Sign in", Bare: true, Data: view})
}

// login takes a key that the API takes. A wrong one is charged to its address there.
func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	if c.o.Callers == nil {
		http.Redirect(w, r, Prefix+"/", http.StatusSeeOther)
		return
	}
	if err := parseForm(w, r, smallForm); err != nil {
		c.fail(w, r, err)
		return
	}
	view := loginView{Next: ownPath(r.PostForm.Get("next"))}
	key := strings.TrimSpace(r.PostForm.Get("key"))
	if key == "" || len(key) > maxToken || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
		view.Fault = "Give an API key or an ID token."
		c.showLogin(w, r, http.StatusUnprocessableEntity, view)
		return
	}
	_, err := c.client(r, key, "").Limits().List(r.Context())
	var status int
	switch {
	case errors.Is(err, client.ErrUnauthorized):
		status, view.Fault = http.StatusUnauthorized, "Nobody has this key. It may have expired or been taken away."
	case errors.Is(err, client.ErrLimited):
		status, view.Fault = http.StatusTooManyRequests, "There were too many tries. Wait a little."
	case errors.Is(err, client.ErrUnavailable):
		status, view.Fault = http.StatusServiceUnavailable, "The key cannot be checked now. Try again in a moment."
	case r.Context().Err() != nil:
		return
	default: // whether this call is allowed to the key or not: it is somebody's
		if err := c.remember(w, r, key); err != nil {
			c.fail(w, r, err)
			return
		}
		http.Redirect(w, r, view.Next, http.StatusSeeOther)
		return
	}
	c.showLogin(w, r, status, view)
}

func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	c.forget(w, r)
	http.Redirect(w, r, Prefix+"/login", http.StatusSeeOther)
}

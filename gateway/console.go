package gateway

import (
	"net/http"
	"strings"

	"vibesdk-gcp/gateway/console"
)

// ConsoleOptions are about the operator's pages at /console. What else they work with is the gateway's own.
type ConsoleOptions struct {
	// Enabled serves them.
	Enabled bool
	// Options are those of [console.New]; Callers, PreviewURL, DeadLetters and Deployments are set here, and API when it is nil.
	console.Options
}

// consoleRoute stands for all pages in metrics and logs. It is no row of the table: pages are for people, and promise programs nothing.
// What they do, they do by calls of the API.
var consoleRoute = &route{method: "*", path: console.Prefix + "/"}

// withConsole answers what is below [console.Prefix] with pages, within the same bounds as any call, and all else with the API.
func (g *Gateway) withConsole(api http.Handler) (http.Handler, error) {
	if !g.Console.Enabled {
		return api, nil
	}
	o := g.Console.Options
	o.Callers, o.PreviewURL = g.Callers, g.PreviewURL
	if o.API == nil {
		o.API = api
	}
	o.DeadLetters, o.Deployments = g.Letters != nil, g.Deployments != nil
	pages, err := console.New(o)
	if err != nil {
		return nil, err
	}
	observed, err := g.observe(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		callOf(r.Context()).route = consoleRoute
		if g.Callers == nil && !loopbackHost(r.Host) { // as with the API
			g.fail(w, r, errWrongHost)
			return
		}
		pages.ServeHTTP(w, r)
	}))
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == console.Prefix || strings.HasPrefix(r.URL.Path, console.Prefix+"/") {
			observed.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	}), nil
}

package gateway

import (
	"net/http"
	"net/http/pprof"
	rpprof "runtime/pprof"
	"strings"
	"time"

	"vibesdk-gcp/gateway/auth"
)

// profileTimeout bounds profiles that take as long as the caller says.
const profileTimeout = 5 * time.Minute

// profileRoutes are Go's own profiles of this process, for `go tool pprof`. They tell what is in memory, so they need the scope of
// everything.
func (g *Gateway) profileRoutes() []route {
	text := map[int]content{http.StatusOK: bytesOf("application/octet-stream", "text/plain", "text/html")}
	return []route{
		{"GET", "/debug/pprof/{profile...}", auth.Admin, g.profile, "Profile this process", spec{
			about: "profile and trace take ?seconds=; the others are heap, allocs, goroutine, block, mutex and threadcreate; nothing lists them.",
			params: []param{
				query("seconds", "How long to look, where that means something.", schema{"type": "number", "minimum": 0}),
				query("debug", "1 or 2 for text.", schema{"type": "integer"}), query("gc", "1 to collect garbage first.", schema{"type": "integer"}),
			},
			out: text, fails: notFound, timeout: profileTimeout,
		}},
	}
}

func (g *Gateway) profile(w http.ResponseWriter, r *http.Request) error {
	switch name := r.PathValue("profile"); name {
	case "":
		pprof.Index(w, r)
	case "profile":
		pprof.Profile(w, r)
	case "trace":
		pprof.Trace(w, r)
	default:
		if rpprof.Lookup(name) == nil || strings.Contains(name, "/") {
			return &httpError{http.StatusNotFound, "not-found", "there is no profile of that name"}
		}
		pprof.Handler(name).ServeHTTP(w, r)
	}
	return nil
}

package gateway

import (
	"context"
	"net/http"
	"strings"
	"time"

	"vibesdk-gcp/gateway/auth"
)

// handler answers a request, or returns the error to answer with.
type handler func(w http.ResponseWriter, r *http.Request) error

// route is one row of the table that the mux and the OpenAPI document are made of.
type route struct {
	method string
	// path is that of http.ServeMux. It may end with a custom method behind a wildcard, {id}:stop, as Google's APIs write it:
	// the handler then finds the wildcard without it.
	path string
	// scope is what the caller needs; anyone and ownAuth are special.
	scope  auth.Scope
	handle handler
	// summary is one line for the document.
	summary string
	spec
}

// Scopes of routes that the guard lets pass without a key.
const (
	// anyone may call.
	anyone auth.Scope = "anyone"
	// ownAuth is for routes that find out themselves who calls, by a ticket or a token of another issuer. The guard checks neither
	// key nor Host nor Origin of such a call, so the route has to.
	ownAuth auth.Scope = "own"
)

// Defaults of a row.
const (
	// defaultTimeout bounds handlers. It is above [maxWait], the longest that a caller may ask for.
	defaultTimeout = 75 * time.Second
	// endless is for routes whose answers have no end.
	endless = -1
	// bodyless is the largest body of routes that take none: something that is sent all the same is no reason to refuse.
	bodyless = 4 << 10
)

// spec is what a row says beyond the call itself.
type spec struct {
	// about adds to the summary.
	about  string
	params []param
	// in is the body; the zero content is none. maxBody bounds it in bytes.
	in      content
	maxBody int64
	// out are the answers by status. More than one media type of a status are in its content.
	out map[int]content
	// fails are statuses of errors besides those that any row has.
	fails []int
	form  errorForm
	// others is set for calls that another server may answer, with any status and body.
	others bool
	// timeout bounds the handler. 0 is defaultTimeout, negative no bound.
	timeout time.Duration
}

// errorForm is how errors of a route are written.
type errorForm int

const (
	problemForm errorForm = iota // RFC 9457
	googleForm                   // google.rpc.Status
	runnerForm                   // {"success":false,"error":"…"}
	plainForm                    // text, as clients of agents expect
	vibeSDKForm                  // {"success":false,"error":{…}}, and text for a connection that is refused
)

// param is a parameter of the query or the header. Those of the path are taken from the path.
type param struct {
	in, name, about string
	// of is a value of its type, or a schema.
	of       any
	required bool
}

func query(name, about string, of any) param {
	return param{in: "query", name: name, about: about, of: of}
}

func headerParam(name, about string) param {
	return param{in: "header", name: name, about: about, of: ""}
}

// content is a body: its media types, each with a value of the type that is written or read there. A nil value is bytes or text.
type content struct {
	media []media
	// optional bodies may be absent.
	optional bool
	// header are fields that come with the answer, and what they say.
	header map[string]string
}

type media struct {
	name string
	of   any
}

func jsonOf(v any) content { return content{media: []media{{"application/json", v}}} }

func optionalJSON(v any) content {
	c := jsonOf(v)
	c.optional = true
	return c
}

func bytesOf(names ...string) content {
	var c content
	for _, name := range names {
		c.media = append(c.media, media{name, nil})
	}
	return c
}

// with adds a header to an answer.
func (c content) with(name, about string) content {
	header := map[string]string{name: about}
	for k, v := range c.header {
		header[k] = v
	}
	c.header = header
	return c
}

// none is an answer without a body.
var none = content{}

func ok(v any) map[int]content { return map[int]content{http.StatusOK: jsonOf(v)} }

func noContent() map[int]content { return map[int]content{http.StatusNoContent: none} }

// pattern is the path without the custom method, which http.ServeMux cannot tell apart.
func (rt *route) pattern() string {
	path, _ := rt.split()
	return path
}

// split takes the custom method off the path. One that stands behind no wildcard is a part of the path.
func (rt *route) split() (pattern, action string) {
	if i := strings.LastIndex(rt.path, "}:"); i >= 0 {
		return rt.path[:i+1], rt.path[i+2:]
	}
	return rt.path, ""
}

// last is the name of the wildcard that the custom method follows.
func (rt *route) last() string {
	pattern := rt.pattern()
	return strings.TrimSuffix(pattern[strings.LastIndexByte(pattern, '{')+1:], "}")
}

// limit is the largest body in bytes.
func (rt *route) limit() int64 {
	if rt.maxBody == 0 {
		return bodyless
	}
	return rt.maxBody
}

// table finds the row of a request.
type table struct {
	mux  *http.ServeMux
	rows []*route
	// agents are the rows of what comes to agents, whose paths are not those of the mux: nothing in them is decoded. The first takes
	// the methods that no other has.
	agents []*route
}

func newTable(rows []route) *table {
	t := &table{mux: http.NewServeMux()}
	groups := map[string][]*route{}
	var order []string
	for i := range rows {
		row := &rows[i]
		t.rows = append(t.rows, row)
		if row.path == agentRoute {
			t.agents = append(t.agents, row)
			continue
		}
		key := row.method + " " + row.pattern()
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], row)
	}
	for _, key := range order {
		t.mux.Handle(key, choice(groups[key]))
	}
	return t
}

// choice are the rows of one pattern, which differ in their custom method.
type choice []*route

// ServeHTTP implements http.Handler for the mux, which it tells that it was chosen.
func (c choice) ServeHTTP(w http.ResponseWriter, _ *http.Request) { w.(*verdict).chosen = c }

// actions lists the custom methods.
func (c choice) actions() string {
	var names []string
	for _, row := range c {
		if _, action := row.split(); action != "" {
			names = append(names, ":"+action)
		}
	}
	return strings.Join(names, ", ")
}

// find asks the mux, which fills in the wildcards of r. The row is nil when there is none; the verdict then is what the mux
// answered: there is no such path, or no such method, or the path has another spelling.
func (t *table) find(r *http.Request) (*route, *verdict) {
	v := &verdict{header: http.Header{}}
	if isAgentCall(r) {
		r.Pattern = agentRoute
		for _, row := range t.agents {
			if row.method == r.Method {
				return row, v
			}
		}
		return t.agents[0], v
	}
	spellLoneSlash(r)
	t.mux.ServeHTTP(v, r)
	for _, row := range v.chosen {
		_, action := row.split()
		if action == "" {
			return row, v
		}
		if value, ok := strings.CutSuffix(r.PathValue(row.last()), ":"+action); ok {
			r.SetPathValue(row.last(), value)
			return row, v
		}
	}
	return nil, v
}

// verdict keeps what the mux says of a request.
type verdict struct {
	header http.Header
	status int
	chosen choice
}

// Header implements http.ResponseWriter.
func (v *verdict) Header() http.Header { return v.header }

// WriteHeader implements http.ResponseWriter.
func (v *verdict) WriteHeader(status int) { v.status = status }

// Write implements http.ResponseWriter.
func (v *verdict) Write(p []byte) (int, error) { return len(p), nil }

// call is what is known of a request under way.
type call struct {
	// route is nil when there is none; form then is that of its neighbours.
	route *route
	form  errorForm
	// caller is who calls; its zero value is whoever can reach a server without keys.
	caller auth.Caller
}

// pattern is what metrics and logs call the route.
func (c *call) pattern() string {
	if c.route == nil {
		return "none"
	}
	return c.route.method + " " + c.route.path
}

type callKey struct{}

// callOf returns what is known of a request that [Gateway.ServeHTTP] took.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

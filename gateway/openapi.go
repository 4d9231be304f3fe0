package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// ProviderHeader names the provider that a call is for.
const ProviderHeader = "X-Runtime-Provider"

// providerParameter is what its description is called, which all operations share.
const providerParameter = "RuntimeProvider"

// openAPI answers the OpenAPI 3.1 document of this server, made from the route table.
func (g *Gateway) openAPI(w http.ResponseWriter, r *http.Request) error {
	doc, err := g.document()
	if err != nil {
		return err
	}
	w.Header().Set("ETag", doc.tag)
	w.Header().Set("Cache-Control", "no-cache")
	if r.Header.Get("If-None-Match") == doc.tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(doc.body)))
	w.Write(doc.body)
	return nil
}

// document is the OpenAPI document as it is sent.
type document struct {
	body []byte
	tag  string // its ETag
}

// describe makes the document of a table.
func describe(rows []*route) (document, error) {
	d := &describer{schemas: newSchemaSet(), responses: map[string]any{}}
	paths := map[string]map[string]any{}
	for _, row := range rows {
		path := documentPath(row.path)
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(row.method)] = d.operation(row)
	}
	body, err := json.Marshal(map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "vibesdk-gcp gateway", "version": "1",
			"description": "Agent sessions, sandboxes, rate limits and the remote sandbox service of VibeSDK. Without keys the server " +
				"answers its own machine only. Errors are problem documents (RFC 9457) unless a call says otherwise.",
		},
		"servers": []any{map[string]string{"url": "/"}},
		"paths":   paths,
		"components": map[string]any{
			"schemas": d.schemas.components, "responses": d.responses,
			"parameters": map[string]any{providerParameter: d.parameter(headerParam(ProviderHeader, "The provider that the call is for, on a server "+
				"with a second one: each has sessions, sandboxes and limits of its own. Other names than theirs are refused, and callers who may "+
				"not choose get 403. Without it the first one answers."))},
			"securitySchemes": map[string]any{"bearer": map[string]string{
				"type": "http", "scheme": "bearer",
				"description": "An API key, or an ID token of Google for the audience of this server. The list names the scope that is needed.",
			}},
		},
	})
	if err != nil {
		return document{}, fmt.Errorf("document: %w", err)
	}
	sum := sha256.Sum256(body)
	return document{body, `"` + hex.EncodeToString(sum[:12]) + `"`}, nil
}

// documentPath writes a path as OpenAPI does, which has no wildcard over several segments.
func documentPath(path string) string { return strings.ReplaceAll(path, "...}", "}") }

// describer collects what operations share.
type describer struct {
	schemas   *schemaSet
	responses map[string]any
}

func (d *describer) operation(row *route) map[string]any {
	op := map[string]any{
		"operationId": operationID(row.summary), "summary": row.summary, "tags": []string{tagOf(row.path)},
		"responses": d.answers(row), "security": []any{},
	}
	if row.about != "" {
		op["description"] = row.about
	}
	if row.scope != anyone && row.scope != ownAuth {
		op["security"] = []any{map[string]any{"bearer": []any{row.scope}}}
	}
	var params []any
	for _, name := range wildcards(row.path) {
		params = append(params, d.parameter(param{in: "path", name: name, of: "", required: true}))
	}
	for _, p := range row.params {
		params = append(params, d.parameter(p))
	}
	op["parameters"] = append(params, map[string]string{"$ref": "#/components/parameters/" + providerParameter})
	if row.in.media != nil {
		op["requestBody"] = map[string]any{
			"required": !row.in.optional, "content": d.contentOf(row.in),
			"description": fmt.Sprintf("At most %d bytes.", row.limit()),
		}
	}
	return op
}

func (d *describer) parameter(p param) map[string]any {
	out := map[string]any{"in": p.in, "name": p.name, "schema": d.schemas.of(p.of)}
	if p.about != "" {
		out["description"] = p.about
	}
	if p.required {
		out["required"] = true
	}
	return out
}

func (d *describer) contentOf(c content) map[string]any {
	out := map[string]any{}
	for _, m := range c.media {
		described := map[string]any{}
		if m.of != nil {
			described["schema"] = d.schemas.of(m.of)
		}
		out[m.name] = described
	}
	return out
}

func (d *describer) answers(row *route) map[string]any {
	out := map[string]any{}
	for status, c := range row.out {
		answer := map[string]any{"description": http.StatusText(status)}
		if c.media != nil {
			answer["content"] = d.contentOf(c)
		}
		if len(c.header) > 0 {
			headers := map[string]any{}
			for name, about := range c.header {
				headers[name] = map[string]any{"description": about, "schema": schema{"type": "string"}}
			}
			answer["headers"] = headers
		}
		out[strconv.Itoa(status)] = answer
	}
	if row.others {
		out["default"] = map[string]any{"description": "Whatever the server behind this one answers."}
	}
	for _, status := range row.failures() {
		out[strconv.Itoa(status)] = d.failure(row.form, status)
	}
	return out
}

// failures are all statuses of errors that a row may have.
func (rt *route) failures() []int {
	statuses := map[int]bool{http.StatusInternalServerError: true, http.StatusServiceUnavailable: true}
	for _, status := range rt.fails {
		statuses[status] = true
	}
	statuses[http.StatusBadRequest], statuses[http.StatusForbidden], statuses[http.StatusTooManyRequests] = true, true, true
	if rt.scope != ownAuth {
		statuses[http.StatusMisdirectedRequest] = true
	}
	if rt.scope != anyone {
		statuses[http.StatusUnauthorized] = true
	}
	if rt.timeout >= 0 {
		statuses[http.StatusGatewayTimeout] = true
	}
	if rt.in.media != nil {
		statuses[http.StatusRequestEntityTooLarge], statuses[http.StatusRequestTimeout] = true, true
	}
	return slices.Sorted(maps.Keys(statuses))
}

// failure refers to the answer of a status in a form, which is described once.
func (d *describer) failure(form errorForm, status int) any {
	name := []string{"Problem", "Google", "Runner", "Plain", "VibeSDK"}[form] + strconv.Itoa(status)
	if d.responses[name] == nil {
		c := content{media: []media{{"application/problem+json", Problem{}}}}
		switch {
		case form == googleForm:
			c = jsonOf(googleBody{})
		case form == runnerForm:
			c = jsonOf(Outcome{})
		case form == vibeSDKForm:
			c = jsonOf(vibeSDKFailure{})
			c.media = append(c.media, media{"text/plain", nil})
		case form == plainForm:
			// What the guard refuses is a problem document here as well.
			c.media = append(c.media, media{"text/plain", nil})
		case status == http.StatusTooManyRequests:
			c.media[0].of = LimitedProblem{}
		}
		d.responses[name] = map[string]any{"description": http.StatusText(status), "content": d.contentOf(c)}
	}
	return map[string]string{"$ref": "#/components/responses/" + name}
}

// wildcards are the names in a path.
func wildcards(path string) []string {
	var names []string
	for segment := range strings.SplitSeq(path, "{") {
		if name, _, ok := strings.Cut(segment, "}"); ok {
			names = append(names, strings.TrimSuffix(name, "..."))
		}
	}
	return names
}

// tagOf groups calls by the noun in their path.
func tagOf(path string) string {
	for segment := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if segment, _, _ = strings.Cut(segment, ":"); segment != "v1" && segment != "api" && segment != "projects" && !strings.HasPrefix(segment, "{") {
			return segment
		}
	}
	return "server"
}

// operationID makes a name for programs of a summary: its words without articles.
func operationID(summary string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(summary, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		switch lower := strings.ToLower(word); {
		case lower == "a" || lower == "an" || lower == "the":
		case b.Len() == 0:
			b.WriteString(lower)
		default:
			b.WriteString(strings.ToUpper(lower[:1]) + lower[1:])
		}
	}
	return b.String()
}

package gateway_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vibesdk-gcp/gateway"
	"vibesdk-gcp/gateway/auth"
)

func TestTheDocumentIsOpenAPI(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.Metrics = http.NotFoundHandler() })
	got := f.call(t, "GET", "/openapi.json", "")
	if got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("GET /openapi.json: %s %s", got.Status, got.Header.Get("Content-Type"))
	}
	valid, errs := newContract(t, []byte(got.body)).whole.ValidateDocument()
	for _, err := range errs {
		t.Errorf("not OpenAPI: %s", err)
		for _, why := range err.SchemaValidationErrors {
			t.Logf("  %s at %s", why.Reason, why.KeywordLocation)
		}
	}
	if !valid && len(errs) == 0 {
		t.Error("not OpenAPI")
	}
	// The check can fail.
	broken := bytes.Replace([]byte(got.body), []byte(`"paths":`), []byte(`"path":`), 1)
	if valid, _ := newContract(t, broken).whole.ValidateDocument(); valid {
		t.Error("a document without paths passed")
	}
	again := f.call(t, "GET", "/openapi.json", "", header("If-None-Match", got.Header.Get("ETag")))
	if again.StatusCode != http.StatusNotModified || again.body != "" {
		t.Errorf("with its ETag: %s %q, want 304", again.Status, again.body)
	}
}

// Mux and document come from one table; this is about what lies between them.
func TestEveryRouteIsInTheDocumentAndTheReverse(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.Metrics = http.NotFoundHandler() })
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Summary     string
			Security    []map[string][]string
			Responses   map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(f.call(t, "GET", "/openapi.json", "").body), &document); err != nil {
		t.Fatal(err)
	}
	scopes := auth.Scopes()
	ids, described := map[string]string{}, 0
	for path, methods := range document.Paths {
		for method, op := range methods {
			described++
			at := strings.ToUpper(method) + " " + path
			if other := ids[op.OperationID]; other != "" || op.OperationID == "" || op.Summary == "" {
				t.Errorf("%s has the id %q, as %q, and the summary %q", at, op.OperationID, other, op.Summary)
			}
			ids[op.OperationID] = at
			if len(op.Security) > 0 && !slices.Contains(scopes, auth.Scope(op.Security[0]["bearer"][0])) {
				t.Errorf("%s needs %v, which is no scope", at, op.Security)
			}
			// The row that a request gets is the one that is described.
			url := strings.NewReplacer("{", "", "}", "").Replace(path)
			req, err := http.NewRequestWithContext(t.Context(), strings.ToUpper(method), f.URL+url, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if m, p := gateway.RouteOf(f.gateway, req); m+" "+p != at {
				t.Errorf("%s leads to %q %q", at, m, p)
			}
		}
	}
	rows := gateway.Rows(f.gateway)
	if len(rows) != described || described < 60 {
		t.Errorf("the table has %d rows, the document %d", len(rows), described)
	}
	for _, row := range rows {
		if _, ok := document.Paths[row.Path][strings.ToLower(row.Method)]; !ok {
			t.Errorf("%s %s is not in the document", row.Method, row.Path)
		}
	}
}

// TestEveryCallMayNameItsProvider: the header is described once, and each operation refers to it.
func TestEveryCallMayNameItsProvider(t *testing.T) {
	t.Parallel()
	var document struct {
		Paths      map[string]map[string]struct{ Parameters []map[string]any }
		Components struct{ Parameters map[string]map[string]any }
	}
	if err := json.Unmarshal([]byte(start(t).call(t, "GET", "/openapi.json", "").body), &document); err != nil {
		t.Fatal(err)
	}
	name := ""
	for key, p := range document.Components.Parameters {
		if p["in"] == "header" && p["name"] == gateway.ProviderHeader && p["required"] == nil {
			name = key
		}
	}
	if name == "" || len(document.Paths) == 0 {
		t.Fatalf("no optional header %s among %v", gateway.ProviderHeader, document.Components.Parameters)
	}
	for path, methods := range document.Paths {
		for method, operation := range methods {
			if !slices.ContainsFunc(operation.Parameters, func(p map[string]any) bool { return p["$ref"] == "#/components/parameters/"+name }) {
				t.Errorf("%s %s does not refer to it", method, path)
			}
		}
	}
}

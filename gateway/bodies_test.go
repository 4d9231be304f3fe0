package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/gateway"
)

// FuzzBodies sends a body to each route that takes one: no body is our fault, and what is published of one is what its topic takes.
func FuzzBodies(f *testing.F) {
	x := start(f, func(o *gateway.Options) { o.WaitFor, o.Runner.Wait = time.Nanosecond, time.Nanosecond })
	var rows []gateway.Row
	for _, row := range gateway.Rows(x.gateway) {
		if slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, row.Method) {
			rows = append(rows, row)
		}
	}
	bodies := []string{
		``, `{}`, `null`, `[]`, `7`, `{"a":1}`, `{`, "\xff", `[{"op":"add","path":"/a","value":1}]`,
		`{"delaySeconds":60,"callback":"cb","payload":{"a":1},"retry":{"maxAttempts":3}}`, `{"cron":"* * * * *","callback":"cb"}`, `{"callback":"cb","payload":1}`,
		`{"value":1,"path":"/list"}`, `{"from":"other"}`, `{"kind":"PUT","payload":"{}"}`, `{"kind":"CLONE","cloneOf":"other"}`,
		`{"projectName":"p","staticDir":".","source":{"files":[{"path":"index.html","content":"hi"}]}}`,
		`{"projectName":"p","files":[{"filePath":"index.html","fileContents":"hi"}],"envVars":{"A":"b"}}`, `{"projectName":"p","templateName":"t"}`,
		`{"commands":["ls"],"timeout":1000}`, `{"commands":["ls"],"timeoutSeconds":1}`, `{"logName":"a","log":"b"}`,
		`{"request":{"cloneUrl":"https://git.test/a","token":"t"},"files":[]}`, "\x1f\x8b\x08\x00",
	}
	for n := range rows {
		for _, body := range bodies {
			f.Add(uint8(n), []byte(body))
		}
	}
	topics := map[string]events.Topic{}
	for _, topic := range events.Topics() {
		topics[topic.Name] = topic
	}
	f.Fuzz(func(t *testing.T, n uint8, body []byte) {
		row := rows[int(n)%len(rows)]
		path := strings.NewReplacer("{agent}/{name}", "counter/x", "{", "", "}", "").Replace(row.Path)
		r := httptest.NewRequestWithContext(t.Context(), row.Method, "http://localhost"+path, strings.NewReader(string(body)))
		r.Header.Set("Content-Type", "application/json")
		if row.Method == http.MethodPatch {
			r.Header.Set("Content-Type", "application/merge-patch+json")
			if strings.HasPrefix(string(body), "[") {
				r.Header.Set("Content-Type", "application/json-patch+json")
			}
		}
		w := httptest.NewRecorder()
		x.gateway.ServeHTTP(w, r)
		if w.Code == http.StatusInternalServerError {
			t.Errorf("%s %s %q: %d %s", row.Method, path, body, w.Code, w.Body)
		}
		x.outbox.mu.Lock()
		defer x.outbox.mu.Unlock()
		for i, m := range x.outbox.sent {
			if err := topics[x.outbox.to[i]].Validate(m.Data); err != nil {
				t.Errorf("%s %s %q: published %q: %v", row.Method, path, body, m.Data, err)
			}
		}
		x.outbox.sent, x.outbox.to = nil, nil
	})
}

package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestClone(t *testing.T) {
	source := func(state string) *Record {
		r := stored(4, "state", state, "full_conversations", `[1]`, "mcp_servers", "{}", "jobs", "[]")
		r.ID, r.Initialized = "source", true
		return r
	}
	for _, c := range []struct{ name, state, want string }{
		{"older shape", `{ "query":"q", "sessionId":"source", "sandboxInstanceId":"i-1", "pendingUserInputs":["x"], "currentDevState":3, "shouldBeGenerating":true, "clientReportedErrors":[1],
 "generatedPhases":[1.50], "mvpGenerated":true, "projectUpdatesAccumulator":["u"], "inferenceContext":{"agentId":"source", "userId":"u"}, "projectName":"mine" }`,
			`{ "query":"q", "sessionId":"s", "pendingUserInputs":[], "currentDevState":0, "shouldBeGenerating":false, "clientReportedErrors":[],
 "generatedPhases":[1.50], "mvpGenerated":true, "projectUpdatesAccumulator":["u"], "inferenceContext":{"agentId":"s", "userId":"u"}, "projectName":"mine" }`},
		{"newer shape", `{"behaviorType":"phasic","metadata":{"agentId":"source","userApiToken":"s3cret","userId":"u","userGateway":{"token":"s3cret"}},"cloudflareDeploymentUrl":"https://p.example","sessionId":"source","sandboxInstanceId":"i","pendingUserInputs":[1],"shouldBeGenerating":true,"projectUpdatesAccumulator":[1],"reviewingInitiated":true,"mvpGenerated":true,"generatedPhases":[1],"currentDevState":4,"fileServingToken":{"token":"t"},"cloudflareToken":"c","wsOrigin":"o","projectName":"p","n":1e2}`,
			`{"behaviorType":"phasic","metadata":{"agentId":"s","userId":"u"},"sessionId":"s","pendingUserInputs":[],"shouldBeGenerating":false,"projectUpdatesAccumulator":[],"reviewingInitiated":false,"mvpGenerated":false,"generatedPhases":[],"currentDevState":0,"n":1e2}`},
		{"only what is present", `{"metadata":{},"query":"q"}`, `{"metadata":{},"query":"q"}`},
		{"odd types", `{"metadata":[],"sessionId":1}`, `{"metadata":[],"sessionId":"s"}`},
		{"secrets that come twice", `{"metadata":{},"cloudflareToken":"a","cloudflareToken":"b"}`, `{"metadata":{}}`},
		{"another agent", ` {"sessionId":"source","mvpGenerated":true}`, ` {"sessionId":"source","mvpGenerated":true}`},
		{"no object", `[1]`, `[1]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fold(&Record{Head: Head{ID: "s", Version: 2}}, foldTime)
			from := source(c.state)
			if _, err := f.apply(Mutation{Kind: Clone, CloneOf: "source"}, from); err != nil {
				t.Fatal(err)
			}
			r := f.result()
			if got := fmt.Sprint(partsOf(r)); got != "map[state:"+c.want+"]" {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if !r.Present || !r.Initialized || r.Version != 3 || r.Parts[PartState].Tag != "" {
				t.Errorf("%+v", r.Head)
			}
			if string(from.Parts[PartState].Data) != c.state {
				t.Error("the source has changed")
			}
		})
	}
}

func TestCloneRejected(t *testing.T) {
	initialized := stored(1, "state", "{}")
	initialized.Initialized = true
	gone := &Record{Head: Head{ID: "source", Initialized: true}}
	for name, c := range map[string]struct {
		base, source *Record
		of           string
		err          error
	}{
		"target present":         {stored(1), initialized, "source", ErrConflict},
		"no source":              {nothing(), nil, "source", ErrNotFound},
		"source gone":            {nothing(), gone, "source", ErrNotFound},
		"source not initialized": {nothing(), stored(1, "state", "{}"), "source", ErrNotFound},
		"unnamed":                {nothing(), initialized, "", ErrInvalid},
		"named too long":         {nothing(), initialized, strings.Repeat("x", MaxID+1), ErrInvalid},
		"source damaged":         {nothing(), func() *Record { r := stored(1, "state", `{"metadata":`); r.Initialized = true; return r }(), "source", ErrInvalid},
	} {
		f := fold(c.base, foldTime)
		_, err := f.apply(Mutation{Kind: Clone, CloneOf: c.of}, c.source)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
		if errors.Is(c.err, ErrNotFound) && !strings.Contains(err.Error(), "agent source not found") {
			t.Errorf("%s: %v", name, err)
		}
		unchanged(t, c.base, f.result())
	}
}

func TestImport(t *testing.T) {
	good := `{"initialized":true,"parts":{"state": {"a" : 1.0} ,"full_conversations":[ ],"mcp_servers":{},"tables":{"tables":{}},"jobs":[
		{"id":"q","type":"queue","callback":"work","due":"2026-01-01T00:00:00Z","createdAt":"2026-01-01T00:00:00Z","retry":{},"run":1,"holder":"h","heldUntil":"2027-01-01T00:00:00Z"}]}}`
	f := fold(stored(3, "state", "1", "compact_conversations", "[]"), foldTime)
	if _, err := f.apply(Mutation{Kind: Import, Payload: []byte(good)}, nil); !errors.Is(err, ErrConflict) {
		t.Errorf("over a session that is present: %v", err)
	}
	unchanged(t, f.base, f.result())
	if _, err := f.apply(Mutation{Kind: Import, Payload: []byte(good), Expected: pointerTo[int64](3)}, nil); err != nil {
		t.Fatal(err)
	}
	r := f.result()
	parts := partsOf(r)
	if parts["state"] != `{"a" : 1.0}` || parts["full_conversations"] != "[ ]" || parts["tables"] != `{"tables":{}}` || len(parts) != 5 {
		t.Error(parts)
	}
	if jobs, err := r.Jobs(); err != nil || len(jobs) != 1 || jobs[0].Holder != "" || !jobs[0].HeldUntil.IsZero() {
		t.Errorf("%v, %v", jobs, err)
	}
	if !r.Initialized || r.Version != 4 || r.AlarmAt.Year() != 2026 {
		t.Errorf("%+v", r.Head)
	}

	job := func(fields string) string {
		return `{"initialized":true,"parts":{"jobs":[{"id":"a","type":"delayed","callback":"c","due":"2026-01-01T00:00:00Z","createdAt":"2026-01-01T00:00:00Z","retry":{},"run":1` + fields + `}]}}`
	}
	for payload, want := range map[string]string{
		`[]`:                                  "payload is not an object",
		`{"parts":{"other":{}}}`:              `"other" is none`,
		`{"parts":{"jobs":{}}}`:               "part jobs must be an array",
		`{"parts":{"full_conversations":{}}}`: "part full_conversations must be an array",
		`{"parts":{"mcp_servers":null}}`:      "part mcp_servers must be an object",
		`{"part":{}}`:                         `unknown field "part"`,
		job(`,"retries":1`):                   `unknown field "retries"`,
		job(`,"run":0`):                       "jobs[0]: invalid session mutation: run must be",
		job(`,"id":"cf:keep-alive"`):          "reserved",
		job(`,"type":"cron","cron":"x"`):      "expected 5 or 6 elements",
		job(`,"type":"never"`):                "type must be one of",
		job(`,"due":"0001-01-01T00:00:00Z"`):  "due must be",
		job(`},{"id":"a","type":"delayed","callback":"c","due":"2026-01-01T00:00:00Z","createdAt":"2026-01-01T00:00:00Z","retry":{},"run":1`): "another job",
	} {
		f := fold(nothing(), foldTime)
		if _, err := f.apply(Mutation{Kind: Import, Payload: []byte(payload)}, nil); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", payload, err, want)
		}
		unchanged(t, f.base, f.result())
	}
}

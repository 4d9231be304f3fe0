package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/internal/checkup"
)

func TestDoctor(t *testing.T) {
	t.Parallel()
	addr := serveWith(t, nil, app.RoleGateway)
	out := strings.Join(strings.Fields(must(t, addr, "", "doctor")), " ")
	for _, want := range []string{
		"ok gateway http://" + addr + " answers and is ready", "ok clock the gateway's and ours agree", "ok gateway API answers", "ok dead letters none waits",
		"skipped database", "skipped Pub/Sub BUS_BACKEND is sql", "skipped Firestore SESSION_BACKEND is sql", "skipped job vibesdk-sandbox-job", "skipped schedules", "skipped Redis LIMIT_BACKEND is sql",
		"skipped services of Cloud Run", "4 ok, 7 skipped",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}

	out, err := vibectl(t, "127.0.0.1:1", "", "-o", "json", "doctor")
	var found []checkup.Finding
	if jsonErr := json.Unmarshal([]byte(out), &found); jsonErr != nil || len(found) != 8 || found[0].Status != checkup.Fail || found[0].Fix == "" {
		t.Errorf("as JSON: %s (%v)", out, jsonErr)
	}
	var exit exitError
	if !errors.As(err, &exit) || exit != 1 {
		t.Errorf("a failure ends with %v, want status 1", err)
	}
}

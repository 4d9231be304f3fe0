package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
)

func TestLimitsInCommands(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "limits.yaml")
	text := "mine: {limit: 3.5, period: 3600, burst: 3, burstWindow: 1800, dailyLimit: 4, onFailure: closed}\nnever: {limit: 0, period: 90}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := serveWith(t, map[string]string{"LIMITS_FILE": file, "LIMIT_TIMEOUT": "1m"}, app.RoleGateway)
	list := must(t, addr, "", "limit", "list")
	for _, want := range []string{
		"mine 3.5 per 1h 3 per 30m 4 closed", "never 0 per 1m30s - - open",
		"llmCalls 200 per day of UTC - - open", "publicApps 120 per 1m 40 per 10s - open",
	} {
		if !strings.Contains(strings.Join(strings.Fields(list), " "), want) {
			t.Errorf("the list has no line %q:\n%s", want, list)
		}
	}
	mine := []string{"mine", "user:a/b:1"}
	run := func(verb string, args ...string) (string, error) {
		return vibectl(t, addr, "", append(append([]string{"limit", verb}, mine...), args...)...)
	}
	for _, c := range []struct {
		verb string
		args []string
		want string
	}{
		{"remaining", nil, "3.5\n"},
		{"check", []string{"-n", "1.5"}, "admitted, 2 left\n"},
		{"increment", nil, "admitted, 2.5 left\n"},
		{"increment", []string{"--cost", "2"}, "admitted, 0.5 left\n"},
		{"increment", []string{"--cost", "2"}, "rejected: burst limit of 3 per 30m, try again in "},
		{"check", nil, "rejected: burst limit of 3 per 30m, try again in "},
		{"remaining", []string{"--config", `{"limit":10,"period":3600}`}, "7\n"},
		{"increment", []string{"--config", `{"limit":10,"period":3600}`}, "admitted, 6 left\n"},
		{"reset", nil, "mine of user:a/b:1 is reset\n"},
		{"remaining", nil, "3.5\n"},
	} {
		out, err := run(c.verb, c.args...)
		if !strings.HasPrefix(out, c.want) {
			t.Errorf("%s %q: %q, %v; want %q", c.verb, c.args, out, err, c.want)
		}
		var exit exitError
		if rejected := strings.HasPrefix(c.want, "rejected"); rejected != errors.As(err, &exit) || rejected && exit != 3 || !rejected && err != nil {
			t.Errorf("%s %q: %v", c.verb, c.args, err)
		}
	}
	out, err := vibectl(t, addr, "", "-o", "json", "limit", "increment", "never", "user:1")
	var result client.LimitResult
	if json.Unmarshal([]byte(out), &result) != nil || result.Success || result.ExceededLimit != "main" || result.RetryAfterSeconds != 0 || err == nil {
		t.Errorf("as JSON: %s, %v", out, err)
	}
	// Several together: one that rejects keeps the others from being charged.
	out, err = vibectl(t, addr, "", "limit", "increment", "mine", "user:2", "never", "user:2")
	var exit exitError
	if !errors.As(err, &exit) || exit != 3 || out != "mine of user:2: not charged, since another rejects\nnever of user:2: rejected: main limit of 0 per 1m30s\n" {
		t.Errorf("several: %q, %v", out, err)
	}
	if out := must(t, addr, "", "limit", "remaining", "mine", "user:2"); out != "3.5\n" {
		t.Errorf("%q remain after several of which one was rejected", out)
	}
	var results client.LimitResults
	out = must(t, addr, "", "-o", "json", "limit", "increment", "mine", "user:2", "llmCalls", "user:2", "-n", "0.5")
	if json.Unmarshal([]byte(out), &results) != nil || !results.Success || len(results.Results) != 2 || results.Results[1].RemainingLimit != 199.5 {
		t.Errorf("several as JSON: %s", out)
	}
	for want, args := range map[string][]string{
		"config.period":   {"increment", "mine", "u", "--config", `{"limit":1}`},
		"--config":        {"increment", "mine", "u", "--config", `{`},
		`"brust"`:         {"increment", "mine", "u", "--config", `{"limit":1,"period":60,"brust":5}`},
		"one object":      {"check", "mine", "u", "--config", `null`},
		"no such rate":    {"remaining", "unknown", "u"},
		"not a number":    {"increment", "mine", "u", "-n", "NaN"},
		"identifier":      {"reset", "mine", ""},
		"charges[0].n":    {"check", "mine", "u", "-n", "1e10"},
		"such pairs":      {"increment", "mine"},
		"got 3 arguments": {"check", "mine", "u", "never"},
	} {
		if _, err := vibectl(t, addr, "", append([]string{"limit"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("limit %q: %v, want %q", args, err, want)
		}
	}
}

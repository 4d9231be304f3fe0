package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"vibesdk-gcp/cmd/internal/app"
	"vibesdk-gcp/gateway/client"
)

func TestDeploymentsInCommands(t *testing.T) {
	t.Parallel()
	addr := serveWith(t, map[string]string{"APP_ENDPOINT_HOSTS": "*.run.app, *.example.com"}, app.RoleGateway)
	run := func(args ...string) string {
		t.Helper()
		return must(t, addr, "", append([]string{"deployment"}, args...)...)
	}
	want := func(what, out string, parts ...string) {
		t.Helper()
		flat := strings.Join(strings.Fields(out), " ")
		for _, part := range parts {
			if !strings.Contains(flat, part) {
				t.Errorf("%s: no %q in\n%s", what, part, out)
			}
		}
	}
	want("no apps", run("list"), "no deployments")
	want("set", run("set", "shop", "--target", "cloudrun", "--endpoint", "https://one.run.app", "--audience", "https://one.run.app"),
		"endpoint https://one.run.app", "audience https://one.run.app", "visibility public", "version 1")
	want("set keeps the rest", run("set", "shop", "--visibility", "private", "--owner", "user 1"),
		"endpoint https://one.run.app", "audience https://one.run.app", "visibility private", "owner user 1", "version 2")
	want("a Worker", run("set", "legacy", "--target", "cloudflare"), "target cloudflare", "endpoint legacy")

	want("rollout", run("rollout", "shop", "--endpoint", "https://two.example.com", "--weight", "5"), "rollout 5 % to cloudrun https://two.example.com")
	want("rollout goes on", run("rollout", "shop", "--weight", "50"), "rollout 50 % to cloudrun https://two.example.com", "endpoint https://one.run.app")
	want("list", run("list"), "legacy 1", "shop 4", "cloudrun https://one.run.app, 50 % cloudrun https://two.example.com, private of user 1")
	finished := run("rollout", "shop", "--finish")
	want("finish", finished, "endpoint https://two.example.com", "version 5", "owner user 1")
	if strings.Contains(finished, "rollout") || strings.Contains(finished, "audience") {
		t.Errorf("finish leaves something of before:\n%s", finished)
	}
	run("rollout", "shop", "--endpoint", "https://three.run.app", "--weight", "1")
	if out := run("rollout", "shop", "--abort"); strings.Contains(out, "three") {
		t.Errorf("abort:\n%s", out)
	}
	run("rollout", "shop", "--endpoint", "https://three.run.app", "--weight", "1")
	if out := run("set", "shop", "--endpoint", "https://four.run.app"); strings.Contains(out, "rollout") || !strings.Contains(out, "four") {
		t.Errorf("set during a rollout:\n%s", out)
	}

	var got client.Deployment
	if err := json.Unmarshal([]byte(must(t, addr, "", "-o", "json", "deployment", "get", "shop")), &got); err != nil || got.Version != 9 || got.Endpoint != "https://four.run.app" {
		t.Errorf("as JSON: %+v, %v", got, err)
	}
	_, err := vibectl(t, addr, "", "deployment", "set", "shop", "--owner", "x", "--if-version", "8")
	if !errors.Is(err, client.ErrVersion) {
		t.Errorf("set from an old version: %v", err)
	}
	want("delete", run("delete", "shop", "--if-version", "9"), "shop is deleted")
	history := run("history", "shop", "--limit", "3")
	want("history", history, "10", "deleted", "9", "https://four.run.app", "8", "ip:127.0.0.1")
	if n := strings.Count(history, "\n"); n != 4 {
		t.Errorf("%d lines of history:\n%s", n, history)
	}
	for want, args := range map[string][]string{
		"host that is not allowed": {"set", "x", "--target", "cloudrun", "--endpoint", "https://evil.example"},
		"target must be":           {"set", "x", "--owner", "u"},
		"name must be":             {"set", "Not-A-Label", "--target", "cloudflare", "--endpoint", "x"},
		"not found":                {"get", "nobody"},
		"there is no app":          {"rollout", "nobody", "--weight", "5", "--endpoint", "x"},
		"no rollout is under way":  {"rollout", "legacy", "--weight", "5"},
		"--weight is required":     {"rollout", "legacy", "--endpoint", "x"},
		"give --finish":            {"rollout", "legacy", "--finish", "--weight", "5"},
		"rollout.weight":           {"rollout", "legacy", "--endpoint", "x", "--weight", "101"},
		"--if-version":             {"set", "x", "--if-version", "-2"},
	} {
		if _, err := vibectl(t, addr, "", append([]string{"deployment"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

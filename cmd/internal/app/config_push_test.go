package app_test

import (
	"maps"
	"strings"
	"testing"

	"vibesdk-gcp/cmd/internal/app"
)

func TestPushSettingsGoTogether(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"BUS_BACKEND": "pubsub", "PUBSUB_PROJECT": "p", "PUSH_CONSUMERS": "janitor, parked", "PUSH_AUDIENCE": "a", "PUSH_ACCOUNT": "push@p.iam.gserviceaccount.com",
	}
	for name, c := range map[string]struct {
		change map[string]string
		fault  string // begins the line; empty is none
	}{
		"good":                {nil, ""},
		"an emulator":         {map[string]string{"PUBSUB_EMULATOR_HOST": "127.0.0.1:1", "PUSH_URL": "http://127.0.0.1:8787/"}, ""},
		"unknown":             {map[string]string{"PUSH_CONSUMERS": "janitors"}, `PUSH_CONSUMERS: "janitors" is no subscription; they are sandboxrunner`},
		"another bus":         {map[string]string{"BUS_BACKEND": "sql"}, "PUSH_CONSUMERS: goes with BUS_BACKEND=pubsub"},
		"no account":          {map[string]string{"PUSH_ACCOUNT": ""}, "PUSH_AUDIENCE: goes with PUSH_ACCOUNT"},
		"keys on the way":     {map[string]string{"PUSH_KEYS_URL": "http://keys.example.com"}, "PUSH_KEYS_URL: must be an https address"},
		"emulator without":    {map[string]string{"PUBSUB_EMULATOR_HOST": "127.0.0.1:1"}, "PUSH_URL: is required with PUBSUB_EMULATOR_HOST"},
		"a secret":            {map[string]string{"PUBSUB_EMULATOR_HOST": "127.0.0.1:1", "PUSH_URL": "http://user:hunter2@x"}, "PUSH_URL: must be like http"},
		"URL without":         {map[string]string{"PUSH_URL": "http://127.0.0.1:8787"}, "PUSH_URL: is for an emulator"},
		"URL and none pushed": {map[string]string{"PUSH_CONSUMERS": "", "PUSH_URL": "http://127.0.0.1:8787"}, "PUSH_URL: has no use without PUSH_CONSUMERS"},
		"deadline":            {map[string]string{"PUSH_DEADLINE": "11m"}, "PUSH_DEADLINE: "},
		"deadline of attempt": {map[string]string{"PUSH_DEADLINE": "2m"}, "PUSH_DEADLINE: 2m0s is no longer than an attempt of janitor, 2m0s"},
	} {
		vars := maps.Clone(good)
		maps.Copy(vars, c.change)
		_, err := app.ReadConfig(environment(vars))
		if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), "\n  "+c.fault) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v, want %q", name, err, c.fault)
		}
	}
}

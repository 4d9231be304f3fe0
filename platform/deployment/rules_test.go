package deployment_test

import (
	"errors"
	"strings"
	"testing"

	"vibesdk-gcp/platform/deployment"
)

const (
	tokenA = "aaaabbbbccccdddd"
	tokenB = "2345672345672345"
)

func TestValidNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		app, sandbox bool
	}{
		{"a", true, true}, {"a-b", true, true}, {"a--b", true, true}, {"1a", true, false}, {"a1", true, true},
		{"", false, false}, {"-a", false, false}, {"a-", false, false}, {"A", false, false}, {"a.b", false, false},
		{"a_b", false, false}, {"ä", false, false}, {"a\n", false, false},
		{strings.Repeat("a", 40), true, true}, {strings.Repeat("a", 41), true, false},
		{strings.Repeat("a", 63), true, false}, {strings.Repeat("a", 64), false, false},
	} {
		if got := deployment.ValidAppName(test.name); got != test.app {
			t.Errorf("ValidAppName(%q) = %v", test.name, got)
		}
		if got := deployment.ValidSandboxID(test.name); got != test.sandbox {
			t.Errorf("ValidSandboxID(%q) = %v", test.name, got)
		}
	}
	for token, want := range map[string]bool{
		tokenA: true, tokenB: true, tokenA[1:]: false, tokenA + "a": false, "aaaabbbbccccddd1": false, "aaaabbbbccccddd8": false,
		"aaaabbbbccccddd-": false, "aaaabbbbccccdddD": false, "": false,
	} {
		if got := deployment.ValidToken(token); got != want {
			t.Errorf("ValidToken(%q) = %v", token, got)
		}
	}
}

func TestParseEndpoint(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"127.0.0.1:4000": "http://127.0.0.1:4000", "localhost:4000": "http://localhost:4000", "[::1]:4000": "http://[::1]:4000",
		"http://a.example": "http://a.example", "https://a.example:8443": "https://a.example:8443",
	} {
		u, err := deployment.ParseEndpoint(endpoint)
		if err != nil || u.String() != want {
			t.Errorf("ParseEndpoint(%q) = %v, %v", endpoint, u, err)
		}
	}
	for _, endpoint := range []string{
		"", ":", ":80", "host", "host:", "host:0", "host:65536", "host:http", "https://", "https://:443", "https://host:", "ftp://host",
		"http://host/", "http://host/path", "http://host?", "http://host?q", "http://host#", "http://host#f", "http://u@host", "host:1/",
		"host:1\r\nX: y", "http://ho st", "unix:///run/x.sock", "http://" + strings.Repeat("a", deployment.MaxEndpoint),
	} {
		if u, err := deployment.ParseEndpoint(endpoint); err == nil {
			t.Errorf("ParseEndpoint(%q) = %v", endpoint, u)
		}
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	table := deployment.NewTable(&slowDriver{}, deployment.Options{}) // no call may reach it
	for field, change := range map[string]func(*deployment.Preview){
		"sandbox id": func(p *deployment.Preview) { p.SandboxID = "Sbx" },
		"token":      func(p *deployment.Preview) { p.Token = "secret-secret-se" },
		"fence":      func(p *deployment.Preview) { p.Fence = 0 },
		"endpoint":   func(p *deployment.Preview) { p.Endpoint = "http://user:secret@host" },
	} {
		p := deployment.Preview{SandboxID: "sbx-a", Token: tokenA, Fence: 1, Endpoint: "127.0.0.1:4000"}
		change(&p)
		err := table.PutPreview(t.Context(), p)
		if !errors.Is(err, deployment.ErrInvalid) || !strings.Contains(err.Error(), field) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", field, err)
		}
	}
	for field, change := range map[string]func(*deployment.App){
		"name":                       func(a *deployment.App) { a.Name = "Shop" },
		"target must":                func(a *deployment.App) { a.Target = "moon" },
		"endpoint":                   func(a *deployment.App) { a.Endpoint = "host" },
		"visibility":                 func(a *deployment.App) { a.Visibility = "hidden" },
		"owner":                      func(a *deployment.App) { a.Owner = strings.Repeat("o", deployment.MaxOwner+1) },
		"owner must":                 func(a *deployment.App) { a.Owner = "a\nb" },
		"sandbox id":                 func(a *deployment.App) { a.SandboxID = "-" },
		"audience":                   func(a *deployment.App) { a.Audience = "https://x.run.app" },
		"rollout.weight":             func(a *deployment.App) { a.Rollout = &deployment.Rollout{Place: a.Place, Weight: 101} },
		"rollout: deployment is not": func(a *deployment.App) { a.Rollout = &deployment.Rollout{} },
	} {
		a := deployment.App{Name: "shop", Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: "127.0.0.1:1"}}
		change(&a)
		if _, err := table.PutApp(t.Context(), a, deployment.Write{}); !errors.Is(err, deployment.ErrInvalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
	app := deployment.App{Name: "shop", Place: deployment.Place{Target: deployment.TargetProcess, Endpoint: "127.0.0.1:1"}}
	if _, err := table.PutApp(t.Context(), app, deployment.Write{By: "\x00"}); !errors.Is(err, deployment.ErrInvalid) || !strings.Contains(err.Error(), "by must") {
		t.Errorf("by: %v", err)
	}
	for _, err := range []error{
		table.WithdrawPreview(t.Context(), "", 1), table.WithdrawPreview(t.Context(), "sbx-a", 0),
		second(table.Apps(t.Context(), "", 1001)), second(table.Apps(t.Context(), "", -1)),
		second(table.AppHistory(t.Context(), "shop", deployment.HistoryLength+1)),
	} {
		if !errors.Is(err, deployment.ErrInvalid) {
			t.Errorf("got %v", err)
		}
	}
	if err := table.DeleteApp(t.Context(), "Shop", deployment.Write{}); !errors.Is(err, deployment.ErrNotFound) {
		t.Errorf("DeleteApp: %v", err)
	}
}

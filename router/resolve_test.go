package router

import (
	"math/rand/v2"
	"strings"
	"testing"

	"vibesdk-gcp/platform/deployment"
)

func testDomains(tb testing.TB) domains {
	tb.Helper()
	d, err := newDomains("localhost", "preview.localhost")
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func TestMatch(t *testing.T) {
	t.Parallel()
	d := testDomains(t)
	for host, want := range map[string]struct {
		kind  site
		label string
	}{
		"localhost":                         {elsewhere, ""},
		"localhost:8787":                    {elsewhere, ""},
		"":                                  {elsewhere, ""},
		"127.0.0.1":                         {elsewhere, ""},
		"127.0.0.1:8787":                    {elsewhere, ""},
		"[::1]:8787":                        {elsewhere, ""},
		"[::1]":                             {elsewhere, ""},
		"example.com":                       {elsewhere, ""},
		"shop.localhost.evil.com":           {elsewhere, ""},
		"notlocalhost":                      {elsewhere, ""},
		"shop.notlocalhost":                 {elsewhere, ""},
		"shop.localhost:80:80":              {elsewhere, ""},
		"shop.localhost:8o":                 {elsewhere, ""},
		"sh op.localhost":                   {elsewhere, ""},
		"shop.locälhost":                    {elsewhere, ""},
		"shop.localhost..":                  {elsewhere, ""},
		"shop.localhost":                    {appSite, "shop"},
		"shop.localhost.":                   {appSite, "shop"},
		"shop.localhost:8787":               {appSite, "shop"},
		"SHOP.LocalHost:8787":               {appSite, "shop"},
		"shop.eu.localhost":                 {appSite, "shop"},
		".localhost":                        {appSite, ""},
		"preview.localhost":                 {previewSite, ""},
		"Preview.localhost:1":               {previewSite, ""},
		"x.preview.localhost":               {previewSite, "x"},
		"a.x.preview.localhost":             {previewSite, "a.x"},
		"Sbx-1-AAAA.preview.localhost:8787": {previewSite, "sbx-1-aaaa"},
		"xpreview.localhost":                {appSite, "xpreview"},
	} {
		if kind, label := d.match(host); kind != want.kind || label != want.label {
			t.Errorf("match(%q) = %v, %q, want %v, %q", host, kind, label, want.kind, want.label)
		}
	}
}

// TestOneDomainForBoth is VibeSDK's own setup: what looks like a preview is one, even if there is none, and all else is an app.
func TestOneDomainForBoth(t *testing.T) {
	t.Parallel()
	d, err := newDomains("Build.example.com", "build.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]struct {
		kind  site
		label string
	}{
		"build.example.com":                             {elsewhere, ""},
		"example.com":                                   {elsewhere, ""},
		"shop.build.example.com:443":                    {appSite, "shop"},
		"Shop.eu.build.example.com":                     {appSite, "shop"},
		"sbx-1-aaaabbbbccccdddd.build.example.com":      {previewSite, "sbx-1-aaaabbbbccccdddd"},
		"x.sbx-1-aaaabbbbccccdddd.build.example.com":    {appSite, "x"},
		"sbx-1-aaaabbbbccccddd.build.example.com":       {appSite, "sbx-1-aaaabbbbccccddd"},
		"sbx-1-aaaabbbbccccdddd.build.example.com.evil": {elsewhere, ""},
	} {
		if kind, label := d.match(host); kind != want.kind || label != want.label {
			t.Errorf("match(%q) = %v, %q, want %v, %q", host, kind, label, want.kind, want.label)
		}
	}
}

func TestParsePreviewLabelRefuses(t *testing.T) {
	t.Parallel()
	for _, label := range []string{
		"", "-", "x", "aaaabbbbccccdddd", "-aaaabbbbccccdddd", "sbx-", "sbx-aaaabbbbccccddd", "sbx-aaaabbbbccccddddd",
		"sbx-aaaabbbbccccddd1", "sbx-aaaabbbbccccddd_", "sbx-AAAABBBBCCCCDDDD", "1sbx-aaaabbbbccccdddd", "sbx--aaaabbbbccccdddd",
		"a.sbx-aaaabbbbccccdddd", "s_x-aaaabbbbccccdddd", strings.Repeat("a", 41) + "-aaaabbbbccccdddd",
	} {
		if id, token, ok := parsePreviewLabel(label); ok {
			t.Errorf("%q parsed as %q, %q", label, id, token)
		}
	}
}

func TestDomainsRefused(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{"localhost", ""}, {"apps.example.com", "example.com"}, {"localhost", "-x.localhost"},
		{"local host", "preview.localhost"}, {"localhost", "preview..localhost"}, {"", "127.0.0.1"}, {"", strings.Repeat("a.", 130) + "a"},
	} {
		if _, err := newDomains(pair[0], pair[1]); err == nil {
			t.Errorf("domain %q with preview domain %q was accepted", pair[0], pair[1])
		}
	}
	if d, err := newDomains("", "Preview.Example.COM"); err != nil {
		t.Error(err)
	} else if kind, _ := d.match("shop.example.com"); kind != elsewhere {
		t.Error("without a domain there are no app hosts")
	}
}

// TestPreviewHostsParseBack is the figure of the original's faulty pattern, which took 4.66 % of the hosts it had
// issued for something else: here it must be none.
func TestPreviewHostsParseBack(t *testing.T) {
	t.Parallel()
	const idBytes, tokenBytes = "abcdefghijklmnopqrstuvwxyz0123456789-", "abcdefghijklmnopqrstuvwxyz234567"
	d := testDomains(t)
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from string, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = from[random.IntN(len(from))]
		}
		return string(b)
	}
	for n := 0; n < 200_000; {
		p := deployment.Preview{SandboxID: pick(idBytes, 1+random.IntN(deployment.MaxSandboxID)), Token: pick(tokenBytes, deployment.TokenLength)}
		if deployment.ValidSandboxID(p.SandboxID) {
			parsesBack(t, d, p)
			n++
		}
	}
}

func FuzzPreviewHost(f *testing.F) {
	f.Add("sbx-abcdefgh23456723", "aaaabbbbccccdddd")
	f.Add("a", "2222222222222222")
	f.Add("a-b--c", "zzzzzzzzzzzzzzzz")
	d := testDomains(f)
	f.Fuzz(func(t *testing.T, id, token string) {
		if deployment.ValidSandboxID(id) && deployment.ValidToken(token) {
			parsesBack(t, d, deployment.Preview{SandboxID: id, Token: token})
		}
		// Anything at all may come as a host, and what parses must be spelled the one way.
		kind, label := d.match(id + "-" + token + ".preview.localhost:80")
		if gotID, gotToken, ok := parsePreviewLabel(label); ok && (kind != previewSite || gotID+"-"+gotToken != strings.ToLower(id+"-"+token)) {
			t.Fatalf("%q, %q parsed as %q, %q", id, token, gotID, gotToken)
		}
	})
}

func parsesBack(t *testing.T, d domains, p deployment.Preview) {
	t.Helper()
	host := strings.ToUpper(p.Label()) + ".Preview.localhost:8787"
	kind, label := d.match(host)
	id, token, ok := parsePreviewLabel(label)
	if kind != previewSite || !ok || id != p.SandboxID || token != p.Token {
		t.Fatalf("%s: got %v %v %q %q", host, kind, ok, id, token)
	}
	if len(p.Label()) > 63 {
		t.Fatalf("label of %d bytes", len(p.Label()))
	}
}

func TestIsControl(t *testing.T) {
	t.Parallel()
	for urlPath, want := range map[string]bool{
		"/.sandbox": true, "/.sandbox/": true, "/.sandbox/v1/files": true, "//.sandbox/v1": true, "/./.sandbox/": true,
		"/x/../.sandbox/v1": true, "/../.sandbox/": true, `/\.sandbox/v1`: true, `/.sandbox\v1`: true, "/.sandbox/..": false,
		"/": false, "/.sandboxes": false, "/x/.sandbox/": false, "/x.sandbox/": false, "/.sandbox/../x": false,
	} {
		if got := isControl(urlPath); got != want {
			t.Errorf("isControl(%q) = %v", urlPath, got)
		}
	}
}

func TestOriginAllowed(t *testing.T) {
	t.Parallel()
	rt := &Router{origins: map[string]bool{"https://build.example.com": true}, devOrigins: true}
	for origin, want := range map[string]bool{
		"https://build.example.com": true, "http://localhost": true, "http://localhost:5173": true,
		"https://build.example.com.evil.com": false, "http://build.example.com": false, "http://localhost.evil.com": false,
		"http://localhost:": false, "http://localhost:0": false, "http://localhost:5173.evil.com": false, "http://localhost:99999": false,
		"http://localhostx": false, "https://localhost:5173": false, "http://x.preview.localhost:8787": false, "null": false, "": false,
	} {
		if got := rt.originAllowed(origin); got != want {
			t.Errorf("originAllowed(%q) = %v", origin, got)
		}
	}
	rt.devOrigins = false
	if rt.originAllowed("http://localhost:5173") {
		t.Error("localhost is allowed without DevOrigins")
	}
}

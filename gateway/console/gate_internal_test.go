package console

import "testing"

func TestOnlyOurOwnPagesAreGoneOnTo(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/console/dead-letters?state=open": "/console/dead-letters?state=open", "/console/": "/console/",
		"/console/sessions/a%2Fb": "/console/sessions/a%2Fb",
		"":                        "/console/", "/": "/console/", "/console": "/console/", "/consolex/": "/console/",
		"https://evil.test/console/": "/console/", "//evil.test/console/": "/console/", `/\evil.test/console/`: "/console/",
		"/console/\r\nSet-Cookie: a=b": "/console/", "javascript:alert(1)": "/console/", "/console/%zz": "/console/",
		"http:///console/": "/console/", "/console/\\evil": "/console/",
	} {
		if got := ownPath(in); got != want {
			t.Errorf("ownPath(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFramesAreOfTheDomainOfPreviews(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"http://sbx-a.preview.localhost:8787/x?y": "http://*.preview.localhost:8787", "https://a.b.test/": "https://*.b.test",
		"": "'none'", "javascript:alert(1)": "'none'", "data:text/html,x": "'none'", "//a.test/": "'none'", "http://host/": "'none'", "http://host./": "'none'",
	} {
		if got := frameSource(in); got != want {
			t.Errorf("frameSource(%q) = %q, want %q", in, got, want)
		}
	}
}

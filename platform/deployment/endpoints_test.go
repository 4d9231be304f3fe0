package deployment_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"vibesdk-gcp/platform/deployment"
)

func TestEndpoints(t *testing.T) {
	t.Parallel()
	listed, err := deployment.NewEndpoints([]string{"*.Example.com", "exact.test", "10.1.2.3", "[::1]"[1:4]})
	if err != nil {
		t.Fatal(err)
	}
	const process, cloudrun, cloudflare = deployment.TargetProcess, deployment.TargetCloudRun, deployment.TargetCloudflare
	for _, test := range []struct {
		rules    deployment.Endpoints
		target   deployment.Target
		endpoint string
		audience string
		ok       bool
	}{
		{listed, process, "127.0.0.1:3000", "", true},
		{listed, process, "localhost:3000", "", true},
		{listed, process, "[::1]:3000", "", true},
		{listed, process, "127.9.9.9:3000", "", true},
		{listed, process, "http://127.0.0.1:3000", "", true},
		{listed, process, "https://127.0.0.1:3000", "", false},
		{listed, process, "10.1.2.3:3000", "", false}, // on the list, but for services
		{listed, process, "169.254.169.254:80", "", false},
		{listed, process, "localhost.evil.com:80", "", false},
		{listed, process, "127.0.0.1.evil.com:80", "", false},
		{listed, process, "0.0.0.0:80", "", false},
		{listed, process, "127.0.0.1:3000", "https://x", false},
		{listed, cloudrun, "https://a.example.com", "", true},
		{listed, cloudrun, "https://A.B.example.COM.:8443", "", true},
		{listed, cloudrun, "https://a.example.com", "https://a.example.com", true},
		{listed, cloudrun, "http://a.example.com", "", true},
		{listed, cloudrun, "http://a.example.com", "https://a.example.com", false}, // a token in the clear
		{listed, cloudrun, "https://example.com", "", false},
		{listed, cloudrun, "https://badexample.com", "", false},
		{listed, cloudrun, "https://a.example.com.evil.com", "", false},
		{listed, cloudrun, "https://exact.test", "", true},
		{listed, cloudrun, "https://x.exact.test", "", false},
		{listed, cloudrun, "https://10.1.2.3", "", true},
		{listed, cloudrun, "https://10.1.2.4", "", false},
		{listed, cloudrun, "http://[::1]:80", "", true},
		{listed, cloudrun, "127.0.0.1:80", "", false},
		{listed, cloudrun, "https://metadata.google.internal", "", false},
		{listed, cloudrun, "https://a.run.app", "", false}, // a list replaces the default
		{listed, cloudrun, "https://a.example.com", "a b", false},
		{deployment.Endpoints{}, cloudrun, "https://shop-x7.a.run.app", "", true},
		{deployment.Endpoints{}, cloudrun, "https://run.app", "", false},
		{deployment.Endpoints{}, cloudrun, "https://a.example.com", "", false},
		{listed, cloudflare, "my-app_2", "", true},
		{listed, cloudflare, "", "", false},
		{listed, cloudflare, "-x", "", false},
		{listed, cloudflare, "a/../b", "", false},
		{listed, cloudflare, "a.b", "", false},
		{listed, cloudflare, strings.Repeat("a", 64), "", false},
		{listed, "", "127.0.0.1:1", "", false},
	} {
		err := test.rules.Check(deployment.Place{Target: test.target, Endpoint: test.endpoint, Audience: test.audience})
		if (err == nil) != test.ok || err != nil && !errors.Is(err, deployment.ErrInvalid) {
			t.Errorf("%s %q audience %q: %v", test.target, test.endpoint, test.audience, err)
		}
	}
	for _, host := range []string{"", "*", "*.", "*.*.com", "a.*.com", "a b", "https://a.com", "a.com:443", "a.com/x", "u@a.com"} {
		if _, err := deployment.NewEndpoints([]string{host}); !errors.Is(err, deployment.ErrInvalid) {
			t.Errorf("host %q: %v", host, err)
		}
	}
	for endpoint, want := range map[string]deployment.Target{
		"127.0.0.1:1": process, "localhost:1": process, "[::1]:1": process, "https://127.0.0.1:1": cloudrun, "https://a.run.app": cloudrun, "10.0.0.1:1": cloudrun,
	} {
		if got := deployment.TargetOf(endpoint); got != want {
			t.Errorf("TargetOf(%q) = %s", endpoint, got)
		}
	}
}

func TestPublicAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"8.8.8.8": true, "199.36.153.8": true, "2607:f8b0::1": true, "::ffff:8.8.8.8": true, "64:ff9b::808:808": true,
		"127.0.0.1": false, "::1": false, "::": false, "0.0.0.0": false, "0.1.2.3": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "100.64.0.1": false,
		"169.254.169.254": false, "::ffff:169.254.169.254": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b::a00:1": false,
		"fe80::1": false, "fe80::1%eth0": false, "fd20:ce::254": false, "fc00::1": false, "ff02::1": false,
		"224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false, "198.18.0.1": false, "192.0.2.1": false,
		"2001:db8::1": false, "2002:a9fe:a9fe::1": false, "2001::1": false, "100::1": false, "::7f00:1": false,
	} {
		if got := deployment.PublicAddress(netip.MustParseAddr(address)); got != want {
			t.Errorf("PublicAddress(%s) = %v", address, got)
		}
	}
	if deployment.PublicAddress(netip.Addr{}) || deployment.LoopbackAddress(netip.Addr{}) {
		t.Error("no address is one")
	}
}

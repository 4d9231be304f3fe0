package router

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"vibesdk-gcp/platform/deployment"
)

// site is the kind of thing that a host name leads to.
type site int

const (
	elsewhere site = iota
	previewSite
	appSite
)

// String is the name of the site in logs.
func (s site) String() string {
	switch s {
	case previewSite:
		return "sandbox"
	case appSite:
		return "app"
	default:
		return "elsewhere"
	}
}

// domains are the two suffixes, each with its leading dot. An empty app suffix serves no apps.
type domains struct{ app, preview string }

func newDomains(app, preview string) (domains, error) {
	app, preview = strings.ToLower(app), strings.ToLower(preview)
	if !validDomain(preview) {
		return domains{}, errors.New("preview domain must be a DNS name")
	}
	d := domains{preview: "." + preview}
	if app == "" {
		return d, nil
	}
	if !validDomain(app) {
		return domains{}, errors.New("domain must be a DNS name or empty")
	}
	d.app = "." + app
	if d.app != d.preview && strings.HasSuffix(d.app, d.preview) {
		return domains{}, fmt.Errorf("domain %s must not be inside the preview domain: its hosts would be taken for previews", app)
	}
	return d, nil
}

// match says what a Host header leads to and returns its first label. The preview domain itself is a preview
// site with an empty label, so that no app can take its name. When both domains are one, as in VibeSDK's own setup, a host that
// has the form of a preview is one, whether or not there is such a sandbox, and any other is an app's.
func (d domains) match(host string) (site, string) {
	name := hostName(host)
	if name == "" {
		return elsewhere, ""
	}
	if d.app == d.preview {
		labels, ok := strings.CutSuffix(name, d.app)
		if !ok {
			return elsewhere, ""
		}
		if _, _, ok := parsePreviewLabel(labels); ok {
			return previewSite, labels
		}
		label, _, _ := strings.Cut(labels, ".")
		return appSite, label
	}
	if name == d.preview[1:] {
		return previewSite, ""
	}
	if label, ok := strings.CutSuffix(name, d.preview); ok {
		return previewSite, label
	}
	if d.app != "" {
		if labels, ok := strings.CutSuffix(name, d.app); ok {
			label, _, _ := strings.Cut(labels, ".")
			return appSite, label
		}
	}
	return elsewhere, ""
}

// hostName strips port and final dot and lowers the case. It is empty for anything but a DNS name; an IPv4
// literal passes as one and then matches no domain.
func hostName(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		for _, c := range []byte(host[i+1:]) {
			if c < '0' || c > '9' {
				return ""
			}
		}
		host = host[:i]
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, c := range []byte(host) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return ""
		}
	}
	return host
}

// isIPv4 reports a Host header that is an IPv4 address, with or without port.
func isIPv4(host string) bool {
	ip, err := netip.ParseAddr(hostName(host))
	return err == nil && ip.Is4()
}

// parsePreviewLabel is the inverse of [deployment.Preview.Label]. Tokens have no hyphen, so the last one
// separates, whatever the sandbox id looks like.
func parsePreviewLabel(label string) (sandboxID, token string, ok bool) {
	i := strings.LastIndexByte(label, '-')
	if i < 0 {
		return "", "", false
	}
	sandboxID, token = label[:i], label[i+1:]
	return sandboxID, token, deployment.ValidToken(token) && deployment.ValidSandboxID(sandboxID)
}

func validDomain(name string) bool {
	if len(name) > 253 {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if !deployment.ValidAppName(label) { // the same rule: a lower-case DNS label
			return false
		}
		last = label
	}
	return strings.Trim(last, "0123456789") != "" // or it is an IPv4 literal
}

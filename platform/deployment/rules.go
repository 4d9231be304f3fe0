package deployment

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits. A preview's host label is the sandbox id, a hyphen and the token: 57 bytes at most, under the 63
// that DNS allows for a label.
const (
	MaxAppName   = 63
	MaxSandboxID = 40
	TokenLength  = 16
	MaxEndpoint  = 512
	// MaxOwner bounds an app's owner, and who made a change.
	MaxOwner = 128
	// HistoryLength is how many changes of an app are remembered.
	HistoryLength = 50
)

// ValidAppName reports whether name is a DNS label (RFC 1123) in lower case.
func ValidAppName(name string) bool {
	return len(name) >= 1 && len(name) <= MaxAppName && onlyLabelBytes(name) && name[0] != '-' && name[len(name)-1] != '-'
}

// ValidWorkerName reports whether name can be that of a Worker, as the bridge takes it.
func ValidWorkerName(name string) bool {
	if len(name) < 1 || len(name) > MaxAppName || name[0] == '-' || name[0] == '_' {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// ValidSandboxID reports whether id can be the sandbox part of a preview host: 1 to 40 bytes of [a-z0-9-] that
// start with a letter and do not end with a hyphen.
func ValidSandboxID(id string) bool {
	return len(id) >= 1 && len(id) <= MaxSandboxID && onlyLabelBytes(id) && id[0] >= 'a' && id[0] <= 'z' && id[len(id)-1] != '-'
}

// ValidToken reports whether token is 16 bytes of [a-z2-7]. It has no hyphen, so the last hyphen of a host label
// always separates sandbox and token.
func ValidToken(token string) bool {
	if len(token) != TokenLength {
		return false
	}
	for _, c := range []byte(token) {
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// ParseEndpoint reads host:port, taken as http, or an http or https URL that has neither user, path, query nor
// fragment. The error does not repeat the endpoint.
func ParseEndpoint(endpoint string) (*url.URL, error) {
	invalid := func(why string) error { return fmt.Errorf("%w: endpoint %s", ErrInvalid, why) }
	if len(endpoint) > MaxEndpoint {
		return nil, invalid("is longer than " + strconv.Itoa(MaxEndpoint) + " bytes")
	}
	address := endpoint
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, invalid("is neither host:port nor a URL")
	}
	port := u.Port()
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, invalid("has a scheme other than http and https")
	case u.Hostname() == "":
		return nil, invalid("has no host")
	case port == "" && !strings.Contains(endpoint, "://"):
		return nil, invalid("has no port")
	case strings.HasSuffix(u.Host, ":"):
		return nil, invalid("has an empty port")
	case u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(endpoint, "#"):
		return nil, invalid("has more than scheme, host and port")
	}
	if port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, invalid("has a port outside 1..65535")
		}
	}
	return u, nil
}

// Label is the first label of the preview's host name. It holds the token, so it is a secret.
func (p Preview) Label() string { return p.SandboxID + "-" + p.Token }

func (a App) validate(e Endpoints) error {
	if !ValidAppName(a.Name) {
		return fmt.Errorf("%w: name must be a lower-case DNS label of 1 to %d bytes", ErrInvalid, MaxAppName)
	}
	if err := e.Check(a.Place); err != nil {
		return err
	}
	switch a.Visibility {
	case Public, Private:
	default:
		return fmt.Errorf("%w: visibility must be %s or %s", ErrInvalid, Public, Private)
	}
	if err := validText("owner", a.Owner); err != nil {
		return err
	}
	if a.SandboxID != "" && !ValidSandboxID(a.SandboxID) {
		return invalidSandboxID()
	}
	if r := a.Rollout; r != nil {
		if r.Weight < 0 || r.Weight > 100 {
			return fmt.Errorf("%w: rollout.weight must be 0 to 100, a percentage", ErrInvalid)
		}
		if err := e.Check(r.Place); err != nil {
			return fmt.Errorf("rollout: %w", err)
		}
	}
	return nil
}

func validText(field, text string) error {
	if len(text) > MaxOwner || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("%w: %s must be at most %d bytes of UTF-8 text without control characters", ErrInvalid, field, MaxOwner)
	}
	return nil
}

func (p Preview) validate() error {
	if !ValidSandboxID(p.SandboxID) {
		return invalidSandboxID()
	}
	if !ValidToken(p.Token) {
		return fmt.Errorf("%w: token must be %d bytes of [a-z2-7]", ErrInvalid, TokenLength)
	}
	if p.Fence < 1 {
		return fmt.Errorf("%w: fence must be at least 1", ErrInvalid)
	}
	_, err := ParseEndpoint(p.Endpoint)
	return err
}

func invalidSandboxID() error {
	return fmt.Errorf("%w: sandbox id must be 1 to %d bytes of [a-z0-9-], start with a letter and not end with a hyphen", ErrInvalid, MaxSandboxID)
}

func onlyLabelBytes(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

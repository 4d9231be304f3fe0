package auth

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

const (
	// MaxFile is the largest file of callers in bytes.
	MaxFile = 1 << 20
	// MaxEntries is the most callers in it: each call compares its key with all of them.
	MaxEntries = 1000
	// maxName bounds a caller's name in bytes.
	maxName = 64
)

// Entry is one caller in the file. One of SHA256, Email and Subject says by what he is known.
type Entry struct {
	Name string `yaml:"name"`
	// SHA256 is the digest of an API key, as [Digest] writes it.
	SHA256 string `yaml:"sha256,omitempty"`
	// Email and Subject are claims of an ID token.
	Email   string   `yaml:"email,omitempty"`
	Subject string   `yaml:"subject,omitempty"`
	Scopes  []string `yaml:"scopes"`
	// Expires is when the entry ends; zero is never.
	Expires time.Time `yaml:"expires,omitempty"`
}

// Line is the entry as one line of the file.
func (e Entry) Line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "- {name: %q, sha256: %s, scopes: [", e.Name, e.SHA256)
	for i, scope := range e.Scopes {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", scope)
	}
	b.WriteByte(']')
	if !e.Expires.IsZero() {
		b.WriteString(", expires: " + e.Expires.UTC().Format(time.RFC3339))
	}
	b.WriteString("}\n")
	return b.String()
}

// Validate returns an error that names the first field that breaks a rule.
func (e Entry) Validate() error {
	_, err := e.rule()
	return err
}

// rule is an entry that was checked.
type rule struct {
	caller  Caller
	key     digest
	hasKey  bool
	email   string // lower case
	subject string
	expires time.Time
}

func (r rule) live(now time.Time) bool { return r.expires.IsZero() || now.Before(r.expires) }

func (e Entry) rule() (rule, error) {
	r := rule{caller: Caller{Name: e.Name}, email: strings.ToLower(e.Email), subject: e.Subject, expires: e.Expires}
	switch {
	case e.Name == "" || len(e.Name) > maxName || strings.ContainsFunc(e.Name, func(c rune) bool { return c <= ' ' || c == 0x7f }):
		return r, fmt.Errorf("name: must be 1 to %d bytes without spaces", maxName)
	case countSet(e.SHA256, e.Email, e.Subject) != 1:
		return r, errors.New("sha256, email, subject: exactly one is required")
	}
	switch {
	case e.SHA256 != "":
		sum, err := hex.DecodeString(e.SHA256)
		if err != nil || len(sum) != len(r.key) {
			return r, errors.New("sha256: must be the 64 hexadecimal digits of a key's SHA-256") // not repeated: it may be the key
		}
		copy(r.key[:], sum)
		r.hasKey = true
		r.caller.ID = r.key.id()
	case e.Email != "" && !strings.Contains(e.Email, "@"):
		return r, errors.New("email: must be an address")
	case e.Email != "":
		r.caller.ID = "email:" + r.email
	default:
		r.caller.ID = "subject:" + e.Subject
	}
	var err error
	r.caller.Scopes, err = ParseScopes(e.Scopes)
	return r, err
}

// id tells callers apart by what nobody can use.
func (d digest) id() string { return "token:" + hex.EncodeToString(d[:8]) }

func countSet(texts ...string) int {
	n := 0
	for _, text := range texts {
		if text != "" {
			n++
		}
	}
	return n
}

// Parse reads what stands in a file of callers and returns how many there are, or the error that [New] would return.
func Parse(data []byte) (callers int, err error) {
	rules, err := parse(data)
	return len(rules), err
}

// parse reads a file of callers. The error names the entry and the field at fault, and repeats no digest.
func parse(data []byte) ([]rule, error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("is larger than %d bytes", MaxFile)
	}
	var entries []Entry
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&entries); err != nil && !errors.Is(err, io.EOF) {
		// The library's error would show the text around, digests and all.
		return nil, errors.New("is not a YAML list of entries like {name: ci, sha256: …, scopes: [sandboxes:write]}" + position(err))
	}
	if len(entries) > MaxEntries {
		return nil, fmt.Errorf("has %d entries, the limit is %d", len(entries), MaxEntries)
	}
	rules := make([]rule, len(entries))
	names, ids := map[string]bool{}, map[string]bool{}
	for i, e := range entries {
		r, err := e.rule()
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		if names[e.Name] {
			return nil, fmt.Errorf("entry %d: name: there is another %q", i+1, e.Name)
		}
		if ids[r.caller.ID] {
			return nil, fmt.Errorf("entry %d: the caller stands in the file twice", i+1)
		}
		names[e.Name], ids[r.caller.ID] = true, true
		rules[i] = r
	}
	return rules, nil
}

// position tells the line of a YAML error.
func position(err error) string {
	text := yaml.FormatError(err, false, false) // [line:column] and what is wrong, in the library's words
	if at, _, ok := strings.Cut(strings.TrimPrefix(text, "["), ":"); ok && strings.HasPrefix(text, "[") {
		return ": see line " + at
	}
	return ""
}

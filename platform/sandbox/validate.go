package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Limits of a [Spec], in bytes unless named otherwise.
const (
	MaxProjectName  = 100
	MaxCommand      = 32 << 10
	MaxEnv          = 256 << 10 // names and values together
	MaxEnvValue     = 100 << 10 // Linux passes no single string of 128 KiB
	MaxFiles        = 20_000    // count
	MaxInlineSource = 8 << 20
)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Validate reports all faults of a spec at once. The error wraps [ErrInvalid] and quotes no values of Env.
func (s Spec) Validate() error {
	var faults faults
	if len(s.ProjectName) > MaxProjectName {
		faults.add("project name has %d bytes, at most %d", len(s.ProjectName), MaxProjectName)
	}
	if unprintable(s.ProjectName) {
		faults.add("project name has control characters or is not UTF-8")
	}
	for _, c := range []struct{ name, line string }{{"install", s.Install}, {"build", s.Build}, {"dev", s.Dev}} {
		if len(c.line) > MaxCommand {
			faults.add("%s command has %d bytes, at most %d", c.name, len(c.line), MaxCommand)
		}
		if strings.ContainsRune(c.line, 0) {
			faults.add("%s command has a NUL byte", c.name)
		}
	}
	switch {
	case (s.Dev == "") == (s.StaticDir == ""):
		faults.add("exactly one of dev command and static dir must be set")
	case s.StaticDir != "" && !fs.ValidPath(s.StaticDir):
		faults.add("static dir %q must be a relative path inside the project", s.StaticDir)
	}
	s.validateEnv(&faults)
	s.Source.validate(&faults)
	return faults.join()
}

func (s Spec) validateEnv(faults *faults) {
	total := 0
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		total += len(name) + len(s.Env[name])
		switch {
		case !envName.MatchString(name):
			faults.add("env name %q must match %s", name, envName)
		case strings.HasPrefix(name, "SANDBOX_"):
			faults.add("env name %q: SANDBOX_ is the platform's", name)
		case len(s.Env[name]) > MaxEnvValue:
			faults.add("env %q has %d bytes, at most %d", name, len(s.Env[name]), MaxEnvValue)
		case strings.ContainsRune(s.Env[name], 0):
			faults.add("env %q has a NUL byte", name)
		}
	}
	if total > MaxEnv {
		faults.add("env has %d bytes, at most %d", total, MaxEnv)
	}
}

func (s Source) validate(faults *faults) {
	if (len(s.Files) == 0) == (s.ArchiveURI == "") {
		faults.add("exactly one of source files and source archive must be set")
	}
	if s.ArchiveURI != "" {
		// The parser's error would quote the address, which may hold credentials.
		if u, err := url.Parse(s.ArchiveURI); err != nil || (u.Scheme != "file" && u.Scheme != "gs") {
			faults.add("source archive must be a file:// or gs:// address")
		}
	}
	if len(s.Files) > MaxFiles {
		faults.add("source has %d files, at most %d", len(s.Files), MaxFiles)
		return
	}
	total, seen := 0, make(map[string]bool, len(s.Files))
	for _, f := range s.Files {
		total += len(f.Data)
		switch {
		case !fs.ValidPath(f.Path) || f.Path == "." || strings.ContainsRune(f.Path, 0):
			faults.add("source file %q must be a relative path inside the project", f.Path)
		case seen[f.Path]:
			faults.add("source file %q is given twice", f.Path)
		}
		seen[f.Path] = true
	}
	if total > MaxInlineSource {
		faults.add("source files have %d bytes, at most %d; use an archive", total, MaxInlineSource)
	}
}

func unprintable(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' })
}

// Validate checks the form of a reference. The error wraps [ErrInvalid].
func (r Ref) Validate() error {
	var faults faults
	r.validate(&faults)
	return faults.join()
}

func (r Ref) validate(faults *faults) {
	if !ValidID(r.ID) {
		faults.add("sandbox id %.40q must match %s", r.ID, idPattern)
	}
	if r.Fence < 1 {
		faults.add("fence %d must be at least 1", r.Fence)
	}
}

// faults collects everything that is wrong, so that a caller learns it in one go.
type faults []error

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

func (f faults) join() error {
	if len(f) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrInvalid, errors.Join(f...))
}

// validate checks what a record must satisfy to be stored. Texts and times were completed before.
func (r Record) validate() error {
	var faults faults
	r.Ref().validate(&faults)
	if r.RequestID == "" {
		faults.add("request id is empty")
	}
	for _, f := range []struct{ name, text string }{{"request id", r.RequestID}, {"app name", r.AppName}, {"fingerprint", r.Fingerprint}, {"endpoint", r.Endpoint}} {
		if clean(f.text) != f.text {
			faults.add("%s is not UTF-8 or has a NUL byte", f.name)
		}
	}
	if r.CreatedAt.IsZero() || r.ExpiresAt.IsZero() {
		faults.add("creation and expiry time must be set")
	}
	if r.TTL < 0 || r.Idle < 0 {
		faults.add("ttl and idle must not be negative")
	}
	if r.State.Terminal() && r.Reason == "" {
		faults.add("a %s sandbox needs a reason", r.State)
	}
	if r.State == Ready && r.Endpoint == "" {
		faults.add("a ready sandbox needs an endpoint")
	}
	if r.State != Failed && (r.Token == "" || r.ControlToken == "") {
		faults.add("a %s sandbox needs its tokens", r.State)
	}
	return faults.join()
}

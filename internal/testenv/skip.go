package testenv

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

// errMissing marks that a back end is not installed, as opposed to installed and broken.
var errMissing = errors.New("not found")

// require stops the test when err says that the back end cannot be had.
func require(t testing.TB, backend string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, errMissing) && os.Getenv("REQUIRE_BACKENDS") != "1":
		skip(t, backend, err.Error())
	default:
		t.Fatalf("%s: %v", backend, err)
	}
}

// skipShort skips a test that needs a back end when only quick tests are wanted.
func skipShort(t testing.TB, backend string) {
	t.Helper()
	if testing.Short() {
		skip(t, backend, "not started with -short")
	}
}

func skip(t testing.TB, backend, reason string) {
	t.Helper()
	if err := note(backend, reason, t.Name()); err != nil {
		t.Fatalf("%s: %s; and TESTENV_SKIPS: %v", backend, reason, err)
	}
	t.Skipf("%s: %s", backend, reason)
}

// note appends one line to the file named by TESTENV_SKIPS. Test binaries run side by side, and a short append
// is atomic.
func note(backend, reason, test string) error {
	name := os.Getenv("TESTENV_SKIPS")
	if name == "" {
		return nil
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "%s: %s (%s %s)\n", backend, reason, testedPackage(), test)
	return errors.Join(err, file.Close())
}

func testedPackage() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "?"
	}
	return strings.TrimSuffix(info.Path, ".test")
}

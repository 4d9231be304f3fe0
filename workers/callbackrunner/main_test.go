package callbackrunner_test

import (
	"fmt"
	"os"
	"testing"

	"vibesdk-gcp/internal/testenv"
)

// childAddress makes this test binary a process of [runChild] on that database, with the host at childHost.
const (
	childAddress = "CALLBACKRUNNER_TEST_CHILD"
	childHost    = "CALLBACKRUNNER_TEST_HOST"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(childAddress); address != "" {
		if err := runChild(address, os.Getenv(childHost)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(testenv.Main(m))
}

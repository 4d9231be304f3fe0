package statewriter_test

import (
	"fmt"
	"os"
	"testing"

	"vibesdk-gcp/internal/testenv"
)

// childAddress makes this test binary a process of [runChild] on that database.
const childAddress = "STATEWRITER_TEST_CHILD"

func TestMain(m *testing.M) {
	if address := os.Getenv(childAddress); address != "" {
		if err := runChild(address); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(testenv.Main(m))
}

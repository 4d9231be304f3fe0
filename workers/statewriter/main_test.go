package statewriter_test

import (
	"fmt"
	"os"
	"testing"

	"vibesdk-gcp/internal/testenv"
)

// childAddress and replayerAddress make this test binary a process of [runChild], and of [runReplayer], on that database.
const (
	childAddress    = "STATEWRITER_TEST_CHILD"
	replayerAddress = "STATEWRITER_TEST_REPLAYER"
)

func TestMain(m *testing.M) {
	for variable, run := range map[string]func(address string) error{childAddress: runChild, replayerAddress: runReplayer} {
		if address := os.Getenv(variable); address != "" {
			if err := run(address); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(testenv.Main(m))
}

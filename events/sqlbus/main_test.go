package sqlbus_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

var (
	crashAddress = flag.String("crash-address", "", "run as a child of the crash test on this database")
	crashLog     = flag.String("crash-log", "", "file that the child appends to")
	crashSeed    = flag.Uint64("crash-seed", 0, "seed of the child; 0 publishes nothing")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *crashAddress != "" {
		if err := runCrashChild(*crashAddress, *crashLog, *crashSeed); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

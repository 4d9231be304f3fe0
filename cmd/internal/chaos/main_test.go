package chaos_test

import (
	"os"
	"testing"

	"vibesdk-gcp/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

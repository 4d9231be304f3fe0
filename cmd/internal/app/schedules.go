package app

import (
	_ "embed"
	"fmt"
	"os"

	"vibesdk-gcp/internal/schedule"
)

// schedules is a copy of infra/schedules.yaml: embedding does not reach outside the folder. `make generate` writes it
// and `make verify` compares.
//
//go:embed schedules.yaml
var schedules []byte

// loadSchedules reads the file, or the one built in when none is named.
func loadSchedules(file string) ([]schedule.Entry, error) {
	body := schedules
	if file != "" {
		var err error
		if body, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("SCHEDULES_FILE: %w", err)
		}
	}
	return schedule.Load(body)
}

package app

import (
	_ "embed"
	"errors"
	"fmt"
	"os"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/schedule"
	"vibesdk-gcp/schemas"
)

// schedules is a copy of infra/schedules.yaml: embedding does not reach outside the folder. `make generate` writes it
// and `make verify` compares.
//
//go:embed schedules.yaml
var schedules []byte

// LoadSchedules reads the file, or the one built in when none is named, and checks that each job has a topic of ours and a payload that
// the topic's consumer takes: a typo must not wait for its time to come.
func LoadSchedules(file string) ([]schedule.Entry, error) {
	body := schedules
	if file != "" {
		var err error
		if body, err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	entries, err := schedule.Load(body)
	if err != nil {
		return nil, err
	}
	topics := topicsByName()
	var faults []error
	for _, e := range entries {
		topic, ok := topics[e.Topic]
		if !ok {
			faults = append(faults, fmt.Errorf("schedule %s: there is no topic %q", e.Name, e.Topic))
			continue
		}
		check := topic.Validate
		if e.Topic == events.CleanupTicks.Name { // the topic has no schema, but its consumer has
			check = schemas.CheckCleanupTick
		}
		if check == nil {
			continue
		}
		if err := check([]byte(e.Payload)); err != nil {
			faults = append(faults, fmt.Errorf("schedule %s: payload: %w", e.Name, err))
		}
	}
	return entries, errors.Join(faults...)
}

func topicsByName() map[string]events.Topic {
	topics := map[string]events.Topic{}
	for _, topic := range events.Topics() {
		topics[topic.Name] = topic
	}
	return topics
}

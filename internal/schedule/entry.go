package schedule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
	_ "time/tzdata" // minimal container images have no zone files

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/robfig/cron/v3"
)

// Entry is one job. [Load] makes it.
type Entry struct {
	// Name is unique in its file: 1 to 100 lower-case letters, digits and dashes, starting with a letter.
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
	// Cron has five fields: minute, hour, day of month, month, day of week. No seconds, no @every.
	Cron string `yaml:"cron"`
	// TimeZone is the name of the tz database in which Cron is meant.
	TimeZone string `yaml:"timeZone"`
	// Topic is where Payload is published, the same JSON text each time.
	Topic   string `yaml:"topic"`
	Payload string `yaml:"payload"`

	cron cron.Schedule
	zone *time.Location
}

// Next is the first time after now at which the job is due.
func (e Entry) Next(now time.Time) time.Time { return e.cron.Next(now.In(e.zone)) }

var (
	namePattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,99}$`)
	fiveFields  = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
)

// Load reads a schedule file. All faults are reported at once, joined, each with the entry's position and name.
// Unknown fields are faults. A file needs at least one job.
func Load(file []byte) ([]Entry, error) {
	var doc struct {
		Schedules []ast.Node `yaml:"schedules"`
	}
	if err := yaml.NewDecoder(bytes.NewReader(file), yaml.Strict()).Decode(&doc); err != nil {
		return nil, fmt.Errorf("schedule file: %w", plain(err))
	}
	if len(doc.Schedules) == 0 {
		return nil, errors.New("schedule file: schedules is empty")
	}
	entries := make([]Entry, len(doc.Schedules))
	first := map[string]int{}
	var faults []error
	for i, node := range doc.Schedules {
		e := &entries[i]
		err := e.read(node)
		if at, taken := first[e.Name]; taken {
			err = errors.Join(err, fmt.Errorf("name is that of schedules[%d] as well", at))
		} else if e.Name != "" {
			first[e.Name] = i
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("schedules[%d] %q: %w", i, e.Name, err))
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("schedule file: %w", errors.Join(faults...))
	}
	return entries, nil
}

func (e *Entry) read(node ast.Node) error {
	if node == nil {
		return errors.New("entry is empty")
	}
	if err := yaml.NodeToValue(node, e, yaml.Strict()); err != nil {
		return plain(err)
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if !namePattern.MatchString(e.Name) {
		fault("name must be 1 to 100 lower-case letters, digits and dashes, starting with a letter")
	}
	if e.Topic == "" {
		fault("topic is empty")
	}
	if !json.Valid([]byte(e.Payload)) {
		fault("payload is not JSON")
	}
	var err error
	// LoadLocation takes "" for UTC and "Local" for this machine's zone; neither means the same everywhere.
	if e.zone, err = time.LoadLocation(e.TimeZone); err != nil || e.TimeZone == "" || e.TimeZone == "Local" {
		fault("timeZone %q is not a name of the tz database", e.TimeZone)
	}
	if e.cron, err = fiveFields.Parse(e.Cron); err != nil {
		fault("cron %q: %w", e.Cron, err)
	} else if e.cron.Next(time.Unix(0, 0).UTC()).IsZero() {
		fault("cron %q is never due", e.Cron)
	}
	return errors.Join(faults...)
}

// plain is the YAML package's error without the source excerpt, on one line.
func plain(err error) error {
	return errors.New(yaml.FormatError(err, false, false))
}

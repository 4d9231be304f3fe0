package events

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// check returns every fault of a complete message of a topic, joined. The payload is checked by the topic's
// Validate as well.
func check(topic Topic, m Message) error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	text := func(field, value string, limit int) {
		switch {
		case len(value) > limit:
			fault("%s has %d bytes, the limit is %d", field, len(value), limit)
		case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
			fault("%s is not UTF-8 text without NUL", field)
		}
	}
	text("id", m.ID, MaxAttributeValue)
	text("type", m.Type, MaxAttributeValue)
	text("source", m.Source, MaxAttributeValue)
	text("key", m.Key, MaxKey)
	switch {
	case topic.Ordered && m.Key == "":
		fault("key is empty, topic %s is ordered", topic.Name)
	case !topic.Ordered && m.Key != "":
		fault("key is set, topic %s is not ordered", topic.Name)
	}
	if year := m.Time.UTC().Year(); year < 1 || year > 9999 {
		fault("time is in year %d, the limit is 9999", year)
	}
	if year := m.NotBefore.UTC().Year(); year < 1 || year > 9999 {
		fault("not before is in year %d, the limit is 9999", year)
	}
	if len(m.Attributes) > MaxAttributes {
		fault("attributes are %d, the limit is %d", len(m.Attributes), MaxAttributes)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Attributes)) {
		switch {
		case name == "":
			fault("attribute name is empty")
		case reserved(name):
			fault("attribute %q belongs to the envelope", name)
		default:
			text("attribute name", name, MaxAttributeName)
			text(fmt.Sprintf("attribute %.40q", name), m.Attributes[name], MaxAttributeValue)
		}
	}
	if len(m.Data) > MaxData {
		fault("data has %d bytes, the limit is %d", len(m.Data), MaxData)
	} else if topic.Validate != nil {
		if err := topic.Validate(m.Data); err != nil {
			faults = append(faults, fmt.Errorf("data: %w", err))
		}
	}
	return errors.Join(faults...)
}

// validated keeps payloads that break the topic's schema from the handler: such a message came around Publish,
// and no retry mends it.
func validated(topic Topic, next attempt) attempt {
	if topic.Validate == nil {
		return next
	}
	return func(ctx context.Context, run []Message) []error {
		errs := make([]error, 0, len(run))
		for len(run) > 0 {
			good, fault := 0, error(nil)
			for ; good < len(run); good++ {
				if fault = topic.Validate(run[good].Data); fault != nil {
					break
				}
			}
			if good > 0 {
				got := next(ctx, run[:good])
				errs = append(errs, got...)
				if len(got) < good || errors.Join(got...) != nil {
					return errs // the rest of the key waits for what failed
				}
			}
			if fault == nil {
				return errs
			}
			errs = append(errs, Permanent(fmt.Errorf("data breaks the schema of %s: %w", topic.Name, fault)))
			run = run[good+1:]
		}
		return errs
	}
}

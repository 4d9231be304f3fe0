package schemas

import (
	"fmt"
	"slices"
	"strings"
)

// maxFaults is how many faults a [ValidationError] lists. It keeps the error of a message with thousands of
// bad entries readable and small enough for an attribute of a dead letter.
const maxFaults = 100

// Fault is one broken rule.
type Fault struct {
	// Field is the place in JSON spelling, like `source.files[3].path`. Empty means the message as a whole.
	Field string
	// Message says what is wrong and names the limit. It never quotes the value of an environment variable or
	// the content of a file.
	Message string
}

func (f Fault) String() string {
	if f.Field == "" {
		return f.Message
	}
	return f.Field + ": " + f.Message
}

// ValidationError lists the faults of a message that is JSON but breaks rules. Trying again cannot mend it.
type ValidationError struct {
	// Subject names the kind of message: "sandbox request".
	Subject string
	// Faults has 1 to 100 entries; fields that could not be read at all come first.
	Faults []Fault
	// More counts the faults left out.
	More int
}

func (e *ValidationError) Error() string {
	var b strings.Builder
	b.WriteString(e.Subject)
	b.WriteString(" is not valid: ")
	for i, fault := range e.Faults {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(fault.String())
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "; and %d more", e.More)
	}
	return b.String()
}

// faults collects the faults of one message.
type faults struct {
	list []Fault
	// needs holds, by index in list, the fields that a missing-value fault looked at.
	needs map[int][]string
	more  int
}

func (f *faults) add(field, format string, args ...any) {
	if len(f.list) == maxFaults {
		f.more++
		return
	}
	f.list = append(f.list, Fault{Field: field, Message: fmt.Sprintf(format, args...)})
}

// check adds what a rule says about a field, if it says anything.
func (f *faults) check(field, problem string) {
	if problem != "" {
		f.add(field, "%s", problem)
	}
}

// missing adds a fault of the first field that comes from fields being empty.
func (f *faults) missing(message string, fields ...string) {
	if len(f.list) < maxFaults {
		if f.needs == nil {
			f.needs = map[int][]string{}
		}
		f.needs[len(f.list)] = fields
	}
	f.add(fields[0], "%s", message)
}

// follow adds the faults that validation found in what could be read. A field that could not be read is empty
// there: what only follows from that is left out.
func (f *faults) follow(found faults) {
	unread := f.list
	for i, fault := range found.list {
		news := !slices.ContainsFunc(unread, func(u Fault) bool {
			return within(fault.Field, u.Field) || slices.ContainsFunc(found.needs[i], func(need string) bool {
				return within(need, u.Field) || within(u.Field, need)
			})
		})
		if news {
			f.add(fault.Field, "%s", fault.Message)
		}
	}
	f.more += found.more
}

// within reports whether field is outer or something inside it.
func within(field, outer string) bool {
	rest, ok := strings.CutPrefix(field, outer)
	return ok && (outer == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

func (f *faults) err(subject string) error {
	if len(f.list) == 0 {
		return nil
	}
	return &ValidationError{Subject: subject, Faults: f.list, More: f.more}
}

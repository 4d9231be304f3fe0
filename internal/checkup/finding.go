// Package checkup is how parts of the platform report what they find when they look at how they are set up.
package checkup

import "fmt"

// Status is how bad a finding is.
type Status string

// The statuses, from the best to the worst. Skipped says nothing: what would have been looked at could not be.
const (
	OK      Status = "ok"
	Skipped Status = "skipped"
	Warn    Status = "warn"
	Fail    Status = "fail"
)

// Finding is what one look found.
type Finding struct {
	// Subject names what was looked at, like "subscription statewriter".
	Subject string `json:"subject"`
	Status  Status `json:"status"`
	// Detail says what is so, for people.
	Detail string `json:"detail"`
	// Fix says what to do about it; empty when nothing is to be done.
	Fix string `json:"fix,omitempty"`
}

// Findings collects findings about one subject: when nothing is wrong with it, that is the finding.
type Findings struct {
	subject string
	list    []Finding
}

// About begins with a subject.
func About(subject string) *Findings { return &Findings{subject: subject} }

// Fail adds something that does not work, or loses messages some day.
func (f *Findings) Fail(fix, format string, args ...any) { f.add(Fail, fix, format, args...) }

// Warn adds something that works, but not as it is meant to.
func (f *Findings) Warn(fix, format string, args ...any) { f.add(Warn, fix, format, args...) }

// Skip adds something that could not be looked at, and why.
func (f *Findings) Skip(format string, args ...any) { f.add(Skipped, "", format, args...) }

// Percents of a limit at which [Findings.Quota] warns, and at which it fails: what is left may be gone before anybody looks again.
const (
	QuotaWarn = 80
	QuotaFail = 95
)

// Quota warns or fails when most of a limit, which is above 0, is used. things says of what, like "services in the region".
func (f *Findings) Quota(fix, things string, used, limit int64) {
	switch percent := used * 100 / limit; {
	case percent >= QuotaFail:
		f.Fail(fix, "%d of %d %s are used", used, limit, things)
	case percent >= QuotaWarn:
		f.Warn(fix, "%d of %d %s are used", used, limit, things)
	}
}

func (f *Findings) add(s Status, fix, format string, args ...any) {
	f.list = append(f.list, Finding{f.subject, s, fmt.Sprintf(format, args...), fix})
}

// Else gives what was found, or when that is nothing, that all is well.
func (f *Findings) Else(format string, args ...any) []Finding {
	if len(f.list) > 0 {
		return f.list
	}
	return []Finding{{f.subject, OK, fmt.Sprintf(format, args...), ""}}
}

// Worst is the worst status of some findings; OK when there are none.
func Worst(list []Finding) Status {
	rank := map[Status]int{OK: 0, Skipped: 0, Warn: 1, Fail: 2}
	worst := OK
	for _, f := range list {
		if rank[f.Status] > rank[worst] {
			worst = f.Status
		}
	}
	return worst
}

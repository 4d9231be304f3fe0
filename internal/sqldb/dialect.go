package sqldb

import (
	"encoding/json"
	"regexp"
	"time"
)

// Dialect is one of the two databases.
type Dialect int

// The dialects.
const (
	SQLite Dialect = iota
	Postgres
)

func (d Dialect) String() string {
	if d == Postgres {
		return "postgres"
	}
	return "sqlite"
}

var placeholder = regexp.MustCompile(`\$(\d+)`)

// SQL adapts a query written with $1 placeholders. Call it once, at construction.
func (d Dialect) SQL(query string) string {
	if d == Postgres {
		return query
	}
	return placeholder.ReplaceAllString(query, "?$1")
}

// SkipLocked is the clause that lets concurrent claimers pass each other's rows. SQLite needs none: its
// writers take turns.
func (d Dialect) SkipLocked() string {
	if d == Postgres {
		return " FOR UPDATE SKIP LOCKED"
	}
	return ""
}

// SkipLockedOf is [Dialect.SkipLocked] for one table of a join.
func (d Dialect) SkipLockedOf(table string) string {
	if d == Postgres {
		return " FOR UPDATE OF " + table + " SKIP LOCKED"
	}
	return ""
}

// ForUpdate is the clause that locks the rows read until the transaction ends.
func (d Dialect) ForUpdate() string {
	if d == Postgres {
		return " FOR UPDATE"
	}
	return ""
}

// In is the condition that a column is one of the values given as one argument made by [Values]. typ is
// their Postgres type.
func (d Dialect) In(column, placeholder, typ string) string {
	if d == Postgres {
		return column + " = ANY(" + placeholder + "::" + typ + "[])"
	}
	return column + " IN (SELECT value FROM json_each(" + placeholder + "))"
}

// Contains is the condition that a column contains the text given as an argument, without regard to the case of letters: on
// SQLite of those of ASCII.
func (d Dialect) Contains(column, placeholder string) string {
	if d == Postgres {
		return "strpos(lower(" + column + "), lower(" + placeholder + ")) > 0"
	}
	return "instr(lower(" + column + "), lower(" + placeholder + ")) > 0"
}

// Values turns a list into the argument of [Dialect.In]. Texts must be valid UTF-8.
func Values[T int64 | string](d Dialect, list []T) (any, error) {
	if d == Postgres {
		return list, nil
	}
	text, err := json.Marshal(list)
	return string(text), err
}

// Micros is how an instant is stored; the zero time is 0.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time reads an instant stored by [Micros], in UTC.
func Time(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

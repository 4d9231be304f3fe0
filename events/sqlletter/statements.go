package sqlletter

import (
	"fmt"
	"slices"
	"strings"

	"vibesdk-gcp/internal/sqldb"
)

// columns are those that [arguments] gives values for.
var columns = []string{
	"letter_id", "state", "topic", "subscription", "message_id", "type", "source", "time",
	"key", "attributes", "data", "reason", "attempts", "permanent", "stack", "parked_at",
	"first_parked_at", "replays", "note", "edited", "version", "filed_at", "changed_at",
}

// selected are the columns that [scan] reads.
var selected = strings.Join(columns, ", ") + ", seq"

type statements struct {
	insert, lock, replace, get, save, markReplayed string
}

func statementsFor(d sqldb.Dialect) statements {
	holders, changes := make([]string, len(columns)), make([]string, len(columns))
	for i, column := range columns {
		holders[i] = fmt.Sprintf("$%d", i+1)
		changes[i] = column + " = " + holders[i]
	}
	replace := `UPDATE dead_letters SET ` + strings.Join(changes, ", ") + ` WHERE letter_id = $1`
	version := holders[slices.Index(columns, "version")]
	return statements{
		insert: d.SQL(`INSERT INTO dead_letters (` + strings.Join(columns, ", ") + `) VALUES (` + strings.Join(holders, ", ") +
			`) ON CONFLICT (letter_id) DO NOTHING`),
		lock:    d.SQL(`SELECT ` + selected + ` FROM dead_letters WHERE letter_id = $1` + d.ForUpdate()),
		replace: d.SQL(replace),
		get:     d.SQL(`SELECT ` + selected + ` FROM dead_letters WHERE letter_id = $1`),
		save:    d.SQL(replace + ` AND version = ` + version + ` - 1`),
		// The first condition finds the rows by their index, the second leaves out those that changed.
		markReplayed: d.SQL(`UPDATE dead_letters SET state = 'replayed', replays = replays + 1, edited = 0, version = version + 1, changed_at = $1
			WHERE ` + d.In("letter_id", "$2", "text") + ` AND ` + d.In("(letter_id || ' ' || version)", "$3", "text") + ` RETURNING letter_id`),
	}
}

package sqlsandbox

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/sandbox"
)

// columns are the fields of a record after the id, in the order of [values] and [scan].
var columns = []string{
	"request_id", "fingerprint", "project_name", "state", "fence", "version", "token", "control_token", "endpoint", "reason",
	"log_tail", "restarts", "ttl", "idle", "created_at", "updated_at", "phase_deadline", "ready_at", "active_at", "expires_at", "ended_at",
	"app_name", "waiting",
}

// dueBy is [sandbox.Record.DueAt] ≤ $2 in SQL.
const dueBy = ` AND (expires_at <> 0 AND expires_at <= $2
	OR state = 'ready' AND idle > 0 AND active_at + idle <= $2
	OR state <> 'ready' AND phase_deadline <> 0 AND phase_deadline <= $2)`

// live is spelled as in the index sandboxes_live, so that both databases use it.
const live = ` AND state NOT IN ('deleted', 'failed')`

type queries struct {
	dialect                                                                 sqldb.Dialect
	insert, insertSpec, load, spec, update, version, dropSpec, touch, count string
}

func newQueries(dialect sqldb.Dialect) queries {
	places, sets := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		places[i] = fmt.Sprintf("$%d", i+2)
		sets[i] = fmt.Sprintf("%s = $%d", c, i+3)
		if c == "active_at" { // traffic seen since the record was loaded stays
			sets[i] = fmt.Sprintf("active_at = CASE WHEN active_at > $%d THEN active_at ELSE $%d END", i+3, i+3)
		}
	}
	names := strings.Join(columns, ", ")
	return queries{
		dialect:    dialect,
		insert:     dialect.SQL("INSERT INTO sandboxes (id, " + names + ") VALUES ($1, " + strings.Join(places, ", ") + ")"),
		insertSpec: dialect.SQL("INSERT INTO sandbox_specs (id, spec) VALUES ($1, $2)"),
		load:       dialect.SQL("SELECT id, " + names + " FROM sandboxes WHERE id = $1"),
		spec:       dialect.SQL("SELECT spec FROM sandbox_specs WHERE id = $1"),
		update:     dialect.SQL("UPDATE sandboxes SET " + strings.Join(sets, ", ") + " WHERE id = $1 AND version = $2"),
		version:    dialect.SQL("SELECT version FROM sandboxes WHERE id = $1"),
		dropSpec:   dialect.SQL("DELETE FROM sandbox_specs WHERE id = $1"),
		touch:      dialect.SQL("UPDATE sandboxes SET active_at = $2 WHERE id = $1 AND active_at < $2"),
		count:      dialect.SQL("SELECT state, COUNT(*) FROM sandboxes WHERE " + strings.TrimPrefix(live, " AND ") + " GROUP BY state"),
	}
}

func (q queries) list(by sandbox.Query) (string, []any) {
	var where strings.Builder
	args := []any{by.After}
	if !by.DueBefore.IsZero() {
		where.WriteString(live + dueBy)
		args = append(args, sqldb.Micros(by.DueBefore))
	}
	if len(by.States) > 0 {
		places := make([]string, len(by.States))
		for i, s := range by.States {
			args = append(args, string(s))
			places[i] = fmt.Sprintf("$%d", len(args))
		}
		if !slices.ContainsFunc(by.States, sandbox.State.Terminal) {
			where.WriteString(live)
		}
		where.WriteString(" AND state IN (" + strings.Join(places, ", ") + ")")
	}
	if by.AppName != "" {
		args = append(args, by.AppName)
		// The second condition is the index's.
		fmt.Fprintf(&where, " AND app_name = $%d AND app_name <> ''", len(args))
	}
	args = append(args, by.Limit)
	return q.dialect.SQL(fmt.Sprintf("SELECT id, %s FROM sandboxes WHERE id > $1%s ORDER BY id LIMIT $%d",
		strings.Join(columns, ", "), where.String(), len(args))), args
}

func values(r sandbox.Record) []any {
	return []any{
		r.RequestID, r.Fingerprint, r.ProjectName, string(r.State), r.Fence, r.Version, r.Token, r.ControlToken, r.Endpoint, r.Reason,
		r.LogTail, r.Restarts, r.TTL.Microseconds(), r.Idle.Microseconds(), sqldb.Micros(r.CreatedAt), sqldb.Micros(r.UpdatedAt),
		sqldb.Micros(r.PhaseDeadline), sqldb.Micros(r.ReadyAt), sqldb.Micros(r.ActiveAt), sqldb.Micros(r.ExpiresAt), sqldb.Micros(r.EndedAt),
		r.AppName, r.Waiting,
	}
}

func scan(row interface{ Scan(dest ...any) error }) (sandbox.Record, error) {
	var (
		r                                                         sandbox.Record
		ttl, idle                                                 int64
		created, updated, deadline, ready, active, expires, ended int64
	)
	err := row.Scan(&r.ID, &r.RequestID, &r.Fingerprint, &r.ProjectName, &r.State, &r.Fence, &r.Version, &r.Token, &r.ControlToken,
		&r.Endpoint, &r.Reason, &r.LogTail, &r.Restarts, &ttl, &idle, &created, &updated, &deadline, &ready, &active, &expires, &ended, &r.AppName, &r.Waiting)
	if err != nil {
		return sandbox.Record{}, err
	}
	r.TTL, r.Idle = time.Duration(ttl)*time.Microsecond, time.Duration(idle)*time.Microsecond
	r.CreatedAt, r.UpdatedAt, r.PhaseDeadline = sqldb.Time(created), sqldb.Time(updated), sqldb.Time(deadline)
	r.ReadyAt, r.ActiveAt, r.ExpiresAt, r.EndedAt = sqldb.Time(ready), sqldb.Time(active), sqldb.Time(expires), sqldb.Time(ended)
	return r, nil
}

func inOrder(at map[string]time.Time) []string { return slices.Sorted(maps.Keys(at)) }

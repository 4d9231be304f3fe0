package sqlsession_test

import (
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sqlsession"
)

// TestListUsesTheIndex keeps sweeps from reading every session, and from sorting.
func TestListUsesTheIndex(t *testing.T) {
	t.Parallel()
	db := migrated(t, newSQLite(t))
	at := time.Unix(1, 0)
	for index, query := range map[string]session.Query{
		"sessions_present": {After: "a", Limit: 10},
		"sessions_alarm":   {DueBy: at, AfterTime: at, After: "a", Limit: 10},
		"sessions_expiry":  {ExpiredBy: at, Limit: 10},
	} {
		text, args := sqlsession.ListQuery(db.Dialect, query)
		rows, err := db.R.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan strings.Builder
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(detail + "\n")
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan.String(), index) || strings.Contains(plan.String(), "TEMP B-TREE") || strings.Contains(plan.String(), "SCAN") {
			t.Errorf("%s: plan is\n%s", index, &plan)
		}
	}
}

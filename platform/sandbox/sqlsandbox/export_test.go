package sqlsandbox

import (
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/sandbox"
)

// ListQuery shows the tests what List asks.
func ListQuery(dialect sqldb.Dialect, q sandbox.Query) (string, []any) {
	return newQueries(dialect).list(q)
}

// Package cfexport moves sessions from and to the Durable Objects of the agents SDK. It is pure: it reads and writes a dump of
// what an object holds, and something else fetches and restores dumps.
//
// # The dump
//
// One JSON object with two members, of which storage may be missing:
//
//	{
//	  "tables":  {"cf_agents_state": [{"id": "cf_state_row_id", "state": "{\"a\":1}"}], …},
//	  "storage": {"cf_agents:schema_version": 14, …}
//	}
//
// tables has an array for each SQL table, with an object for each row: column → value. SQL's NULL, INTEGER and REAL, and TEXT are
// null, numbers and strings; a BLOB is {"$base64": "…"}, in tables and in storage. Columns with JSON in them are TEXT, so they are
// strings. storage has the entries of the key-value store.
//
// # Forms
//
// The SDK stored schedules and queue in two ways. [Tables] is that of releases before the job scheduler, with cf_agents_schedules (times in
// seconds) and cf_agents_queues; [Jobs] has both in cf_agents_jobs (times in milliseconds). [Read] takes
// either, also both at once. [Write] writes the one asked for, whatever the session came from.
//
// # What is interpreted
//
//	cf_agents_state          row cf_state_row_id           PartState, byte for byte
//	full_conversations,      row default                   PartFullConversations, PartCompactConversations, byte for byte
//	compact_conversations
//	cf_agents_mcp_servers    all rows                      PartMCPServers, each row byte for byte
//	cf_agents_schedules,     all rows but the SDK's own    PartJobs; columns without a meaning here are kept in Job.Extra
//	cf_agents_queues,
//	cf_agents_jobs
//	vibesdk_parked_jobs      all rows                      PartJobs: items of the queue that are parked, which the SDK has no place for
//
// Byte for byte is without white space around the value; JSON.stringify writes none.
//
// Everything else (other tables and rows, jobs whose id begins with cf:, the SDK's heartbeat, storage) goes to PartTables and comes back as it
// was. A row that should be interpreted but cannot be is an error: left out quietly, a schedule would never fire again.
//
// # What is not the same afterwards
//
// Columns come in the order of the row that was imported, tables in that of the dump, and rows in any order. An export has
// seconds or milliseconds where a session has microseconds, rounded down as the SDK does. How often an attempt failed, what was missed,
// and claims stay behind. Markers of the other form's schema version are left out when the form changes (the SDK
// then brings its tables up to date by itself), and so are its empty tables. Items of a queue get times that rise, since their order is all that the SDK
// goes by.
package cfexport

// Form is how a dump holds schedules and queue.
type Form int

// The forms.
const (
	// Tables is the older one: cf_agents_schedules and cf_agents_queues.
	Tables Form = iota
	// Jobs is the newer one: cf_agents_jobs.
	Jobs
)

// MaxDump is the largest dump in bytes that Read takes: a record with all of its quotes escaped fits.
const MaxDump = 80 << 20

const (
	tableState     = "cf_agents_state"
	tableFull      = "full_conversations"
	tableCompact   = "compact_conversations"
	tableMCP       = "cf_agents_mcp_servers"
	tableSchedules = "cf_agents_schedules"
	tableQueues    = "cf_agents_queues"
	tableJobs      = "cf_agents_jobs"
	tableParked    = "vibesdk_parked_jobs"

	rowState   = "cf_state_row_id"
	rowDefault = "default"
)

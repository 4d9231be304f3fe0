package sqlbus

import "vibesdk-gcp/internal/crashpoint"

// The places around the one transaction that everything goes through, for tests that kill the program there.
var (
	beforeCommit = crashpoint.New("sqlbus/before-commit")
	afterCommit  = crashpoint.New("sqlbus/after-commit") // nobody was told yet
)

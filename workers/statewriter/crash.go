package statewriter

import "vibesdk-gcp/internal/crashpoint"

// Where a crash test can end the process.
var (
	beforeApply = crashpoint.New("statewriter/before-apply")
	afterApply  = crashpoint.New("statewriter/after-apply") // durable, and nobody was told
	afterWake   = crashpoint.New("statewriter/after-wake")
)

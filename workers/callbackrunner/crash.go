package callbackrunner

import "vibesdk-gcp/internal/crashpoint"

// Where a crash test can end the process.
var (
	beforeClaim  = crashpoint.New("callbackrunner/before-claim")
	afterClaim   = crashpoint.New("callbackrunner/after-claim")
	afterCall    = crashpoint.New("callbackrunner/after-call") // the host did its work, and nobody noted it
	afterFinish  = crashpoint.New("callbackrunner/after-finish")
	afterPublish = crashpoint.New("callbackrunner/after-publish")
)

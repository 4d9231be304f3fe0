package sandboxrunner

import "vibesdk-gcp/internal/crashpoint"

// The places around each outside effect, for tests that kill the process there.
var (
	beforeCreate   = crashpoint.New("sandboxrunner/before-create")
	afterCreate    = crashpoint.New("sandboxrunner/after-create")
	beforeBuild    = crashpoint.New("sandboxrunner/before-build")
	afterBuild     = crashpoint.New("sandboxrunner/after-build")
	beforeServe    = crashpoint.New("sandboxrunner/before-serve")
	afterServe     = crashpoint.New("sandboxrunner/after-serve")
	beforePublish  = crashpoint.New("sandboxrunner/before-publish")
	afterPublish   = crashpoint.New("sandboxrunner/after-publish")
	beforeWithdraw = crashpoint.New("sandboxrunner/before-withdraw")
	beforeDelete   = crashpoint.New("sandboxrunner/before-delete") // the route is withdrawn
	afterDelete    = crashpoint.New("sandboxrunner/after-delete")
	// The changes of the record. A count selects one: in a plain run the first is to building, then to
	// starting, then to ready.
	beforeSave = crashpoint.New("sandboxrunner/before-save")
	afterSave  = crashpoint.New("sandboxrunner/after-save")
)

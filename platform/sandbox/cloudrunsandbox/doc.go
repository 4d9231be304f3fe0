// Package cloudrunsandbox runs sandboxes on Google Cloud: a build is one execution of a Cloud Run job, a preview is a Cloud Run
// service (or instance), and what passes between them is in a bucket.
//
// # Objects
//
// The bucket is what the driver knows; it has no other memory. Below sandboxes/<id>/<fence>/:
//
//	build.task.json    what sandboxd is told (secrets): the intent to build. There is one before anything is started
//	build.run.json     which executions were started for it, and whether there may be more
//	build.claim.json   by sandboxd: which execution does the work
//	build.json         by sandboxd: how the build stands, a sandbox.GuestStatus
//	build.log          by sandboxd: what it printed, replaced by a longer one every 1.5 s and more
//	snapshot.tar.zst   by sandboxd: the built app
//	serve.task.json    what the preview is told (secrets)
//	serve.run.json     the preview was created
//	serve.json         by sandboxd: how the preview stands
//	serve.ready.json   the preview has answered, and where
//	serve.log          by sandboxd, at its end
//
// and graves/<id>/<fence>, empty, for a generation that was deleted. Graves should be kept as long as a message can come again, a month; a
// lifecycle rule of the bucket removes them. Nothing else outlives Delete.
//
// # One execution does the work
//
// RunJob takes no request id, so an answer that is lost may leave an execution that nobody knows. Two things make that harmless. The
// execution carries SANDBOX_REF=<id>/<fence>, by which it is found again; and sandboxd claims the build before it does
// anything: it creates build.claim.json on the condition that there is none, and exits when there is. The claim is for ever. If
// its owner dies the build is Broken and Interrupted, never begun again: the caller starts a new generation. In short:
//
//	the answer to RunJob is lost        the execution is found by listing, now or when Build is called again
//	it cannot be found, or two run      one claims, the others exit within a second and cost one start each
//	a worker dies anywhere              what it made is named after the generation; Build or Serve called again finds it
//	the owner of the claim dies         Interrupted
//	Build meets Delete                  both put up their sign first and look for the other's then; whoever sees the other's undoes
//
// # What a sandbox may reach
//
// Sandboxes run as Options.ServiceAccount, which has no rights. All that sandboxd needs it gets as signed addresses, each for one method on
// one object of its own generation, for a limited time. The address of the task comes in the environment, is hidden from
// the project's commands (guest.Hide), and those start with an environment of their own. See docs/decisions/0015.
//
// # Waiting
//
// No method waits for a build, a start or an operation of Cloud Run; Delete looks for DeleteWait whether all is gone.
// Calls of Cloud Run take turns (Options.ReadsPerSecond, WritesPerSecond), are bounded in time and are made again for RetryFor after a
// passing trouble; RunJob is made once.
//
// # Errors
//
// ErrUnavailable: Cloud Run or the bucket does not answer, a quota is used up (then ErrQuota, too), or a right, the job or the image is
// missing: the message says which, the metric sandbox.cloudrun.refusals counts it, and asking again later is right. ErrGone: the generation has
// a grave. ErrTransition: Serve without a build that is Done. ErrInvalid: a source outside Options.Sources, or what Cloud Run does
// not take. ErrNotFound: Logs of an unknown generation.
package cloudrunsandbox

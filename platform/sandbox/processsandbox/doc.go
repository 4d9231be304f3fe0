// Package processsandbox runs sandboxes as child processes of this program, in folders of one directory. It is
// what a laptop and the tests use.
//
// # Semantics
//
// Each generation has a folder `<Dir>/<id>/<fence>`:
//
//	build.task.json, serve.task.json   what sandboxd was told (secrets, mode 0600); there is one as soon as, and only
//	                                   if, the phase was triggered
//	build.json, serve.json             what it reports, a sandbox.GuestStatus
//	build.log, serve.log               what it and the project's commands print, as it is printed
//	build.pid, serve.pid               which process it is, for a later owner of Dir
//	app/, home/, tmp/                  the project, and HOME and TMPDIR of its commands
//
// Build and Serve write the task and return; sandboxd runs in a process group of its own. Two builds run at
// once unless Options.Builds says otherwise; more wait for their turn, are Running meanwhile and say so in
// their log. Await looks every 5 ms.
//
// # One owner
//
// A driver owns Dir by a lock; a second one on the same Dir is refused. When the owner ends, by Close or by
// SIGKILL, every sandbox ends: sandboxd holds the reading end of a pipe, the lifeline, and kills all it
// started when the other end is gone. The next owner first kills whatever is still alive, and only then takes
// work. So no two builds of a generation ever run, and a generation that was cut off is Broken and
// Interrupted for good: the caller starts a new one. Builds that are Done stay Done and can be served.
//
// # Whose a process is
//
// sandboxd and the project's commands carry SANDBOX_DIR=<folder of the generation> in their environment. On
// Linux that finds every process of a generation, also those that left their group and outlived sandboxd,
// unless they started with a cleared environment after sandboxd itself was killed. Elsewhere the process
// tree, the pid files and the groups that sandboxd recorded have to do.
//
// # Isolation
//
// Commands see exactly Options.BaseEnv, the app's own variables and a few of the guest's: nothing is inherited
// from this program. They run as this program's user with its rights: this keeps apps apart by folder, not
// from each other's will. With CacheDir they share package caches, so one app can spoil another's downloads.
// Run only what you would run in a shell. CPU, memory, disk and network are not limited.
//
// # Errors
//
// ErrUnavailable: the driver is closed, or the folder cannot be written. ErrGone: the generation was deleted by this
// driver (the last 10,000 ids are remembered). ErrTransition: Serve without a build that is Done. ErrNotFound: Logs of
// an unknown generation.
package processsandbox

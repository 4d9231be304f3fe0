// Package guest is the program inside a sandbox. [Build] turns the source of a task into an app; [Serve]
// shows the app as a preview and offers the live endpoints that [sandbox.Control] calls. cmd/sandboxd is both
// as commands.
//
// # Folders
//
// Everything happens below GuestTask.Dir:
//
//	app/   the project: source, then whatever install and build put there
//	home/  HOME of the project's commands
//	tmp/   TMPDIR of the project's commands, and our own scratch files
//	build.lock, serve.lock   held by flock while a phase runs
//
// # Without a shared folder
//
// A task with a GuestTask.Store is for a container that nobody watches and whose folder goes with it. Build then claims the work first
// (see [sandbox.GuestStore]), uploads its log while it grows, its snapshot, and its status last; Serve restores the snapshot,
// holds it against the digest that the build reported, and stays when the app is broken, so that nobody starts it again. What
// is no fault of the app, such as a store that does not answer, leaves no last word: the build then counts as
// interrupted, and a preview ends to be started again. [NewCloudLog] makes the log lines what Cloud Logging reads, [Hide] keeps the addresses from the project's commands.
//
// # Environment of the project's commands
//
// Nothing is inherited. A command sees GuestTask.BaseEnv, over it CI=true (build and live commands) or PORT
// and HOST (development server), over it Spec.Env, and over all HOME, TMPDIR, SANDBOX_PROJECT and
// SANDBOX_REF=<id>/<fence>. PORT and HOST cannot be overridden either. SANDBOX_REF is how a sweep over
// processes tells whose they are.
//
// # Processes
//
// Each command is the leader of a process group of its own. Ending one means SIGTERM to the group, 2 s of
// grace and SIGKILL. On Linux [Adopt] makes the process inherit the descendants that left their group, so
// those end too. What no program can end from inside is left to the owner: a sandboxd killed by SIGKILL
// leaves its groups behind, listed in GuestStatus.Groups.
//
// # Limits
//
//	source archive       20,000 entries, 512 MiB packed and unpacked
//	snapshot             2,000,000 entries, 16 GiB unpacked
//	log line             16 KiB, longer ones go on in the next line
//	stored log           256 MiB per phase; after that only the live endpoints see more
//	live log             the last 4 MiB of the running phase
//	live file            10 MiB; a batch 1,000 files and 64 MiB
//	live commands        50 per call, 64 KiB each, 1 MiB of each stream of output, 10 minutes
//	errors kept          100
//	core dumps           none; open files 65,536; size of one file 4 GiB
//
// CPU, memory, disk and the network are limited by whoever runs the program.
package guest

// Package testenv gives tests the real back ends: a PostgreSQL and a Redis server, the official emulators of
// Pub/Sub and Firestore, and Cloudflare's workerd.
//
// # Where a back end comes from
//
// An address in the environment wins: TEST_POSTGRES_URL (a role that may create databases), TEST_REDIS_URL,
// PUBSUB_EMULATOR_HOST and FIRESTORE_EMULATOR_HOST. Otherwise the program is looked for on this machine and started once for each test
// binary, on a free port of the loopback interface, when the first test asks for it. Starting PostgreSQL takes
// about a second, an emulator two to five.
//
// workerd comes from npm, in the versions of the bridge's lock file: the first test of a machine installs 300 MB into the user's cache
// folder, and later ones need no network. [NodeProject] does the same with the packages that scripts of a test need. Each call starts one of its own, in a fraction of a second.
//
// [Chromium] finds a browser that is installed; TEST_CHROMIUM names another.
// [Caddy], which benchmarks are held against, is built from the Go module proxy into the user's cache folder.
//
// # Isolation
//
// Every call gives a database, an emulator project, or a prefix for keys, of its own, so tests may run in parallel. Both are
// removed when the test ends.
//
// # Missing back ends
//
// A test whose back end is not installed is skipped with the reason, which is also appended to the file named by
// TESTENV_SKIPS, so that `make test` can list what was not tested. REQUIRE_BACKENDS=1 makes it a failure. With
// -short every test that needs a back end is skipped. A back end that is installed but does not start, and an
// address in the environment that does not answer, are failures always.
//
// # Life of a server
//
// A server is the child of a small shell that holds the read end of a pipe whose write end only the test binary has.
// However the test binary ends, SIGKILL included, the pipe closes, and the shell stops the server and removes
// its files. No goroutine is left running in the test binary, so goleak sees nothing of this package.
//
// PostgreSQL runs with fsync and synchronous_commit on, as a production server does: crash tests and benchmarks
// tell the truth. It refuses to run as root; a root test binary runs it as postgres or nobody.
package testenv

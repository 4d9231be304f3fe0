//go:build unix

package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// ErrSupervisorGone is the cause of a context that ends because the process that started sandboxd is dead.
// Everything is then killed at once, without grace.
var ErrSupervisorGone = errors.New("the supervisor is gone")

// BrokenError is a phase that ended badly for a reason that lies in the app, told in words for its owner. It
// is in the status file too.
type BrokenError struct{ Reason string }

func (e *BrokenError) Error() string { return e.Reason }

func broken(format string, args ...any) error { return &BrokenError{fmt.Sprintf(format, args...)} }

// Build fetches the source, runs install and build and takes the snapshot if the task has a store. Log
// lines go to out.
//
// The error is nil when the app is built, [ErrClaimed] when another process builds the same task or the
// build has ended before, [ErrDeleted] when the generation was deleted, a [BrokenError] when the app does not build, and context.Cause(ctx) when ctx ended
// first; the status then stays Running, which is how an interrupted build is told. A build that was
// interrupted starts over. It returns when all processes it started are gone.
func Build(ctx context.Context, task sandbox.GuestTask, out io.Writer) error {
	lock, err := claim(task.Dir, sandbox.PhaseBuild)
	if err != nil {
		return err
	}
	defer lock.Release() //nolint:errcheck // the end of the process does it, too
	if before := readStatus(task.StatusFile); before.Phase == sandbox.PhaseBuild && (before.Progress == sandbox.Done || before.Progress == sandbox.Broken) {
		return fmt.Errorf("%w: this build has ended before, it is %s", ErrClaimed, before.Progress)
	}
	if err := claimStore(ctx, task); err != nil {
		return err
	}
	b := &builder{task: task, status: newStatusFile(task.StatusFile, sandbox.PhaseBuild), stopUploads: func() {}}
	b.status.address = task.Store.Status
	if task.Store.Log != "" {
		if b.logCopy, err = newLogCopy(task.Dir, ".build-log", task.Store.Log); err != nil {
			return err
		}
		defer b.logCopy.Close() //nolint:errcheck // it is in the store
		out = io.MultiWriter(out, b.logCopy)
	}
	b.log = newPhaseLog(out, task, buildRing)
	b.procs = newProcesses(b.status)
	if err := b.status.publish(ctx, func(s *sandbox.GuestStatus) { s.Progress = sandbox.Running }); err != nil {
		return err
	}
	if b.logCopy != nil {
		b.stopUploads = b.logCopy.keepUploading(ctx, b.log)
	}
	defer b.procs.reapOrphans()()
	return b.finish(ctx, b.run(ctx))
}

type builder struct {
	task    sandbox.GuestTask
	log     *phaseLog
	status  *statusFile
	procs   *processes
	logCopy *logCopy
	digest  string
	// stopUploads ends the uploads of the log while it grows.
	stopUploads func()
}

// run builds until the app is built or broken, or the deadline or the end of ctx.
func (b *builder) run(parent context.Context) error {
	ctx := parent
	if !b.task.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(parent, b.task.Deadline)
		defer cancel()
	}
	begin := time.Now()
	steps := []struct {
		what string
		do   func(context.Context) error
	}{
		{"preparing the folders", func(context.Context) error { return prepareFolders(b.task.Dir, true) }},
		{"fetching the source", b.fetch},
		{"running the install command", func(ctx context.Context) error { return b.command(ctx, "install command", b.task.Spec.Install) }},
		{"running the build command", func(ctx context.Context) error { return b.command(ctx, "build command", b.task.Spec.Build) }},
		{"checking the static folder", func(context.Context) error { return b.checkStatic() }},
		{"taking the snapshot", b.snapshot},
	}
	for _, step := range steps {
		err := step.do(ctx)
		switch {
		case parent.Err() != nil:
			return context.Cause(parent)
		case ctx.Err() != nil:
			return broken("build timed out after %s while %s", time.Since(begin).Round(100*time.Millisecond), step.what)
		case err != nil:
			return err
		}
	}
	b.log.system("built in %s", time.Since(begin).Round(time.Millisecond))
	return nil
}

// finish ends what still runs, and records how the build ended.
func (b *builder) finish(ctx context.Context, err error) error {
	patience := grace
	if errors.Is(context.Cause(ctx), ErrSupervisorGone) {
		patience = 0
	}
	b.procs.close(patience, b.log)
	b.stopUploads()
	if ctx.Err() != nil && err != nil {
		b.log.system("build interrupted: %v", err)
		return err
	}
	reason := ""
	if err != nil {
		reason = b.log.mask.mask(sentence(err))
		b.log.system("build failed: %s", reason)
	}
	// The log is uploaded last, since it tells the end; a build whose log is lost is still a build.
	if logErr := b.uploadLog(context.WithoutCancel(ctx)); logErr != nil {
		b.log.system("the build log could not be uploaded: %s", sentence(logErr))
	}
	if _, app := errors.AsType[*BrokenError](err); err != nil && !app && b.task.Store.Status != "" {
		// No fault of the app: without a last word the build counts as interrupted, and another generation may do better.
		return err
	}
	saved := b.status.publish(context.WithoutCancel(ctx), func(s *sandbox.GuestStatus) {
		s.Progress, s.SnapshotDigest = sandbox.Done, b.digest
		if err != nil {
			s.Progress, s.Reason, s.LogTail = sandbox.Broken, reason, b.log.tail()
		}
	})
	return errors.Join(err, saved)
}

func (b *builder) fetch(ctx context.Context) error {
	if uri := b.task.Spec.Source.ArchiveURI; uri != "" {
		b.log.system("fetching %s", shown(uri))
	} else {
		b.log.system("writing the files: %d", len(b.task.Spec.Source.Files))
	}
	return fetchSource(ctx, b.task.Spec.Source, b.path(appFolder), b.path(tmpFolder))
}

// command runs one command to its end. What it left running ends with it.
func (b *builder) command(ctx context.Context, what, line string) error {
	if line == "" {
		return nil
	}
	b.log.system("%s: %s", what, line)
	g, err := b.procs.shell(line, b.path(appFolder), batchEnvironment(b.task), b.log.stream(streamOut, nil), b.log.stream(streamErr, nil))
	if err != nil {
		return broken("%s", exitWords(what, err, ""))
	}
	select {
	case <-g.ended:
		b.procs.end(0)
		g.drain()
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			b.log.system("%s is being stopped: the build's deadline has passed", what)
		}
		if errors.Is(context.Cause(ctx), ErrSupervisorGone) {
			b.procs.end(0)
		} else {
			b.procs.end(grace)
		}
		return context.Cause(ctx)
	}
	if g.err != nil {
		return broken("%s", exitWords(what, g.err, b.log.tail()))
	}
	return nil
}

// checkStatic finds a missing static folder now, when the reason is at hand.
func (b *builder) checkStatic() error {
	dir := b.task.Spec.StaticDir
	if dir == "" {
		return nil
	}
	root, err := os.OpenRoot(b.path(appFolder))
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // lets go of a folder, nothing is lost
	info, err := root.Stat(filepath.FromSlash(dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return broken("static folder %q does not exist after the build", dir)
	case leavesRoot(err):
		return broken("static folder %q leads outside the project", dir)
	case err != nil:
		return broken("static folder %q: %v", dir, err)
	case !info.IsDir():
		return broken("static folder %q is a file", dir)
	}
	return nil
}

// snapshot stores the built app, if there is a store.
func (b *builder) snapshot(ctx context.Context) (err error) {
	if b.task.Store.Snapshot == "" {
		return nil
	}
	b.log.system("taking the snapshot")
	if b.digest, err = uploadSnapshot(ctx, b.task.Store.Snapshot, b.path(appFolder)); err != nil {
		return fmt.Errorf("snapshot could not be stored: %w", err)
	}
	return nil
}

func (b *builder) uploadLog(ctx context.Context) error {
	if b.logCopy == nil {
		return nil
	}
	return b.logCopy.upload(ctx)
}

func (b *builder) path(folder string) string { return filepath.Join(b.task.Dir, folder) }

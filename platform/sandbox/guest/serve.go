//go:build unix

package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

const (
	defaultStartTimeout = time.Minute
	// drainTimeout is how long requests may go on after the listener was closed.
	drainTimeout = time.Second
	// lastUpload bounds the upload of the log at the end: containers are killed 10 s after they are told to end.
	lastUpload = 5 * time.Second
)

// app is what a preview shows.
type app interface {
	http.Handler
	// run works until ctx ends or the app is broken. It calls ready when the app answers for the first time.
	run(ctx context.Context, ready func()) error
	// healthy reports that the app answers now; restarts counts how often it was started again.
	healthy() bool
	restarts() int
}

// Serve shows a built app at task.Listen and offers the live endpoints, until ctx ends or the app is broken.
// Log lines go to out.
//
// The error is nil when ctx ended, [ErrClaimed] when another process serves the same task, [ErrDeleted] when the generation
// was deleted, and a [BrokenError] when the app cannot be kept running. It returns when all processes it started are gone.
//
// With a store, whoever runs the program would only start it again when it ends. So a preview that is broken publishes
// that, and keeps its live endpoints, with the logs, until ctx ends.
func Serve(ctx context.Context, task sandbox.GuestTask, out io.Writer) error {
	lock, err := claim(task.Dir, sandbox.PhaseServe)
	if err != nil {
		return err
	}
	defer lock.Release() //nolint:errcheck // the end of the process does it, too
	if err := claimStore(ctx, task); err != nil {
		return err
	}
	s := &server{task: task, status: newStatusFile(task.StatusFile, sandbox.PhaseServe)}
	s.status.address = task.Store.Status
	if task.Store.Log != "" {
		copied, err := newLogCopy(task.Dir, ".serve-log", task.Store.Log)
		if err != nil {
			return err
		}
		defer copied.Close() //nolint:errcheck // it is in the store
		out = io.MultiWriter(out, copied)
		s.logCopy = copied
		defer func() {
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastUpload)
			defer cancel()
			_ = copied.upload(last) // what it printed is then all that is lost
		}()
	}
	s.log = newPhaseLog(out, task, serveRing)
	s.errors = newErrorLog()
	s.log.observe = s.errors.line
	s.procs = newProcesses(s.status)
	defer s.procs.reapOrphans()()
	if err := s.status.publish(ctx, func(g *sandbox.GuestStatus) { g.Progress = sandbox.Running }); err != nil {
		return err
	}
	err = s.run(ctx)
	patience := grace
	if errors.Is(context.Cause(ctx), ErrSupervisorGone) {
		patience = 0
	}
	s.procs.close(patience, s.log)
	if ctx.Err() != nil {
		s.log.system("stopped: %v", context.Cause(ctx))
		return nil
	}
	if _, app := errors.AsType[*BrokenError](err); !app && task.Store.Status != "" {
		s.log.system("the preview ends: %s", sentence(err))
		return err // no fault of the app: whoever runs the program starts it again, or another generation does better
	}
	return errors.Join(err, s.tellBroken(ctx, err))
}

// tellBroken publishes why the preview failed, once.
func (s *server) tellBroken(ctx context.Context, err error) error {
	if s.status.get().Progress == sandbox.Broken {
		return nil
	}
	reason := s.log.mask.mask(sentence(err))
	s.log.system("the preview failed: %s", reason)
	if s.logCopy != nil {
		_ = s.logCopy.upload(ctx) // the reason and the tail tell most of it
	}
	return s.status.publish(ctx, func(g *sandbox.GuestStatus) {
		g.Progress, g.Endpoint, g.Reason, g.LogTail = sandbox.Broken, "", reason, s.log.tail()
	})
}

type server struct {
	task   sandbox.GuestTask
	log    *phaseLog
	status *statusFile
	procs  *processes
	errors *errorLog
	// logCopy is the log for the store, nil without one.
	logCopy *logCopy
}

func (s *server) run(ctx context.Context) error {
	if err := s.restore(ctx); err != nil {
		return err
	}
	root, err := os.OpenRoot(s.appDir())
	if err != nil {
		return broken("the project folder cannot be opened: %v", err)
	}
	defer root.Close() //nolint:errcheck // lets go of a folder, nothing is lost
	var shown app = newDevServer(s.task, s.procs, s.log)
	if s.task.Spec.StaticDir != "" {
		shown = newStaticApp(root, s.task.Spec.StaticDir)
	}
	live := newLive(s, root, shown)

	listen := s.task.Listen
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", listen, err)
	}
	requests, cancelRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelRequests()
	server := &http.Server{
		Handler:           live,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          s.log.standard(),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		_ = s.log.kept.Close() // ends those who follow the log
		if server.Shutdown(drain) != nil {
			cancelRequests()
			_ = server.Close() // the listener is closed, connections follow
		}
	}()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			cancel(err)
		}
	}()
	endpoint := listener.Addr().String()
	err = shown.run(ctx, func() {
		s.log.system("the preview answers at %s", endpoint)
		if err := s.status.publish(ctx, func(g *sandbox.GuestStatus) { g.Progress, g.Endpoint = sandbox.Done, endpoint }); err != nil {
			cancel(err)
		}
	})
	if err == nil {
		err = context.Cause(ctx)
	}
	if _, app := errors.AsType[*BrokenError](err); app && s.task.Store.Status != "" && ctx.Err() == nil {
		if told := s.tellBroken(ctx, err); told != nil {
			return errors.Join(err, told)
		}
		<-ctx.Done()
	}
	return err
}

// restore gets the built app from the store when it is not here already.
func (s *server) restore(ctx context.Context) error {
	_, err := os.Stat(s.appDir())
	if err == nil {
		return prepareFolders(s.task.Dir, false)
	}
	if s.task.Store.Snapshot == "" {
		return broken("there is no built app in %s and no store to get it from", s.appDir())
	}
	begin := time.Now()
	// A folder that is only partly restored must not look like a built app to the next start.
	part := s.appDir() + ".part"
	if err := errors.Join(removeAll(part), prepareFolder(part)); err != nil {
		return err
	}
	if err := restoreSnapshot(ctx, s.task.Store.Snapshot, s.task.SnapshotDigest, part); err != nil {
		return fmt.Errorf("snapshot could not be restored: %w", err)
	}
	if err := os.Rename(part, s.appDir()); err != nil {
		return err
	}
	s.log.system("restored the snapshot in %s", time.Since(begin).Round(time.Millisecond))
	return prepareFolders(s.task.Dir, false)
}

func (s *server) appDir() string { return filepath.Join(s.task.Dir, appFolder) }

package cloudrunfake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"

	"vibesdk-gcp/internal/proctable"
)

// Container is one run of a container.
type Container struct {
	// Resource is the execution, the service or the instance that it belongs to, as the last part of its name.
	Resource string
	Image    string
	// Args follow the entrypoint, which is Command[0] or that of the image.
	Command, Args []string
	// Env is the whole environment.
	Env map[string]string
	// Dir is its working directory, empty at first and removed at its end.
	Dir string
}

// containerOf reads the one container of a template.
func containerOf(resource string, list []*runpb.Container) (Container, error) {
	if len(list) != 1 {
		return Container{}, invalid("containers: exactly one is supported, not %d", len(list))
	}
	spec := list[0]
	if spec.GetImage() == "" {
		return Container{}, invalid("containers[0].image: is required")
	}
	c := Container{Resource: resource, Image: spec.GetImage(), Command: spec.GetCommand(), Args: spec.GetArgs(), Env: map[string]string{}}
	for _, v := range spec.GetEnv() {
		if v.GetName() == "" || v.GetName() == "PORT" {
			return Container{}, invalid("containers[0].env: name %q is empty or reserved", v.GetName())
		}
		if v.GetValueSource() != nil {
			return Container{}, invalid("containers[0].env[%s]: this fake has no secrets", v.GetName())
		}
		c.Env[v.GetName()] = v.GetValue()
	}
	return c, nil
}

// program is what the container runs: the file of its command, or of its image.
func (s *Server) program(c Container) (string, error) {
	if len(c.Command) > 0 {
		return c.Command[0], nil
	}
	if path := s.o.Programs[c.Image]; path != "" {
		return path, nil
	}
	return "", fmt.Errorf("image '%s' not found", c.Image)
}

// run runs a container to its end. The end of ctx is SIGTERM, and SIGKILL after the grace.
func (s *Server) run(ctx context.Context, c Container) (exitCode int, err error) {
	dir, err := os.MkdirTemp(s.o.Dir, "container-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is in the scratch folder, which goes as well
	c.Dir = dir
	if s.o.Run != nil {
		return s.o.Run(ctx, c), nil
	}
	program, err := s.program(c)
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(program, slices.Concat(c.Command[min(1, len(c.Command)):], c.Args)...) //nolint:noctx // ended below, with its descendants
	cmd.Dir, cmd.Env = dir, []string{}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		cmd.Env = append(cmd.Env, name+"="+c.Env[name])
	}
	out := outputOf(func(p []byte) { s.o.Output(c, p) })
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second // a daemon may hold the pipe
	if err := s.starter.start(cmd); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
		grace := time.NewTimer(s.o.Grace)
		defer grace.Stop()
		select {
		case err = <-ended:
		case <-grace.C:
			killTree(cmd.Process.Pid)
			err = <-ended
		}
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, nil
}

// killTree kills a process and its descendants, as the end of a container does.
func killTree(pid int) {
	all, _ := proctable.List() // without a table it is the process alone
	found := []int{pid}
	for i := 0; i < len(found); i++ {
		for _, p := range all {
			if p.Parent == found[i] && !p.Zombie {
				found = append(found, p.PID)
			}
		}
	}
	for _, p := range slices.Backward(found) {
		_ = syscall.Kill(p, syscall.SIGKILL) // gone already
	}
}

type outputOf func([]byte)

func (w outputOf) Write(p []byte) (int, error) { w(p); return len(p), nil }

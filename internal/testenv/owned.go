package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// watchdog runs the server in "$@" until the owner's end of the pipe on descriptor 3 closes. Only the server
// keeps descriptor 4, so the owner sees end of file there when the server exits. The server stays a child that is not waited
// for until then, so its process id cannot be given to another process before it is signalled.
const watchdog = `
signal=$1 dir=$2
shift 2
"$@" 3<&- </dev/null >"$dir/log" 2>&1 &
server=$!
echo "$server" >"$dir/server.pid"
exec 4>&- >/dev/null 2>&1
cat <&3
kill "-$signal" "$server"
wait "$server"
cd /
rm -rf -- "$dir"
`

// started keeps the servers reachable: the garbage collector closes the files of what is not.
var started sync.Map

// owned is a server that does not outlive this process.
type owned struct {
	dir   string
	cmd   *exec.Cmd
	pipe  *os.File // closing it stops the server
	alive *os.File // end of file when the server has exited
}

// startOwned runs argv as the account's user in dir, which the watchdog removes when it has stopped the server with
// the named signal.
func startOwned(dir string, as *account, signal string, argv ...string) (*owned, error) {
	hold, pipe, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer hold.Close()
	alive, living, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, pipe.Close())
	}
	defer living.Close()

	cmd := exec.CommandContext(context.Background(), "/bin/sh", append([]string{"-c", watchdog, "testenv", signal, dir}, argv...)...)
	cmd.Dir = dir
	cmd.Env = childEnv()
	cmd.ExtraFiles = []*os.File{hold, living}
	cmd.SysProcAttr = as.procAttr()
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, pipe.Close(), alive.Close())
	}
	server := &owned{dir: dir, cmd: cmd, pipe: pipe, alive: alive}
	started.Store(server, nil)
	return server, nil
}

// await polls ready until it is true. It fails when the server exits before, or after the timeout.
func (o *owned) await(timeout time.Duration, ready func() bool) error {
	for end := time.Now().Add(timeout); ; {
		if ready() {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("not ready after %s: %s", timeout, o.logTail())
		}
		if err := o.alive.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			return err
		}
		if _, err := o.alive.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("exited at start: %s", o.logTail())
		}
	}
}

// stop ends the server and waits until its files are gone.
func (o *owned) stop() error {
	started.Delete(o)
	return errors.Join(o.pipe.Close(), o.alive.Close(), ignoreExit(o.cmd.Wait()))
}

// signal sends a signal to the server, not to its watchdog, which then still stops the server when this process ends.
func (o *owned) signal(sig syscall.Signal) error {
	text, err := os.ReadFile(filepath.Join(o.dir, "server.pid"))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("server.pid: %w", err)
	}
	return syscall.Kill(pid, sig)
}

func (o *owned) log() string {
	body, err := os.ReadFile(filepath.Join(o.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(body)
}

func (o *owned) logTail() string {
	const most = 2000
	text := strings.TrimSpace(o.log())
	return text[max(0, len(text)-most):]
}

// ignoreExit drops the exit status of the watchdog, which is that of the server it stopped.
func ignoreExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// childEnv is what servers get: none of PGDATA, JAVA_TOOL_OPTIONS and the like changes what tests run against.
func childEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "JAVA_HOME=" + os.Getenv("JAVA_HOME"), "LC_ALL=C", "TZ=UTC"}
}

package cloudrunfake

import (
	"os/exec"
	"syscall"
)

// endWithThread makes the process get SIGTERM when the thread that starts it ends.
func endWithThread(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

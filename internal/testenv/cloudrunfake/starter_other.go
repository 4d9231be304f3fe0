//go:build !linux

package cloudrunfake

import (
	"os/exec"
	"syscall"
)

func endWithThread(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

package cloudrunfake

import (
	"os/exec"
	"runtime"
)

// starter starts processes from one thread that lives as long as the server: on Linux they are told to end when that
// thread ends, however that happens.
type starter struct {
	requests chan startRequest
}

type startRequest struct {
	cmd    *exec.Cmd
	result chan error
}

func newStarter() *starter {
	st := &starter{make(chan startRequest)}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		for r := range st.requests {
			endWithThread(r.cmd)
			r.result <- r.cmd.Start()
		}
	}()
	return st
}

func (st *starter) start(cmd *exec.Cmd) error {
	r := startRequest{cmd, make(chan error, 1)}
	st.requests <- r
	return <-r.result
}

// close ends the thread. Nothing may be started any more.
func (st *starter) close() { close(st.requests) }

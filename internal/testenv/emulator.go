package testenv

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
)

// emulators are those that this test binary started, by endpoint.
var emulators sync.Map

// ErrNotOurs is an emulator that somebody else runs: its address came from the environment.
var ErrNotOurs = errors.New("the emulator is not one of this program's own")

// PauseEmulator freezes the emulator at an endpoint of [PubSub] or [Firestore], for every test of this test binary: connections stay and
// nothing answers. Killing one would lose everything, since it keeps all in memory. ErrNotOurs for one that cannot be.
func PauseEmulator(endpoint string) error { return signalEmulator(endpoint, syscall.SIGSTOP) }

// ResumeEmulator lets a frozen emulator go on; one that runs stays as it is.
func ResumeEmulator(endpoint string) error { return signalEmulator(endpoint, syscall.SIGCONT) }

func signalEmulator(endpoint string, sig syscall.Signal) error {
	server, ok := emulators.Load(endpoint)
	if !ok {
		return ErrNotOurs
	}
	if err := server.(*owned).signal(sig); err != nil {
		return fmt.Errorf("emulator at %s: %w", endpoint, err)
	}
	return nil
}

//go:build unix

package gateway

import "syscall"

// canTry says that writeNow works here.
const canTry = true

// writeNow writes what a connection takes at once. It fails with EAGAIN when that is nothing.
func writeNow(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), p)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

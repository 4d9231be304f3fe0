package guest

import (
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"
)

func TestDescendants(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/bin/sh", "-c", "sleep 1000 & sleep 1000 & echo; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	below := descendants(cmd.Process.Pid)
	if len(below) != 2 {
		t.Errorf("below the shell are %v, want two", below)
	}
	if !slices.Contains(descendants(os.Getpid()), below[0]) {
		t.Errorf("below us is not %d", below[0])
	}
	for _, pid := range append(below, cmd.Process.Pid) {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
	}
	_ = cmd.Wait()
}

func TestListensBelow(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	if listensBelow(os.Getpid(), port) {
		t.Error("we listen ourselves, no descendant does")
	}
	if !listensBelow(os.Getppid(), port) {
		t.Error("our parent has a descendant that listens: us")
	}
	l.Close()
	if listensBelow(os.Getppid(), port) {
		t.Error("nobody listens any more")
	}
	if _, ok := parseListener("   0: 0100007F:1F90 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 12345 1", 8080); ok {
		t.Error("a connection is taken for a listener")
	}
	if inode, ok := parseListener("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1", 8080); !ok || inode != "12345" {
		t.Errorf("inode %q, %v", inode, ok)
	}
}

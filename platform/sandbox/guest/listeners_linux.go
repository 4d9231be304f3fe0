package guest

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listensBelow reports whether one of the descendants of pid listens on the TCP port. Where /proc does not
// tell, or a descendant runs as another user, it trusts the port.
func listensBelow(pid, port int) bool {
	sockets, known := listeningSockets(port)
	if !known {
		return true
	}
	if len(sockets) == 0 {
		return false
	}
	for _, child := range descendants(pid) {
		dir := fmt.Sprintf("/proc/%d/fd", child)
		fds, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrPermission) {
			return true
		}
		for _, fd := range fds {
			link, err := os.Readlink(filepath.Join(dir, fd.Name()))
			if err != nil {
				continue // closed meanwhile
			}
			if inode, ok := strings.CutPrefix(link, "socket:["); ok && sockets[strings.TrimSuffix(inode, "]")] {
				return true
			}
		}
	}
	return false
}

// listeningSockets returns the inodes of the sockets that listen on the port, and whether the kernel tells.
func listeningSockets(port int) (map[string]bool, bool) {
	inodes := map[string]bool{}
	known := false
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		known = true
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if inode, ok := parseListener(lines.Text(), port); ok {
				inodes[inode] = true
			}
		}
		f.Close()
	}
	return inodes, known
}

// parseListener reads a line of /proc/net/tcp: `sl local_address rem_address st … uid timeout inode`, the
// local port in hexadecimal behind the colon, state 0A for LISTEN.
func parseListener(line string, port int) (inode string, ok bool) {
	const (
		local = 1
		state = 3
		node  = 9
	)
	fields := strings.Fields(line)
	if len(fields) <= node || fields[state] != "0A" {
		return "", false
	}
	_, hex, found := strings.Cut(fields[local], ":")
	if !found {
		return "", false
	}
	p, err := strconv.ParseUint(hex, 16, 16)
	return fields[node], err == nil && int(p) == port
}

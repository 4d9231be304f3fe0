package processsandbox

import (
	"bytes"
	"fmt"
	"os"
)

// ownerOf returns the folder that a process was started with as its mark; empty if it has none or is not ours to see.
func ownerOf(pid int) string {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return ""
	}
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(ownerMark+"=")); ok {
			return string(value)
		}
	}
	return ""
}

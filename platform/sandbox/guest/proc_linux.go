package guest

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// readProcess reads /proc/<pid>/stat. The second field, the program's name, may hold anything, spaces and
// brackets included, so what follows is counted from its closing bracket.
func readProcess(pid int) (process, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	return parseStat(pid, stat)
}

func parseStat(pid int, stat []byte) (process, bool) {
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 {
		return process{}, false
	}
	fields := bytes.Fields(stat[i+1:])
	if len(fields) < 2 {
		return process{}, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return process{}, false
	}
	state := fields[0][0]
	return process{pid: pid, parent: parent, zombie: state == 'Z' || state == 'X'}, true
}

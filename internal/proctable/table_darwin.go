package proctable

import (
	"time"

	"golang.org/x/sys/unix"
)

// zombie is SZOMB of <sys/proc.h>.
const zombie = 5

// List returns the processes that this one can see, zombies included.
func List() ([]Process, error) {
	table, err := unix.SysctlKinfoProcSlice("kern.proc.all")
	if err != nil {
		return nil, err
	}
	list := make([]Process, len(table))
	for i := range table {
		k := &table[i]
		list[i] = Process{
			PID: int(k.Proc.P_pid), Parent: int(k.Eproc.Ppid), Group: int(k.Eproc.Pgid),
			Started: time.Unix(k.Proc.P_starttime.Sec, int64(k.Proc.P_starttime.Usec)*1000),
			Zombie:  k.Proc.P_stat == zombie,
		}
	}
	return list, nil
}

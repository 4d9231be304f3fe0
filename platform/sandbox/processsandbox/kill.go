package processsandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// clockSlack is how far apart two measurements of one process's start may be.
const clockSlack = time.Second

// pidRecord names a process for a later owner: pids are used again, together with the start they are not.
type pidRecord struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
}

// recorded is what was written down about one sandboxd.
type recorded struct {
	pidRecord
	groups []int     // process groups of the project's commands
	until  time.Time // when they were written down
}

// selection says whose processes are meant. Descendants of what matches are meant too.
type selection struct {
	below    string      // folder: those marked with it or with one inside it
	since    time.Time   // if set, marks of older processes are not looked at
	recorded []recorded  // and these
	known    []pidRecord // and these
}

// killAll kills what the selection finds until it finds nothing more, and returns how many it killed. New processes
// may start while old ones are killed, so it looks again.
func (d *Driver) killAll(ctx context.Context, s selection) (int, error) {
	killed := map[pidRecord]bool{}
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		found, err := s.find()
		if err != nil || len(found) == 0 {
			return len(killed), err
		}
		for _, p := range found {
			killed[pidRecord{PID: p.pid, Started: p.started}] = true
			if p.group == p.pid {
				_ = syscall.Kill(-p.pid, syscall.SIGKILL) // an error means that it is gone
			}
			_ = syscall.Kill(p.pid, syscall.SIGKILL) // the same
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return len(killed), fmt.Errorf("%d processes do not end: %w", len(found), ctx.Err())
		}
	}
}

func (s selection) find() ([]process, error) {
	all, err := processes()
	if err != nil {
		return nil, fmt.Errorf("process table: %w", err)
	}
	self := os.Getpid()
	ours := map[int]bool{}
	for _, p := range all {
		if p.pid != self && (s.marked(p) || s.named(p)) {
			ours[p.pid] = true
		}
	}
	for _, r := range s.recorded {
		for _, group := range r.groups {
			r.addGroup(group, all, ours)
		}
	}
	return withDescendants(all, ours, self), nil
}

func (s selection) marked(p process) bool {
	if s.below == "" || p.started.Before(s.since.Add(-clockSlack)) {
		return false
	}
	mark := ownerOf(p.pid)
	return mark == s.below || strings.HasPrefix(mark, s.below+string(filepath.Separator))
}

func (s selection) named(p process) bool {
	for _, r := range s.recorded {
		if r.PID == p.pid && near(r.Started, p.started) {
			return true
		}
	}
	for _, k := range s.known {
		if k.PID == p.pid && near(k.Started, p.started) {
			return true
		}
	}
	return false
}

// addGroup adds the members of a recorded group if it is still the group that was recorded: its leader started
// between sandboxd and the record or, when the leader is gone, every member started after sandboxd.
func (r recorded) addGroup(group int, all []process, ours map[int]bool) {
	if group <= 1 {
		return
	}
	var members []process
	for _, p := range all {
		if p.group != group {
			continue
		}
		if p.started.Before(r.Started.Add(-clockSlack)) || p.pid == group && p.started.After(r.until.Add(clockSlack)) {
			return
		}
		members = append(members, p)
	}
	for _, p := range members {
		ours[p.pid] = true
	}
}

// withDescendants completes a set of processes by those that they started, ancestors first.
func withDescendants(all []process, ours map[int]bool, self int) []process {
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if !ours[p.pid] && ours[p.parent] && p.pid != self {
				ours[p.pid], grown = true, true
			}
		}
	}
	var found []process
	for _, p := range all {
		if ours[p.pid] {
			found = append(found, p)
		}
	}
	return found
}

// descendantsOf returns the processes that pid started and those they started.
func descendantsOf(pid int) []pidRecord {
	all, err := processes()
	if err != nil {
		return nil // what carries a mark is found without
	}
	var list []pidRecord
	for _, p := range withDescendants(all, map[int]bool{pid: true}, os.Getpid()) {
		if p.pid != pid {
			list = append(list, pidRecord{PID: p.pid, Started: p.started})
		}
	}
	return list
}

// recordedProcesses reads what was written down about the processes of generations.
func (d *Driver) recordedProcesses(refs []sandbox.Ref) []recorded {
	var list []recorded
	for _, ref := range refs {
		g := d.newGeneration(ref)
		for _, p := range g.phases() {
			body, err := os.ReadFile(g.file(p.kind, ".pid"))
			if err != nil {
				continue
			}
			var r recorded
			if json.Unmarshal(body, &r.pidRecord) != nil {
				continue // cut off by a crash of the machine, which ended the process too
			}
			status := p.file.read()
			r.groups, r.until = status.Groups, status.UpdatedAt
			list = append(list, r)
		}
	}
	return list
}

// refsAlive returns the generations that processes are marked with.
func (d *Driver) refsAlive() ([]sandbox.Ref, error) {
	all, err := processes()
	if err != nil {
		return nil, fmt.Errorf("process table: %w", err)
	}
	var refs []sandbox.Ref
	for _, p := range all {
		if ref, ok := d.refOf(ownerOf(p.pid)); ok {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

func near(a, b time.Time) bool { return a.Sub(b).Abs() <= clockSlack }

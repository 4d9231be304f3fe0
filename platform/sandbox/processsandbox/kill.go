package processsandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"vibesdk-gcp/internal/proctable"
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
			killed[pidRecord{PID: p.PID, Started: p.Started}] = true
			if p.Group == p.PID {
				_ = syscall.Kill(-p.PID, syscall.SIGKILL) // an error means that it is gone
			}
			_ = syscall.Kill(p.PID, syscall.SIGKILL) // the same
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return len(killed), fmt.Errorf("%d processes do not end: %w", len(found), ctx.Err())
		}
	}
}

// processes returns the living processes. Zombies are not: they hold nothing and end with their parent.
func processes() ([]proctable.Process, error) {
	all, err := proctable.List()
	return slices.DeleteFunc(all, func(p proctable.Process) bool { return p.Zombie }), err
}

func (s selection) find() ([]proctable.Process, error) {
	all, err := processes()
	if err != nil {
		return nil, fmt.Errorf("process table: %w", err)
	}
	self := os.Getpid()
	ours := map[int]bool{}
	for _, p := range all {
		if p.PID != self && (s.marked(p) || s.named(p)) {
			ours[p.PID] = true
		}
	}
	for _, r := range s.recorded {
		for _, group := range r.groups {
			r.addGroup(group, all, ours)
		}
	}
	return withDescendants(all, ours, self), nil
}

func (s selection) marked(p proctable.Process) bool {
	if s.below == "" || p.Started.Before(s.since.Add(-clockSlack)) {
		return false
	}
	mark := ownerOf(p.PID)
	return mark == s.below || strings.HasPrefix(mark, s.below+string(filepath.Separator))
}

func (s selection) named(p proctable.Process) bool {
	for _, r := range s.recorded {
		if r.PID == p.PID && near(r.Started, p.Started) {
			return true
		}
	}
	for _, k := range s.known {
		if k.PID == p.PID && near(k.Started, p.Started) {
			return true
		}
	}
	return false
}

// addGroup adds the members of a recorded group if it is still the group that was recorded: its leader started
// between sandboxd and the record or, when the leader is gone, every member started after sandboxd.
func (r recorded) addGroup(group int, all []proctable.Process, ours map[int]bool) {
	if group <= 1 {
		return
	}
	var members []proctable.Process
	for _, p := range all {
		if p.Group != group {
			continue
		}
		if p.Started.Before(r.Started.Add(-clockSlack)) || p.PID == group && p.Started.After(r.until.Add(clockSlack)) {
			return
		}
		members = append(members, p)
	}
	for _, p := range members {
		ours[p.PID] = true
	}
}

// withDescendants completes a set of processes by those that they started, ancestors first.
func withDescendants(all []proctable.Process, ours map[int]bool, self int) []proctable.Process {
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if !ours[p.PID] && ours[p.Parent] && p.PID != self {
				ours[p.PID], grown = true, true
			}
		}
	}
	var found []proctable.Process
	for _, p := range all {
		if ours[p.PID] {
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
		if p.PID != pid {
			list = append(list, pidRecord{PID: p.PID, Started: p.Started})
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
		if ref, ok := d.refOf(ownerOf(p.PID)); ok {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

func near(a, b time.Time) bool { return a.Sub(b).Abs() <= clockSlack }

package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// migrateState is the file that says how far a migration came. It holds names and counts, and no contents.
type migrateState struct {
	path string

	mu sync.Mutex
	// Parts by name; without those not yet begun.
	Parts map[string]*partRun `json:"parts"`
	// Keys is the file of keys that the run was begun with.
	Keys string `json:"keys,omitempty"`
	// DryRun is whether it writes.
	DryRun bool `json:"dryRun,omitempty"`
}

// partRun is the progress of one part.
type partRun struct {
	MigratedPart

	// Phase is the step under way, and Cursor where it goes on: its meaning is the step's.
	Phase  string `json:"phase"`
	Cursor string `json:"cursor"`

	state *migrateState
}

const mostFindings = 20

func openMigrateState(o MigrateOptions) (*migrateState, error) {
	s := &migrateState{path: o.StateFile, Parts: map[string]*partRun{}, Keys: o.KeysFile, DryRun: o.DryRun}
	if s.path == "" {
		return s, nil
	}
	data, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	var stored migrateState
	if err := json.Unmarshal(data, &stored); err != nil || stored.Parts == nil {
		return nil, fmt.Errorf("state file %s is not one of a migration: %w", s.path, err)
	}
	if stored.DryRun != s.DryRun || stored.Keys != s.Keys {
		return nil, fmt.Errorf("state file %s is of a run with other options: name another file, or remove it to begin anew", s.path)
	}
	for name, run := range stored.Parts {
		run.state = s
		home := func(c Config) string { return homeOf(c, name) }
		if run.From != home(o.From) || run.To != home(o.To) {
			return nil, fmt.Errorf("state file %s is of a migration of %s from %s to %s: name another file", s.path, name, run.From, run.To)
		}
		s.Parts[name] = run
	}
	return s, nil
}

// part is the progress of a part, a new one unless an earlier run came to some place in it.
func (s *migrateState) part(name, from, to string) *partRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	run := s.Parts[name]
	if run == nil {
		run = &partRun{MigratedPart: MigratedPart{From: from, To: to}, state: s}
		s.Parts[name] = run
	} else if run.Phase != "" {
		run.Resumed = true
	}
	return run
}

// finish says that the run reached its end: the next one begins anew.
func (s *migrateState) finish() error {
	if s.path == "" {
		return nil
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("state file: %w", err)
	}
	return nil
}

// phase is a step of a part: page works on some items and returns where to go on, nothing at the end.
type phase struct {
	name string
	page func(ctx context.Context, cursor string) (next string, err error)
}

// allDone is the phase of a part that reached its end.
const allDone = "done"

// run does the phases from where the part came to.
func (p *partRun) run(ctx context.Context, phases ...phase) error {
	if p.Phase == allDone {
		return nil
	}
	at := max(0, slices.IndexFunc(phases, func(ph phase) bool { return ph.name == p.Phase }))
	cursor := p.Cursor
	for i := at; i < len(phases); i++ {
		for {
			next, err := phases[i].page(ctx, cursor)
			if err != nil {
				return fmt.Errorf("%s: %w", phases[i].name, err)
			}
			if cursor = next; cursor == "" {
				break
			}
			if err := p.save(phases[i].name, cursor); err != nil {
				return err
			}
		}
		following := allDone
		if i+1 < len(phases) {
			following = phases[i+1].name
		}
		if err := p.save(following, ""); err != nil {
			return err
		}
	}
	return nil
}

// save remembers the place in a phase. A file that was cut off by a crash never takes the place of a whole one.
func (p *partRun) save(phase, cursor string) error {
	s := p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Phase, p.Cursor = phase, cursor
	if s.path == "" {
		return nil
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(s.path, append(data, '\n'))
}

func replaceFile(path string, data []byte) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("state file: %w", err), os.Remove(temp.Name()))
		}
	}()
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// count adds to one of the part's numbers, and notes a finding unless it is empty.
func (p *partRun) count(number *int64, format string, args ...any) {
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	*number++
	if format != "" && len(p.Findings) < mostFindings {
		p.Findings = append(p.Findings, fmt.Sprintf(format, args...))
	}
}

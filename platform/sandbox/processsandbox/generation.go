package processsandbox

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"vibesdk-gcp/platform/sandbox"
)

// generation is one generation of a sandbox: a folder and two phases.
type generation struct {
	ref sandbox.Ref
	dir string
	// busy is held by the one call of Build, Serve or Delete that is at work.
	busy         chan struct{}
	build, serve *phase
}

func (d *Driver) newGeneration(ref sandbox.Ref) *generation {
	g := &generation{ref: ref, dir: d.folder(ref), busy: make(chan struct{}, 1)}
	g.build, g.serve = newPhase(g, sandbox.PhaseBuild), newPhase(g, sandbox.PhaseServe)
	return g
}

// loadGeneration reads what an earlier owner of the folder left. Nothing of it runs any more.
func (d *Driver) loadGeneration(ref sandbox.Ref) *generation {
	g := d.newGeneration(ref)
	for _, p := range g.phases() {
		if _, err := os.Stat(g.file(p.kind, ".task.json")); err == nil {
			p.loadEnded()
		}
	}
	return g
}

func (g *generation) phases() []*phase { return []*phase{g.build, g.serve} }

func (g *generation) leave() { <-g.busy }

func (g *generation) file(phase sandbox.Phase, suffix string) string {
	return filepath.Join(g.dir, string(phase)+suffix)
}

func (g *generation) status() sandbox.Status {
	build, serve := g.build.look(), g.serve.look()
	st := sandbox.Status{Build: build.Progress, Serve: serve.Progress}
	if serve.Progress == sandbox.Done {
		st.Endpoint = serve.Endpoint
	}
	for _, v := range []view{serve, build} {
		if v.Progress == sandbox.Broken {
			st.Reason, st.LogTail, st.Interrupted = v.Reason, v.LogTail, v.interrupted
			break
		}
	}
	return st
}

func (d *Driver) folder(ref sandbox.Ref) string {
	return filepath.Join(d.dir, ref.ID, strconv.FormatInt(ref.Fence, 10))
}

// refOf reads a ref from the name of a generation's folder. Names that this driver does not make are not refs.
func (d *Driver) refOf(folder string) (sandbox.Ref, bool) {
	parent, fence := filepath.Split(folder)
	n, err := strconv.ParseInt(fence, 10, 64)
	ref := sandbox.Ref{ID: filepath.Base(parent), Fence: n}
	return ref, err == nil && ref.Validate() == nil && d.folder(ref) == folder
}

func (d *Driver) refsOnDisk() ([]sandbox.Ref, error) {
	ids, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, fmt.Errorf("sandbox folder: %w", err)
	}
	var refs []sandbox.Ref
	for _, id := range ids {
		if !id.IsDir() || !sandbox.ValidID(id.Name()) {
			continue
		}
		fences, err := os.ReadDir(filepath.Join(d.dir, id.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // deleted just now
			return nil, fmt.Errorf("sandbox folder: %w", err)
		}
		for _, fence := range fences {
			if ref, ok := d.refOf(filepath.Join(d.dir, id.Name(), fence.Name())); ok && fence.IsDir() {
				refs = append(refs, ref)
			}
		}
	}
	return refs, nil
}

func sortedRefs(lists ...[]sandbox.Ref) []sandbox.Ref {
	refs := slices.Concat(lists...)
	slices.SortFunc(refs, func(a, b sandbox.Ref) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Fence, b.Fence))
	})
	return slices.Compact(refs)
}

func openLog(path string, offset int64) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return io.NopCloser(io.MultiReader()), nil
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	// Up to now: what is printed while the caller reads is for the next call.
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, offset, max(info.Size()-offset, 0)), f}, nil
}

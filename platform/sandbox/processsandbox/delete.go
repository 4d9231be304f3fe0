package processsandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"vibesdk-gcp/platform/sandbox"
)

// Delete implements [sandbox.RuntimeDriver]. From its first moment on the generation is gone for every other call.
// When ctx ends before all is removed it returns an error, and calling it again goes on.
func (d *Driver) Delete(ctx context.Context, ref sandbox.Ref) error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return fmt.Errorf("%w: it is closed", sandbox.ErrUnavailable)
	}
	d.graves.add(ref)
	var known []*generation
	for r, g := range d.generations {
		if r.ID == ref.ID && r.Fence <= ref.Fence {
			known = append(known, g)
		}
	}
	d.mu.Unlock()

	for _, g := range known {
		select {
		case g.busy <- struct{}{}: // whoever was starting a phase has started it
			defer g.leave()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	var ending sync.WaitGroup
	for _, g := range known {
		for _, p := range g.phases() {
			ending.Go(func() { p.end(ctx, "the sandbox was deleted") })
		}
	}
	ending.Wait()
	if err := d.removeUpTo(ctx, ref); err != nil {
		return fmt.Errorf("delete %s: %w", ref, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, g := range known {
		delete(d.generations, g.ref)
	}
	return nil
}

// removeUpTo removes the processes and folders of an id that the driver does not watch over, or no longer.
func (d *Driver) removeUpTo(ctx context.Context, ref sandbox.Ref) error {
	onDisk, err := d.refsOnDisk()
	if err != nil {
		return err
	}
	alive, err := d.refsAlive()
	if err != nil {
		return err
	}
	for _, r := range sortedRefs(onDisk, alive) {
		if r.ID != ref.ID || r.Fence > ref.Fence {
			continue
		}
		if _, err := d.killAll(ctx, selection{below: d.folder(r), recorded: d.recordedProcesses([]sandbox.Ref{r})}); err != nil {
			return err
		}
		midDelete.Hit()
		if err := removeFolder(d.folder(r)); err != nil {
			return err
		}
	}
	parent := filepath.Join(d.dir, ref.ID)
	rest, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) || len(rest) > 0 {
		return nil
	}
	return errors.Join(err, os.Remove(parent))
}

// removeFolder removes a folder with all that is in it, read-only folders too, as Go's module cache has them. It
// does not follow links. Nothing writes there any more.
func removeFolder(path string) error {
	err := os.RemoveAll(path)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	err = filepath.WalkDir(path, func(name string, entry fs.DirEntry, _ error) error {
		if entry != nil && entry.IsDir() {
			return os.Chmod(name, 0o700) //nolint:gosec // a folder needs x
		}
		return nil
	})
	return errors.Join(err, os.RemoveAll(path))
}

// graves remembers which generations were deleted, so that a late Build does not bring one back.
type graves struct {
	fences map[string]int64
	order  []string
}

// graveLimit bounds the memory: an id takes about 100 bytes.
const graveLimit = 10_000

func (g *graves) add(ref sandbox.Ref) {
	if g.fences == nil {
		g.fences = map[string]int64{}
	}
	if _, ok := g.fences[ref.ID]; !ok {
		g.order = append(g.order, ref.ID)
	}
	g.fences[ref.ID] = max(g.fences[ref.ID], ref.Fence)
	if len(g.order) > graveLimit {
		delete(g.fences, g.order[0])
		g.order = g.order[1:]
	}
}

func (g *graves) covers(ref sandbox.Ref) bool { return ref.Fence <= g.fences[ref.ID] }

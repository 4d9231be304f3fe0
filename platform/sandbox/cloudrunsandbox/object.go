package cloudrunsandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// Names of a generation's objects, below sandboxes/<id>/<fence>/. See the package comment.
const (
	buildTask   = "build.task.json"
	buildRun    = "build.run.json"
	buildClaim  = "build.claim.json"
	buildStatus = "build.json"
	buildLog    = "build.log"
	snapshot    = "snapshot.tar.zst"
	serveTask   = "serve.task.json"
	serveRun    = "serve.run.json"
	serveReady  = "serve.ready.json"
	serveStatus = "serve.json"
	serveLog    = "serve.log"
)

const (
	generations = "sandboxes/"
	graves      = "graves/"
)

func folder(ref sandbox.Ref) string { return generations + ref.String() + "/" }

func key(ref sandbox.Ref, name string) string { return folder(ref) + name }

func graveKey(ref sandbox.Ref) string { return graves + ref.String() }

// refOf reads a ref from a key below a prefix.
func refOf(key, prefix string) (sandbox.Ref, bool) {
	rest, ok := strings.CutPrefix(key, prefix)
	id, rest, cut := strings.Cut(rest, "/")
	fence, _, _ := strings.Cut(rest, "/")
	n, err := strconv.ParseInt(fence, 10, 64)
	ref := sandbox.Ref{ID: id, Fence: n}
	return ref, ok && cut && err == nil && ref.Validate() == nil
}

// runs is what is known about the executions of a generation's build.
type runs struct {
	// Executions are the names of those that were started and whose start was acknowledged.
	Executions []string `json:"executions,omitempty"`
	// Unsure says that there may be others: an attempt to start one had no answer.
	Unsure bool `json:"unsure,omitempty"`
}

// served is what is known about the creation of a preview.
type served struct {
	// SignedAt is when the addresses were signed that the preview has.
	SignedAt time.Time `json:"signedAt"`
}

// ready is what is known about a preview that has answered.
type ready struct {
	Endpoint string `json:"endpoint"`
}

// objects is what there is of a generation.
type objects map[string]bool

// look lists what there is of a generation: nothing means that it is unknown or gone.
func (d *Driver) look(ctx context.Context, ref sandbox.Ref) (objects, error) {
	keys, err := d.list(ctx, folder(ref))
	if err != nil {
		return nil, err
	}
	found := objects{}
	for _, k := range keys {
		found[strings.TrimPrefix(k, folder(ref))] = true
	}
	return found, nil
}

// list is Store.List under the policy of retries.
func (d *Driver) list(ctx context.Context, prefix string) (keys []string, err error) {
	err = d.storeCall(ctx, func(ctx context.Context) (err error) {
		keys, err = d.o.Store.List(ctx, prefix)
		return err
	})
	return keys, err
}

// read decodes an object. fs.ErrNotExist when there is none.
func (d *Driver) read(ctx context.Context, key string, into any) error {
	var body []byte
	err := d.storeCall(ctx, func(ctx context.Context) (err error) {
		body, err = d.o.Store.Get(ctx, key)
		return err
	})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%w: object %s is damaged", sandbox.ErrUnavailable, key)
	}
	return nil
}

// readIf is read of an object that may be missing.
func (d *Driver) readIf(ctx context.Context, key string, into any) error {
	if err := d.read(ctx, key, into); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d *Driver) write(ctx context.Context, key string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return d.storeCall(ctx, func(ctx context.Context) error { return d.o.Store.Put(ctx, key, body) })
}

// create makes an object unless there is one. Of an unknown outcome it says that there was one: whoever comes second is the
// more careful.
func (d *Driver) create(ctx context.Context, key string, v any) (created bool, err error) {
	body, err := json.Marshal(v)
	if err != nil {
		return false, err
	}
	attempts := 0
	err = d.storeCall(ctx, func(ctx context.Context) (err error) {
		attempts++
		created, err = d.o.Store.Create(ctx, key, body)
		return err
	})
	return created && attempts == 1, err
}

// buried reports whether a generation was deleted: a grave of its fence or of a later one.
func (d *Driver) buried(ctx context.Context, ref sandbox.Ref) (bool, error) {
	keys, err := d.list(ctx, graves+ref.ID+"/")
	for _, k := range keys {
		if grave, ok := refOf(k, graves); ok && grave.Fence >= ref.Fence {
			return true, err
		}
	}
	return false, err
}

// removeObjects removes everything of a generation. The task goes last: it is how others see that there is something.
func (d *Driver) removeObjects(ctx context.Context, ref sandbox.Ref) error {
	found, err := d.look(ctx, ref)
	if err != nil {
		return err
	}
	last := found[buildTask]
	delete(found, buildTask)
	for name := range found {
		if err := d.remove(ctx, key(ref, name)); err != nil {
			return err
		}
	}
	if last {
		return d.remove(ctx, key(ref, buildTask))
	}
	return nil
}

func (d *Driver) remove(ctx context.Context, key string) error {
	return d.storeCall(ctx, func(ctx context.Context) error { return d.o.Store.Delete(ctx, key) })
}

package processsandbox_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/sandboxtest"
)

// BenchmarkStaticPreview builds and serves a static page: through the driver, and by running sandboxd by hand as fast
// as a shell could. The difference is what the driver costs.
func BenchmarkStaticPreview(b *testing.B) {
	program := sandboxd(b)
	b.Run("driver", func(b *testing.B) {
		d := newDriver(b, options(b.TempDir(), program))
		n := 0
		for b.Loop() {
			n++
			task := sandboxtest.NewTask(fmt.Sprint("bench-", n), 1, sandboxtest.Page)
			must(b, d.Build(b.Context(), task))
			awaitDone(b, d, task.Ref, func(st sandbox.Status) sandbox.Progress { return st.Build })
			must(b, d.Serve(b.Context(), task))
			awaitDone(b, d, task.Ref, func(st sandbox.Status) sandbox.Progress { return st.Serve })
			b.StopTimer()
			must(b, d.Delete(b.Context(), task.Ref))
			b.StartTimer()
		}
	})
	b.Run("byhand", func(b *testing.B) {
		dir, n := b.TempDir(), 0
		for b.Loop() {
			n++
			end := previewByHand(b, program, filepath.Join(dir, fmt.Sprint(n)))
			b.StopTimer()
			end()
			b.StartTimer()
		}
	})
}

func awaitDone(b *testing.B, d sandbox.RuntimeDriver, ref sandbox.Ref, of func(sandbox.Status) sandbox.Progress) {
	b.Helper()
	for {
		st, err := d.Inspect(b.Context(), ref)
		must(b, err)
		switch of(st) {
		case sandbox.Done:
			return
		case sandbox.Broken:
			b.Fatal(st.Reason)
		default:
			must(b, d.Await(b.Context(), ref, st))
		}
	}
}

func previewByHand(b *testing.B, program, dir string) (end func()) {
	b.Helper()
	must(b, os.Mkdir(dir, 0o700))
	task := sandbox.GuestTask{
		Task: sandboxtest.NewTask("by-hand", 1, sandboxtest.Page), Dir: dir, Listen: "127.0.0.1:0",
		BaseEnv: map[string]string{"PATH": os.Getenv("PATH")},
	}
	phase := func(name string) *exec.Cmd {
		task.StatusFile = filepath.Join(dir, name+".json")
		body, err := json.Marshal(task)
		must(b, err)
		path := filepath.Join(dir, name+".task.json")
		must(b, os.WriteFile(path, body, 0o600))
		return exec.Command(program, name, "--task", path)
	}
	must(b, phase("build").Run())
	serve := phase("serve")
	must(b, serve.Start())
	for status(dir, "serve").Progress != sandbox.Done {
		time.Sleep(time.Millisecond)
	}
	return func() {
		must(b, serve.Process.Kill())
		_ = serve.Wait() // it was killed
	}
}

package processsandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/internal/proctable"
	"vibesdk-gcp/platform/sandbox"
)

// TestNoStartAfterEnd is the moment between a free slot and the start of sandboxd in which the sandbox is deleted.
func TestNoStartAfterEnd(t *testing.T) {
	t.Parallel()
	d := &Driver{dir: t.TempDir(), o: Options{Sandboxd: "/bin/false"}}
	p := d.newGeneration(sandbox.Ref{ID: sandbox.IDFor("x"), Fence: 1}).build
	p.quitting = "the sandbox was deleted"
	if _, err := d.start(p, os.Stdout); err == nil || err.Error() != p.quitting {
		t.Errorf("start = %v", err)
	}
}

func TestStatusFileSeesEachReplacement(t *testing.T) {
	t.Parallel()
	s := statusFile{path: filepath.Join(t.TempDir(), "build.json")}
	if got := s.read(); got.Progress != sandbox.Absent {
		t.Errorf("no file reads as %+v", got)
	}
	// Without pauses: the clock of the file system cannot tell them apart.
	for i, want := range []sandbox.Progress{sandbox.Running, sandbox.Done, sandbox.Broken, sandbox.Running, sandbox.Done} {
		if err := s.write(sandbox.GuestStatus{Progress: want}); err != nil {
			t.Fatal(err)
		}
		if got := s.read(); got.Progress != want {
			t.Errorf("%d: read %q, want %q", i, got.Progress, want)
		}
	}
	if err := os.WriteFile(s.path, []byte(`{"progress":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := s.read(); got.Progress != sandbox.Done {
		t.Errorf("half a file reads as %+v", got)
	}
}

func TestLogTailIsWholeLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	if got := logTail(path); got != "" {
		t.Errorf("tail of nothing = %q", got)
	}
	line := strings.Repeat("x", 99) + "\n"
	body := strings.Repeat(line, 1000) + "bad \xff\x00end\n"
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	got := logTail(path)
	if len(got) > sandbox.MaxLogTail || len(got) < sandbox.MaxLogTail-100 || !strings.HasPrefix(got, line) || !strings.HasSuffix(got, "bad ?end\n") {
		t.Errorf("tail has %d bytes and is %.120q … %q", len(got), got, got[len(got)-20:])
	}
}

func TestRecordedGroups(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return time.Unix(1000+int64(s), 0) }
	r := recorded{pidRecord: pidRecord{Started: at(10)}, until: at(20)}
	for name, c := range map[string]struct {
		all  []proctable.Process
		want map[int]bool
	}{
		"the group as recorded":       {[]proctable.Process{{PID: 5, Group: 5, Started: at(15)}, {PID: 9, Group: 5, Started: at(90)}, {PID: 6, Group: 6, Started: at(15)}}, map[int]bool{5: true, 9: true}},
		"its leader is gone":          {[]proctable.Process{{PID: 9, Group: 5, Started: at(90)}}, map[int]bool{9: true}},
		"the number was used again":   {[]proctable.Process{{PID: 5, Group: 5, Started: at(50)}, {PID: 9, Group: 5, Started: at(51)}}, map[int]bool{}},
		"a member is older than that": {[]proctable.Process{{PID: 9, Group: 5, Started: at(1)}}, map[int]bool{}},
	} {
		got := map[int]bool{}
		r.addGroup(5, c.all, got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	got := map[int]bool{}
	r.addGroup(1, []proctable.Process{{PID: 1, Group: 1, Started: at(15)}}, got)
	if len(got) > 0 {
		t.Error("init would be killed")
	}
}

func TestGravesAreBounded(t *testing.T) {
	t.Parallel()
	var g graves
	first := sandbox.Ref{ID: "first", Fence: 3}
	g.add(first)
	g.add(sandbox.Ref{ID: "first", Fence: 2})
	if !g.covers(first) || g.covers(sandbox.Ref{ID: "first", Fence: 4}) || g.covers(sandbox.Ref{ID: "other", Fence: 1}) {
		t.Error("a grave covers its fence and those below, of its id")
	}
	for i := range graveLimit {
		g.add(sandbox.Ref{ID: string(rune('a' + i)), Fence: 1})
	}
	if len(g.fences) != graveLimit || len(g.order) != graveLimit || g.covers(first) {
		t.Errorf("%d graves, the oldest is covered: %v", len(g.fences), g.covers(first))
	}
}

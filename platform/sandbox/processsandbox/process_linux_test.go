package processsandbox

import (
	"os"
	"testing"
	"time"
)

func TestProcessesShowThisOne(t *testing.T) {
	t.Parallel()
	all, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.pid != os.Getpid() {
			continue
		}
		if p.parent != os.Getppid() || p.started.After(time.Now()) || time.Since(p.started) > time.Hour {
			t.Errorf("this process is %+v", p)
		}
		return
	}
	t.Error("this process is not in the table")
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (sh) S 1 42 42 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 500 0 0"))
	f.Add([]byte("42 (a) b) Z 1) S 7 8 42 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 500 0 0"))
	f.Add([]byte("42 (sh) Z 1 42 42 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 500 0 0"))
	f.Add([]byte(")"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, stat []byte) {
		boot := time.Unix(1000, 0)
		p, alive := parseStat(42, stat, boot)
		if alive && p.pid != 42 || !alive && p != (process{}) {
			t.Errorf("%q = %+v, %v", stat, p, alive)
		}
	})
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	boot := time.Unix(1000, 0)
	got, alive := parseStat(42, []byte("42 (a) b) Z 1) S 7 8 42 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 250 0 0"), boot)
	if want := (process{pid: 42, parent: 7, group: 8, started: boot.Add(2500 * time.Millisecond)}); !alive || got != want {
		t.Errorf("%+v, %v", got, alive)
	}
	if _, alive := parseStat(42, []byte("42 (sh) Z 1 42 42 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 500 0 0"), boot); alive {
		t.Error("a zombie counts as alive")
	}
}

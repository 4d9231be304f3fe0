package proctable

import (
	"os"
	"testing"
	"time"
)

func TestListShowsThisProcess(t *testing.T) {
	t.Parallel()
	all, err := List()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.PID != os.Getpid() {
			continue
		}
		if p.Parent != os.Getppid() || p.Zombie || p.Started.After(time.Now()) || time.Since(p.Started) > time.Hour {
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
		p, ok := parseStat(42, stat, time.Unix(1000, 0))
		if ok && p.PID != 42 || !ok && p != (Process{}) {
			t.Errorf("%q = %+v, %v", stat, p, ok)
		}
	})
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	boot := time.Unix(1000, 0)
	const rest = " 7 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 250 0 0"
	started := boot.Add(2500 * time.Millisecond)
	for _, test := range []struct {
		stat string
		want Process
		ok   bool
	}{
		{"7 (sh) S 3 8" + rest, Process{PID: 7, Parent: 3, Group: 8, Started: started}, true},
		{"7 (a) b) Z 1) S 3 8" + rest, Process{PID: 7, Parent: 3, Group: 8, Started: started}, true},
		{"7 (a) Z 1) Z 3 7" + rest, Process{PID: 7, Parent: 3, Group: 7, Started: started, Zombie: true}, true},
		{"7 (a) X 3 7" + rest, Process{PID: 7, Parent: 3, Group: 7, Started: started, Zombie: true}, true},
		{"7 (x y) R 12 7" + rest, Process{PID: 7, Parent: 12, Group: 7, Started: started}, true},
		{"7 (x) R", Process{}, false},
		{"", Process{}, false},
	} {
		if got, ok := parseStat(7, []byte(test.stat), boot); ok != test.ok || got != test.want {
			t.Errorf("%q: %+v, %v, want %+v, %v", test.stat, got, ok, test.want, test.ok)
		}
	}
}

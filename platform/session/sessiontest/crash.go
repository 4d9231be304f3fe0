package sessiontest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/platform/session"
)

const (
	// crashArgument tells a test binary that it is a writer of Crash.
	crashArgument = "session-crash-writer"
	crashSession  = "crash"
	crashWriters  = 4
	// crashEach keeps all mutations inside the ring: a writer may stand still while the others go on.
	crashEach = session.RingSize/crashWriters - 6
)

// CrashMain makes the test binary able to be a writer of [Crash]. TestMain calls it first, before it parses flags;
// in a writer's process it does not return. open opens a driver on the store at address.
func CrashMain(open func(ctx context.Context, address string) (session.Driver, error)) {
	if len(os.Args) < 2 || os.Args[1] != crashArgument {
		return
	}
	if err := crashWriter(open, os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// crashWriter applies the mutations from..crashEach of one writer, one in five of them twice, and says so on stdout.
func crashWriter(open func(ctx context.Context, address string) (session.Driver, error), args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("%s: want address, writer, first mutation and seed", crashArgument)
	}
	writer := args[1]
	from, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	seed, err := strconv.ParseUint(args[3], 10, 64)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seed, 5))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	d, err := open(ctx, args[0])
	if err != nil {
		return err
	}
	s := session.NewStore(d, session.Options{})
	for n := from; n < crashEach; {
		// Runs of one to five, as a consumer gets them.
		var ms []session.Mutation
		for range min(1+random.IntN(5), crashEach-n) {
			ms = append(ms, line(fmt.Sprintf("%s/%04d", writer, n)))
			n++
			if random.IntN(5) == 0 {
				ms = append(ms, line(fmt.Sprintf("%s/%04d", writer, random.IntN(n))))
			}
		}
		outcomes, err := s.Apply(ctx, crashSession, ms)
		if err != nil {
			return err
		}
		for _, o := range outcomes {
			if o.Err != nil {
				return fmt.Errorf("%s: %w", o.MutationID, o.Err)
			}
		}
		if _, err := fmt.Printf("%d\n", n); err != nil {
			return err
		}
	}
	return nil
}

// Crash runs writers on one session of the store at address, each a process, kills each again and again
// at any moment, and begins it again a little before where it was, so that much is sent twice. In the end the
// session must hold exactly what was sent, each once and in the order of its writer. The package's TestMain must
// call [CrashMain]. d is a driver on the same store.
func Crash(t *testing.T, address string, d session.Driver) {
	t.Helper()
	if testing.Short() {
		t.Skip("kills processes for many seconds")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var group sync.WaitGroup
	kills := make([]int, crashWriters)
	for i := range crashWriters {
		group.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			acknowledged := 0
			for acknowledged < crashEach {
				from := max(0, acknowledged-random.IntN(10))
				mercy := 1 + random.IntN(25) // acknowledgements until the kill
				if kills[i] == 12 {
					mercy = crashEach
				}
				n, killed, err := crashOnce(t.Context(), address, i, from, random.Uint64(), mercy)
				acknowledged = max(acknowledged, n)
				if killed {
					kills[i]++
				}
				if err != nil {
					t.Errorf("writer %d: %v", i, err)
					return
				}
			}
		})
	}
	group.Wait()
	r, err := d.Load(t.Context(), crashSession, nil)
	if err != nil {
		t.Fatal(err)
	}
	list, err := linesOf(r)
	if err != nil {
		t.Fatal(err)
	}
	next := map[string]int{}
	for _, id := range list {
		writer, number, _ := strings.Cut(id, "/")
		if want := fmt.Sprintf("%04d", next[writer]); number != want {
			t.Fatalf("writer %s: mutation %s where %s must be: lost, doubled or out of order", writer, number, want)
		}
		next[writer]++
	}
	killed := 0
	for i := range crashWriters {
		if next[fmt.Sprint(i)] != crashEach {
			t.Errorf("of writer %d there are %d mutations, want %d", i, next[fmt.Sprint(i)], crashEach)
		}
		killed += kills[i]
	}
	if want := int64(crashWriters * crashEach); r.Version != want {
		t.Errorf("version %d after %d mutations", r.Version, want)
	}
	if killed < crashWriters {
		t.Errorf("only %d kills: the test tested nothing", killed)
	}
	t.Logf("%d mutations in %d commits, %d kills", r.Version, r.Commit, killed)
}

// crashOnce runs a writer until it ends or was killed after mercy acknowledgements. It returns how far it came.
func crashOnce(ctx context.Context, address string, writer, from int, seed uint64, mercy int) (acknowledged int, killed bool, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, false, err
	}
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, self, crashArgument, address, strconv.Itoa(writer), strconv.Itoa(from), strconv.FormatUint(seed, 10))
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, false, err
	}
	if err := cmd.Start(); err != nil {
		return 0, false, err
	}
	lines := bufio.NewReader(out)
	for {
		text, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return acknowledged, killed, err
		}
		if acknowledged, err = strconv.Atoi(strings.TrimSpace(text)); err != nil {
			return acknowledged, killed, err
		}
		if mercy--; mercy == 0 && acknowledged < crashEach {
			killed = cmd.Process.Kill() == nil
		}
	}
	if err := cmd.Wait(); err != nil && !killed {
		return acknowledged, killed, fmt.Errorf("%w: %s", err, stderr.String())
	}
	return acknowledged, killed, nil
}

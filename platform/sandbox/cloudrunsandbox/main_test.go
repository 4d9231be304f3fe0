package cloudrunsandbox_test

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/internal/testenv/cloudrunfake"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/sandbox/cloudrunsandbox"
	"vibesdk-gcp/platform/sandbox/sandboxtest"
)

// roleVar makes this test binary a development server.
const roleVar = "CLOUDRUNSANDBOX_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVar) == "devserver" {
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello from dev") })
		fmt.Println(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), handler))
		os.Exit(1)
	}
	code := testenv.Main(m)
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop")); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

// cloud is a Cloud Run and a bucket on this machine.
type cloud struct {
	*cloudrunfake.Server
	storage *cloudrunfake.Storage
}

const image = "registry.example/project/sandbox"

func newCloud(t testing.TB, change ...func(*cloudrunfake.Options)) *cloud {
	t.Helper()
	o := cloudrunfake.Options{
		Programs: map[string]string{image: testenv.Program(t, "sandboxd", "")}, OperationLatency: 5 * time.Millisecond, StartLatency: 5 * time.Millisecond,
	}
	for _, c := range change {
		c(&o)
	}
	storage, err := cloudrunfake.NewStorage(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, storage.Close()) })
	server, err := cloudrunfake.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, server.Close()) })
	must(t, server.Job("vibesdk-sandbox-job", image))
	return &cloud{server, storage}
}

func (c *cloud) options() cloudrunsandbox.Options {
	return cloudrunsandbox.Options{
		Project: "fake-project", Location: "local1", Image: image, ServiceAccount: "nobody@fake-project.iam.gserviceaccount.com",
		Store: cloudrunsandbox.NewStore(c.storage.Bucket), BaseEnv: map[string]string{"PATH": os.Getenv("PATH"), "LANG": "C.UTF-8"}, ListenHost: "127.0.0.1",
		StartTimeout: 2 * time.Minute, ReadsPerSecond: 10_000, WritesPerSecond: 10_000, PollEvery: 10 * time.Millisecond,
		DeleteWait: time.Minute, ClientOptions: c.ClientOptions(),
	}
}

func (c *cloud) driver(t testing.TB, change ...func(*cloudrunsandbox.Options)) *cloudrunsandbox.Driver {
	t.Helper()
	o := c.options()
	for _, ch := range change {
		ch(&o)
	}
	d, err := cloudrunsandbox.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, d.Close()) })
	return d
}

// alive reports whether a process exists and is not a zombie.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		_, noProc := os.Stat("/proc/self/stat")
		return noProc != nil
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func TestConformance(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []cloudrunsandbox.Previews{cloudrunsandbox.Services, cloudrunsandbox.Instances} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			var clouds sync.Map // by test
			of := func(o *cloudrunsandbox.Options) { o.Previews = kind }
			sandboxtest.RunRuntime(t, func(t *testing.T) sandbox.RuntimeDriver {
				c := newCloud(t)
				clouds.Store(t.Name(), c)
				return c.driver(t, of)
			}, sandboxtest.RuntimeFeatures{
				Alive: alive, Daemons: runtime.GOOS == "linux",
				Dev: "exec " + self, DevEnv: map[string]string{roleVar: "devserver"},
				Second: func(t *testing.T) sandbox.RuntimeDriver {
					c, _ := clouds.Load(t.Name())
					return c.(*cloud).driver(t, of)
				},
			})
		})
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

package vibesdk_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "vibesdk-gcp"

// room is one row of docs/architecture.md §4: which folders of ours a folder may import. Folders are
// path.Match patterns; the first row whose pattern matches counts.
type room struct {
	folder string
	// code lists what non-test files may import; tests may import more.
	code, tests []string
}

// Tests of any room may build their world from real parts: the migrations, the back ends that testenv
// finds, and the suites.
var testsEverywhere = []string{"schemas", "schemas/gen", "internal/*", "internal/testenv/*", "*/*test", "*/*/*test"}

var ports = []string{"platform/session", "platform/ratelimit", "platform/sandbox", "platform/deployment"}

var rooms = []room{
	{folder: ".", code: nil},
	{folder: "schemas/gen"},
	{folder: "schemas", code: []string{"schemas/gen"}},
	{folder: "internal/*", code: []string{"internal/*"}},
	{folder: "internal/testenv/*", code: []string{"internal/*"}},

	{folder: "events", code: []string{"schemas", "internal/*"}},
	{folder: "events/*", code: []string{"schemas", "events", "internal/*"}, tests: []string{"events/*"}},

	{folder: "platform/*", code: []string{"internal/*"}},
	// sandboxd is the other end of the sandbox port's own protocol, so it is a part of the port.
	{folder: "platform/*/*", code: []string{"platform/{parent}", "internal/*"}, tests: []string{"platform/{parent}/*"}},

	{folder: "workers/*", code: append([]string{"schemas", "schemas/gen", "events", "internal/*"}, ports...),
		// Workers are tested against the real drivers, never against stand-ins.
		tests: []string{"events/*", "platform/*/*", "workers/*"}},

	{folder: "gateway/client", code: []string{"internal/*"}, tests: []string{"gateway", "events", "events/*", "workers/*", "platform/*", "platform/*/*"}},
	// The form of an export is a promise of the API: cfexport is pure, and no driver.
	{folder: "gateway/auth", code: []string{"internal/*"}},
	// The console makes calls of the API, and works out which sandbox a request would be.
	{folder: "gateway/console", code: []string{"gateway/auth", "gateway/client", "platform/sandbox", "schemas", "internal/*"},
		tests: []string{"gateway", "events", "events/*", "platform/*", "platform/*/*"}},
	{folder: "gateway", code: append([]string{"schemas", "schemas/gen", "events", "internal/*", "platform/session/cfexport", "gateway/auth", "gateway/console"}, ports...),
		tests: []string{"gateway/*", "events/*", "workers/*", "platform/*/*"}},
	{folder: "router", code: append([]string{"schemas", "events", "internal/*"}, ports...), tests: []string{"platform/*/*"}},

	// Nothing links these: they are tests of the Terraform modules and of the images.
	{folder: "infra/gcp", tests: []string{"events"}},
	{folder: "infra/docker"},

	{folder: "cmd/internal/app", code: []string{"*", "*/*", "*/*/*"}},
	// What judges a run under faults. Its tests run the programs, and link them for the names of their crash points.
	{folder: "cmd/internal/chaos", tests: []string{"*", "*/*", "*/*/*"}},
	// What makes drivers fail, in programs that are built for that.
	{folder: "cmd/internal/faults", code: []string{"events", "platform/session"}},
	// What several programs share that is neither composition nor a port.
	{folder: "cmd/internal/*", code: []string{"schemas", "events", "gateway/client", "internal/*"}, tests: []string{"*", "*/*", "*/*/*"}},
	{folder: "cmd/*", code: []string{"cmd/internal/*", "schemas", "schemas/gen", "events", "gateway/client", "gateway/auth", "platform/*", "platform/sandbox/guest", "internal/*"},
		tests: []string{"*", "*/*", "*/*/*"}},
}

// vendors lists the vendor SDKs that may be named only in the folders beside them.
var vendors = map[string][]string{
	"cloud.google.com/go/pubsub":    {"events/pubsubbus", "internal/testenv", "cmd/internal/app", "schemas"},
	"cloud.google.com/go/firestore": {"platform/session/firestoresession", "internal/testenv", "cmd/internal/app"},
	"cloud.google.com/go/run":       {"platform/sandbox/cloudrunsandbox", "internal/testenv", "internal/testenv/cloudrunfake", "cmd/internal/app", "cmd/internal/doctor"},
	"cloud.google.com/go/scheduler": {"cmd/internal/app", "cmd/internal/cloudscheduler", "cmd/internal/doctor", "cmd/vibectl", "internal/testenv/schedulerfake"},
	"github.com/redis/go-redis":     {"platform/ratelimit/redislimit", "internal/testenv", "cmd/internal/app"},
	"github.com/jackc/pgx":          {"internal/sqldb", "internal/testenv"},
	"modernc.org/sqlite":            {"internal/sqldb"},
}

// TestArchitecture holds every import in the tree against the table. It reads the source files itself, so that
// `go test` sees them and never answers from a stale cache.
func TestArchitecture(t *testing.T) {
	files := 0
	for _, file := range goFiles(t) {
		folder := path.Dir(file)
		row, ok := roomOf(folder)
		if !ok {
			t.Errorf("%s: folder %q is in no row of the table: add it to docs/architecture.md §4 and to this test", file, folder)
			continue
		}
		files++
		test := strings.HasSuffix(file, "_test.go") || strings.HasSuffix(folder, "test") && !strings.HasPrefix(folder, "internal/")
		for _, imported := range imports(t, file) {
			if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
				if ours != folder && !allowed(row, folder, ours, test) {
					t.Errorf("%s imports %s: docs/architecture.md §4 does not let %q import %q", file, imported, folder, ours)
				}
				continue
			}
			for vendor, homes := range vendors {
				if (imported == vendor || strings.HasPrefix(imported, vendor+"/")) && !matchAny(homes, folder) {
					t.Errorf("%s imports %s: only %s may name it", file, imported, strings.Join(homes, ", "))
				}
			}
		}
	}
	if files < 20 {
		t.Fatalf("read only %d files: the walk is broken", files)
	}
}

// TestEnvironmentIsReadInOnePlace keeps every environment variable in the one file that documents them.
func TestEnvironmentIsReadInOnePlace(t *testing.T) {
	readers := []string{"os.Getenv(", "os.LookupEnv(", "os.Environ("}
	// sandboxd is a program of its own inside a container, whose environment is all that Cloud Run lets a caller set.
	homes := []string{"cmd/internal/app/config*.go", "cmd/sandboxd/config.go", "internal/testenv/*.go", "internal/crashpoint/*.go", "*_test.go", "*/*_test.go", "*/*/*_test.go", "*/*/*/*_test.go", "*/*/*/*/*_test.go"}
	for _, file := range goFiles(t) {
		if matchAny(homes, file) {
			continue
		}
		body, err := os.ReadFile(filepath.FromSlash(file))
		if err != nil {
			t.Fatal(err)
		}
		for _, reader := range readers {
			if strings.Contains(string(body), reader) {
				t.Errorf("%s calls %s…): environment variables are read in cmd/internal/app/config.go and nowhere else", file, reader)
			}
		}
	}
}

func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			base := entry.Name()
			if name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules" || base == "bin" || base == "data" || base == "examples") {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".go") {
			files = append(files, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func imports(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(file), nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, spec := range parsed.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}

func roomOf(folder string) (room, bool) {
	for _, row := range rooms {
		if match(row.folder, folder) {
			return row, true
		}
	}
	return room{}, false
}

func allowed(row room, folder, imported string, test bool) bool {
	patterns := row.code
	if test {
		patterns = append(append(append([]string{}, patterns...), row.tests...), testsEverywhere...)
	}
	for _, p := range patterns {
		p = strings.ReplaceAll(p, "{parent}", path.Base(path.Dir(folder)))
		if match(p, imported) {
			return true
		}
	}
	return false
}

func matchAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if match(p, name) {
			return true
		}
	}
	return false
}

func match(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

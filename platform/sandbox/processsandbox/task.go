package processsandbox

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// ownerMark is the variable that says which generation's folder a process belongs to.
const ownerMark = "SANDBOX_DIR"

func (d *Driver) writeTask(p *phase, t sandbox.Task) error {
	return writeFile(p.g.file(p.kind, ".task.json"), sandbox.GuestTask{
		Task: t, Dir: p.g.dir, StatusFile: p.file.path, Listen: "127.0.0.1:0",
		BaseEnv: d.childEnv(p.g), StartTimeout: d.o.StartTimeout,
	})
}

// childEnv is the environment of sandboxd, and the base of what the project's commands see.
func (d *Driver) childEnv(g *generation) map[string]string {
	env := map[string]string{}
	if d.o.CacheDir != "" {
		for name, folder := range map[string]string{
			"GOCACHE": "go-build", "GOMODCACHE": "go-mod", "npm_config_cache": "npm", "YARN_CACHE_FOLDER": "yarn",
			"BUN_INSTALL_CACHE_DIR": "bun", "PIP_CACHE_DIR": "pip", "XDG_CACHE_HOME": "xdg",
		} {
			env[name] = filepath.Join(d.o.CacheDir, folder)
		}
	}
	maps.Copy(env, d.o.BaseEnv)
	env[ownerMark] = g.dir
	return env
}

func environ(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// logLine prints a line as sandboxd prints its own.
func logLine(log io.Writer, text string) {
	fmt.Fprintf(log, "[%s] [system] %s\n", time.Now().UTC().Format(time.RFC3339Nano), text)
}

// logTail returns the last whole lines of a log, at most [sandbox.MaxLogTail] bytes.
func logTail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	start := max(info.Size()-sandbox.MaxLogTail, 0)
	body, err := io.ReadAll(io.NewSectionReader(f, start, sandbox.MaxLogTail))
	if err != nil {
		return ""
	}
	tail := strings.ReplaceAll(strings.ToValidUTF8(string(body), "?"), "\x00", "")
	if _, rest, cut := strings.Cut(tail, "\n"); cut && start > 0 {
		tail = rest
	}
	return tail
}

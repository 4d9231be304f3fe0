package guest

import (
	"maps"
	"path/filepath"
	"slices"

	"vibesdk-gcp/platform/sandbox"
)

// Folders below GuestTask.Dir.
const (
	appFolder  = "app"
	homeFolder = "home"
	tmpFolder  = "tmp"
)

// environment returns all that a command of the project sees, in the order told in the package comment:
// base, defaults, the app's own, and what nothing overrides.
func environment(t sandbox.GuestTask, defaults, fixed map[string]string) []string {
	env := maps.Clone(t.BaseEnv)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, defaults)
	maps.Copy(env, t.Spec.Env)
	maps.Copy(env, fixed)
	env["HOME"] = filepath.Join(t.Dir, homeFolder)
	env["TMPDIR"] = filepath.Join(t.Dir, tmpFolder)
	env["SANDBOX_REF"] = t.Ref.String()
	if t.Spec.ProjectName != "" {
		env["SANDBOX_PROJECT"] = t.Spec.ProjectName
	}
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// batchEnvironment is for commands that run to their end.
func batchEnvironment(t sandbox.GuestTask) []string {
	return environment(t, map[string]string{"CI": "true"}, nil)
}

package testenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// postgresBin returns the folder that holds postgres and initdb.
func postgresBin() (string, error) {
	var dirs []string
	if found, err := exec.LookPath("postgres"); err == nil {
		if target, err := filepath.EvalSymlinks(found); err == nil {
			dirs = append(dirs, filepath.Dir(target)) // initdb is often beside the real file only
		}
		dirs = append(dirs, filepath.Dir(found))
	}
	if out, err := ask("pg_config", "--bindir"); err == nil {
		dirs = append(dirs, out)
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",                                           // Debian, Ubuntu
		"/usr/pgsql-*/bin",                                                    // Red Hat
		"/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin", // Homebrew
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/usr/local/pgsql/bin",
	} {
		dirs = append(dirs, newestFirst(pattern)...)
	}
	for _, dir := range dirs {
		if isFile(filepath.Join(dir, "postgres")) && isFile(filepath.Join(dir, "initdb")) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("%w: no postgres and initdb in PATH or the usual folders; install PostgreSQL or set TEST_POSTGRES_URL", errMissing)
}

// pubsubEmulator returns the java program and the emulator's jar.
func pubsubEmulator() (java, jar string, err error) {
	return sdkEmulator("pubsub-emulator", "PUBSUB_EMULATOR_HOST", "platform", "pubsub-emulator", "lib", "cloud-pubsub-emulator-*-all.jar")
}

// sdkEmulator returns the java program and the jar of an emulator: a component of the Google Cloud SDK whose path below the
// SDK's root is a pattern. variable is what names a running one instead.
func sdkEmulator(component, variable string, path ...string) (java, jar string, err error) {
	pattern := filepath.Join(path...)
	java, err = exec.LookPath("java")
	if home := os.Getenv("JAVA_HOME"); home != "" && isFile(filepath.Join(home, "bin", "java")) {
		java, err = filepath.Join(home, "bin", "java"), nil
	}
	if err != nil {
		return "", "", fmt.Errorf("%w: no java in PATH or JAVA_HOME; install a Java runtime or set %s", errMissing, variable)
	}
	roots := []string{os.Getenv("CLOUDSDK_ROOT_DIR")}
	if gcloud, err := exec.LookPath("gcloud"); err == nil {
		if target, err := filepath.EvalSymlinks(gcloud); err == nil {
			roots = append(roots, filepath.Dir(filepath.Dir(target)))
		}
	}
	home, err := os.UserHomeDir()
	if err == nil {
		roots = append(roots, filepath.Join(home, "google-cloud-sdk"))
	}
	roots = append(roots, "/usr/lib/google-cloud-sdk", "/usr/share/google-cloud-sdk", "/usr/local/google-cloud-sdk",
		"/opt/google-cloud-sdk", "/google-cloud-sdk", "/snap/google-cloud-sdk/current",
		"/opt/homebrew/share/google-cloud-sdk", "/usr/local/share/google-cloud-sdk")
	if jar := emulatorJar(roots, pattern); jar != "" {
		return java, jar, nil
	}
	// Asking gcloud takes a second of Python, so it is asked last: it knows roots that are in none of the usual places.
	if out, err := ask("gcloud", "info", "--format=value(installation.sdk_root)"); err == nil {
		if jar := emulatorJar([]string{out}, pattern); jar != "" {
			return java, jar, nil
		}
	}
	return "", "", fmt.Errorf("%w: no Google Cloud SDK holds the emulator; run `gcloud components install %s` or set %s", errMissing, component, variable)
}

// ask returns the one line that a program prints.
func ask(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	return strings.TrimSpace(string(out)), err
}

func emulatorJar(roots []string, pattern string) string {
	for _, root := range roots {
		if root == "" {
			continue
		}
		jars := newestFirst(filepath.Join(root, pattern))
		if len(jars) > 0 {
			return jars[0]
		}
	}
	return ""
}

// newestFirst expands a pattern and puts the highest version numbers first: 16 before 9.6.
func newestFirst(pattern string) []string {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	slices.SortFunc(found, func(a, b string) int { return slices.Compare(numbers(b), numbers(a)) })
	return found
}

// numbers lists the runs of digits in a path.
func numbers(path string) []int {
	var list []int
	for _, field := range strings.FieldsFunc(path, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(field); err == nil {
			list = append(list, n)
		}
	}
	return list
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

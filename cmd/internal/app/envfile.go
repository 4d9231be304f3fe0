package app

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strings"
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ReadConfigFile reads a configuration from a file with a NAME=value on each line. Nothing is special in a value, quotes neither; empty
// lines and those that begin with # say nothing. The environment of this process does not count.
func ReadConfigFile(path string) (Config, error) { return readConfigFile(path, false) }

// readConfigFile may refuse a file that names another.
func readConfigFile(path string, last bool) (Config, error) {
	file, err := os.Open(path)
	if err != nil {
		return Config{}, err
	}
	defer file.Close()
	values := map[string]string{}
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !ok || !variableName.MatchString(name) { // the value may be a secret
			return Config{}, fmt.Errorf("%s: line %d is not NAME=value", path, n)
		}
		if _, twice := values[name]; twice {
			return Config{}, fmt.Errorf("%s: line %d sets %s again", path, n, name)
		}
		values[name] = strings.TrimSpace(value)
	}
	if err := lines.Err(); err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	if values["CANARY_ENV_FILE"] != "" && last {
		return Config{}, fmt.Errorf("%s: CANARY_ENV_FILE has no use here: there are two providers at most", path)
	}
	c, err := ReadConfig(func(name string) (string, bool) { v, ok := values[name]; return v, ok })
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

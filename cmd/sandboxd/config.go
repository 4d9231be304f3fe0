//go:build unix

package main

import (
	"fmt"
	"os"
	"strconv"

	"vibesdk-gcp/platform/sandbox/guest"
)

// config is what the machine says about a run, rather than its task.
type config struct {
	// address is where the task is: --task, or SANDBOX_TASK. In a container it is the variable, because arguments of a process
	// can be seen by every other one, and a signed address is a secret.
	address string
	// container says that nobody watches over this process but whoever runs the container.
	container bool
	host      guest.Host
}

// readConfig reads the environment of a container: SANDBOX_TASK, and what Cloud Run sets, PORT in services and
// CLOUD_RUN_EXECUTION in jobs. With --task none of it counts.
func readConfig(flag string) (config, error) {
	if flag != "" {
		return config{address: flag}, nil
	}
	c := config{address: os.Getenv("SANDBOX_TASK"), container: true}
	if c.address == "" {
		return c, fmt.Errorf("neither --task nor SANDBOX_TASK names a task")
	}
	if port := os.Getenv("PORT"); port != "" {
		var err error
		if c.host.Port, err = strconv.Atoi(port); err != nil || c.host.Port < 1 || c.host.Port > 65535 {
			return c, fmt.Errorf("PORT %q is not a port", port)
		}
	}
	c.host.Owner = os.Getenv("CLOUD_RUN_EXECUTION")
	var err error
	c.host.Dir, err = os.Getwd()
	return c, err
}

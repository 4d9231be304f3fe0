package app

import (
	"fmt"
	"os"
	"strings"

	"vibesdk-gcp/gateway/client"
)

// Connect makes a client of the server that flags and environment name; flags win. It does not connect yet.
func Connect(addr, keyFile string, o client.Options) (*client.Client, error) {
	config, err := ClientConfigFromEnvironment()
	if err != nil {
		return nil, err
	}
	if addr != "" {
		config.Addr = addr
	}
	if keyFile != "" {
		key, err := os.ReadFile(keyFile)
		if err != nil {
			return nil, fmt.Errorf("--api-key-file: %w", err)
		}
		config.APIKey = strings.TrimSpace(string(key))
	}
	if !strings.Contains(config.Addr, "://") {
		config.Addr = "http://" + config.Addr
	}
	o.APIKey = config.APIKey
	return client.New(config.Addr, o)
}

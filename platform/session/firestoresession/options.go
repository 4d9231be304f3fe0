package firestoresession

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"
)

// Options configure a [Driver]. Project is required; the zero value of every other field means the default named
// beside it.
type Options struct {
	// Project is the Google Cloud project id.
	Project string
	// Database is the id of a Firestore database in native mode. Defaults to "(default)".
	Database string
	// Endpoint is the host:port of an emulator, reached without TLS and credentials. Empty is the service
	// itself, with application default credentials.
	Endpoint string
	// Prefix is put before the names of the collections, so that several installations can share a database.
	Prefix string
	// Timeout bounds each call to the service, and the time that a watch waits for its first answer. Defaults to 15 s.
	Timeout time.Duration
	// Connections is how many connections carry reads and writes, each at most 100 at a time. Watches have connections of
	// their own, which are opened as needed. Defaults to 4.
	Connections int
	// Logger gets a warning when a watch is interrupted and when something could not be cleaned up. Defaults to slog.Default().
	Logger *slog.Logger

	// dial is for tests that interfere with calls.
	dial []grpc.DialOption
}

func (o Options) withDefaults() Options {
	if o.Database == "" {
		o.Database = "(default)"
	}
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Second
	}
	if o.Connections == 0 {
		o.Connections = 4
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

func (o Options) check() error {
	var faults []error
	if o.Project == "" {
		faults = append(faults, errors.New("project is empty"))
	}
	if o.Timeout < 0 {
		faults = append(faults, fmt.Errorf("timeout is %s, it must be positive", o.Timeout))
	}
	if o.Connections < 1 || o.Connections > 1000 {
		faults = append(faults, fmt.Errorf("connections is %d, it must be 1 to 1000", o.Connections))
	}
	if escape(o.Prefix) != o.Prefix && o.Prefix != "" {
		faults = append(faults, fmt.Errorf("prefix %q cannot be the beginning of a collection's name", o.Prefix))
	}
	return errors.Join(faults...)
}

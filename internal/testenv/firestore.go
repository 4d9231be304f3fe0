package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Firestore returns the host:port of the official Firestore emulator and a project of its own for the test. The
// documents of the project's default database are deleted when t ends: the emulator keeps everything in memory.
// See the package comment for where the emulator comes from and when the test is skipped.
func Firestore(t testing.TB) (endpoint, project string) {
	t.Helper()
	skipShort(t, "Firestore emulator")
	endpoint, err := firestoreServer()
	require(t, "Firestore emulator", err)

	project = "test-" + randomHex(8)
	t.Cleanup(func() {
		if err := deleteDocuments(endpoint, project); err != nil {
			t.Errorf("Firestore emulator: delete what the test made: %v", err)
		}
	})
	return endpoint, project
}

// firestoreServer finds or starts the emulator of this test binary.
var firestoreServer = sync.OnceValues(func() (string, error) {
	if endpoint := os.Getenv("FIRESTORE_EMULATOR_HOST"); endpoint != "" {
		return endpoint, nil
	}
	java, jar, err := firestoreEmulator()
	if err != nil {
		return "", err
	}
	for try := 1; ; try++ {
		endpoint, err := tryFirestore(java, jar)
		if err == nil {
			return endpoint, nil
		}
		if try == startTries {
			return "", fmt.Errorf("start %s: %w", jar, err)
		}
	}
})

// firestoreEmulator returns the java program and the emulator's jar.
func firestoreEmulator() (java, jar string, err error) {
	return sdkEmulator("cloud-firestore-emulator", "FIRESTORE_EMULATOR_HOST", "platform", "cloud-firestore-emulator", "cloud-firestore-emulator.jar")
}

func tryFirestore(java, jar string) (endpoint string, err error) {
	var self *account
	dir, err := self.tempDir()
	if err != nil {
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	// The jar names no main class. The emulator's messages come in the language of the machine unless told otherwise.
	server, err := startOwned(dir, self, "KILL", java, "-Duser.language=en", "-cp", jar,
		"com.google.cloud.datastore.emulator.firestore.CloudFirestore", "start", "--host", "127.0.0.1", "--port", strconv.Itoa(port))
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	if err := server.await(startTimeout, func() bool { return strings.Contains(server.log(), "Dev App Server is now running") }); err != nil {
		return "", errors.Join(err, server.stop())
	}
	endpoint = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	emulators.Store(endpoint, server)
	return endpoint, nil
}

// deleteDocuments empties the default database of a project, by a call that only the emulator knows.
func deleteDocuments(endpoint, project string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	url := "http://" + endpoint + "/emulator/v1/projects/" + project + "/databases/(default)/documents"
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, url, http.NoBody)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true} // an idle connection is a goroutine that goleak sees
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(response.Body, 1000))
		return errors.Join(fmt.Errorf("%s: %s", response.Status, body), err)
	}
	return nil
}

package testenv

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pubsub "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/jackc/pgx/v5"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// ownerMode makes this test binary a program that uses a back end and then waits to be killed, or exits.
const ownerMode = "TESTENV_OWNER"

func TestMain(m *testing.M) {
	if mode := os.Getenv(ownerMode); mode != "" {
		os.Exit(own(mode))
	}
	os.Exit(m.Run())
}

func own(mode string) int {
	server, exit := strings.CutSuffix(mode, "+exit")
	address := ""
	switch server {
	case "postgres":
		found, err := postgresServer()
		if err != nil {
			fmt.Println(err)
			return 1
		}
		address = found.Host
	case "pubsub":
		found, err := pubsubServer()
		if err != nil {
			fmt.Println(err)
			return 1
		}
		address = found
	case "firestore":
		found, err := firestoreServer()
		if err != nil {
			fmt.Println(err)
			return 1
		}
		address = found
	case "workerd":
		tools, err := workerdOnce()
		if err != nil {
			fmt.Println(err)
			return 1
		}
		w := &WorkerServer{tools: tools, spec: WorkerSpec{Entry: bridgeDir + "/test/tenant.ts"}}
		if err := w.start(); err != nil {
			fmt.Println(err)
			return 1
		}
		address = fmt.Sprintf("127.0.0.1:%d", w.port)
	}
	fmt.Println(address)
	if !exit {
		select {}
	}
	return 0
}

// TestServerDiesWithItsOwner starts a second test binary, ends it in the two ways that run no cleanup code, and waits for
// the server and its files to go.
func TestServerDiesWithItsOwner(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"postgres", "pubsub", "firestore"} {
		for _, exit := range []string{"", "+exit"} {
			t.Run(server+exit, func(t *testing.T) {
				t.Parallel()
				skipShort(t, server)
				switch server {
				case "postgres":
					_, err := postgresBin()
					require(t, "PostgreSQL", err)
				case "pubsub":
					_, _, err := pubsubEmulator()
					require(t, "Pub/Sub emulator", err)
				case "firestore":
					_, _, err := firestoreEmulator()
					require(t, "Firestore emulator", err)
				}
				temp := openTempDir(t)
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), ownerMode+"="+server+exit, "TMPDIR="+temp, "TEST_POSTGRES_URL=", "PUBSUB_EMULATOR_HOST=", "FIRESTORE_EMULATOR_HOST=")
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				address, err := bufio.NewReader(out).ReadString('\n')
				if err != nil {
					t.Fatalf("the owner said nothing: %v", err)
				}
				address = strings.TrimSpace(address)
				if exit == "" {
					if conn, err := net.Dial("tcp", address); err != nil {
						t.Fatalf("server of a living owner: %v", err)
					} else {
						conn.Close()
					}
					if err := cmd.Process.Kill(); err != nil {
						t.Fatal(err)
					}
				}
				if err := cmd.Wait(); (err == nil) != (exit != "") {
					t.Fatalf("the owner ended with %v", err)
				}
				eventually(t, "nothing listens on "+address, func() bool {
					conn, err := net.Dial("tcp", address)
					if err == nil {
						conn.Close()
					}
					return err != nil
				})
				eventually(t, "the server's files are gone", func() bool {
					left, err := filepath.Glob(filepath.Join(temp, "*"))
					return err == nil && len(left) == 0
				})
			})
		}
	}
}

func TestPostgresIsFreshAndDurable(t *testing.T) {
	t.Parallel()
	for i := range 2 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			conn, err := pgx.Connect(t.Context(), Postgres(t))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(context.WithoutCancel(t.Context()))
			// The same name in both subtests, which run at once: it fails if they share a database.
			if _, err := conn.Exec(t.Context(), "CREATE TABLE mine (id int)"); err != nil {
				t.Fatal(err)
			}
			if os.Getenv("TEST_POSTGRES_URL") != "" {
				return // somebody else's settings
			}
			for name, want := range map[string]string{
				"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
				"max_connections": "200", "listen_addresses": "127.0.0.1", "unix_socket_directories": "",
			} {
				var got string
				if err := conn.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&got); err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestPostgresDatabaseIsDroppedWhileConnected(t *testing.T) {
	t.Parallel()
	var address string
	t.Run("user", func(t *testing.T) {
		address = Postgres(t)
		conn, err := pgx.Connect(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn // left open, as by a test that failed half way
	})
	if address == "" {
		t.Skip("skipped above")
	}
	if _, err := pgx.Connect(t.Context(), address); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("connect after the test: %v, want: database does not exist", err)
	}
}

func TestPubSubProjectsAreSeparateAndDeleted(t *testing.T) {
	t.Parallel()
	var endpoint string
	projects := make([]string, 2)
	t.Run("users", func(t *testing.T) {
		for i := range projects {
			endpoint, projects[i] = PubSub(t)
			createTopic(t, endpoint, projects[i]) // the same name in both: AlreadyExists if they share a project
		}
	})
	if endpoint == "" {
		t.Skip("skipped above")
	}
	for _, project := range projects {
		if got := topics(t, endpoint, project); got != 0 {
			t.Errorf("project %s has %d topics after its test, want 0", project, got)
		}
	}
}

func createTopic(t *testing.T, endpoint, project string) {
	t.Helper()
	name := "projects/" + project + "/topics/mine"
	if _, err := topicAdmin(t, endpoint).CreateTopic(t.Context(), &pubsubpb.Topic{Name: name}); err != nil {
		t.Fatal(err)
	}
}

func topics(t *testing.T, endpoint, project string) int {
	t.Helper()
	list := topicAdmin(t, endpoint).ListTopics(t.Context(), &pubsubpb.ListTopicsRequest{Project: "projects/" + project})
	for n := 0; ; n++ {
		if _, err := list.Next(); errors.Is(err, iterator.Done) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func topicAdmin(t *testing.T, endpoint string) *pubsub.TopicAdminClient {
	t.Helper()
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	client, err := pubsub.NewTopicAdminClient(t.Context(), option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// openTempDir is t.TempDir for files of another user: t.TempDir is inside a folder that only this one enters.
func openTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "testenv-test-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// eventually waits for a fact about other processes, which nothing signals.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("after 30 s it still does not hold that %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

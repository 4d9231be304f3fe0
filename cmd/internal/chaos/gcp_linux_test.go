package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/url"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/chaos"
	"vibesdk-gcp/internal/testenv"
	"vibesdk-gcp/internal/testenv/cloudrunfake"
)

// TestChaosOnGoogleCloud lets everything go wrong in an installation as on Google Cloud: sessions in Firestore, whose emulator keeps all
// in memory and is therefore frozen and cut off, never killed; Cloud Run and its bucket, a fake that fails and loses answers; Postgres and
// Redis, which are real.
//
// The bus is on Postgres. The emulator of Pub/Sub sends what was with an ended stream to that stream again, for many minutes, and does
// not keep the order of its key (see events/pubsubbus): every finding would be about the emulator.
func TestChaosOnGoogleCloud(t *testing.T) {
	t.Parallel()
	w := begin(t)
	postgres := testenv.NewPostgresServer(t)
	redis := testenv.NewRedisServer(t, "--appendonly", "yes", "--appendfsync", "everysec")
	firestore, project := testenv.Firestore(t)
	w.backends = []*backend{
		{name: "Postgres", kill: postgres.Kill, start: postgres.Start},
		{name: "Redis", kill: redis.Kill, start: redis.Start, pause: redis.Pause, resume: redis.Resume},
		emulator("Firestore", firestore),
	}
	cloud := newCloud(t)
	w.hostile = append(w.hostile, cloud.hurt)
	w.heal = func() { cloud.server.Heal(); cloud.storage.Heal() }
	base := w.base()
	maps.Copy(base, map[string]string{
		"RUNTIME_PROVIDER": "gcp", "BUS_BACKEND": "sql", "CLOUD_RUN": "fake", "SANDBOXD": testenv.Program(t, "sandboxd", "crashpoint,faults"),
		"DATABASE_URL":              postgres.URL(w.network.to(t, "Postgres", postgres.Address())),
		"REDIS_URL":                 "redis://" + w.network.to(t, "Redis", redis.Address()),
		"FIRESTORE_EMULATOR_HOST":   w.network.to(t, "Firestore", firestore),
		"FIRESTORE_PROJECT":         project,
		"CLOUD_RUN_EMULATOR_HOST":   w.network.to(t, "Cloud Run", cloud.server.Address()),
		"CLOUD_RUN_EMULATOR_BUCKET": cloud.bucketBy(func(host string) string { return w.network.to(t, "bucket", host) }),
	})
	own := func(more map[string]string) map[string]string {
		env := map[string]string{"DATA_DIR": t.TempDir()}
		maps.Copy(env, more)
		return env
	}
	for n := range 2 {
		door := testenv.Address(t)
		w.gateways = append(w.gateways, door)
		w.fleet.add(fmt.Sprint("gateway", n), base, own(map[string]string{"LISTEN": door}), "gateway")
		w.fleet.add(fmt.Sprint("statewriter", n), base, own(nil), "statewriter")
		w.fleet.add(fmt.Sprint("sandboxrunner", n), base, own(nil), "sandboxrunner")
	}
	side := testenv.Address(t)
	w.routers = []string{side}
	w.fleet.add("router", base, own(map[string]string{"LISTEN": side}), "router", "deadletters")
	w.fleet.add("callbackrunner", base, own(nil), "callbackrunner")
	w.fleet.add("janitor", base, own(nil), "janitor", "ticker")

	db := database(t, postgres)
	w.look = func(ctx context.Context, f *chaos.Final) error {
		if err := errors.Join(cloud.look(ctx, f), waiting(ctx, db, f)); err != nil {
			return err
		}
		return w.leftInSQL(ctx, db, f)
	}
	w.run(length(t))
}

// emulator is one that can be frozen, if it is not somebody else's.
func emulator(name, endpoint string) *backend {
	signal := func(send func(string) error) func() error {
		return func() error {
			if err := send(endpoint); !errors.Is(err, testenv.ErrNotOurs) {
				return err
			}
			return nil
		}
	}
	return &backend{name: name, pause: signal(testenv.PauseEmulator), resume: signal(testenv.ResumeEmulator)}
}

// cloud is the fake of Cloud Run and its bucket, which live in this process as they would in Google's.
type cloud struct {
	server  *cloudrunfake.Server
	storage *cloudrunfake.Storage
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	storage, err := cloudrunfake.NewStorage(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { storage.Close() })
	server, err := cloudrunfake.New(cloudrunfake.Options{
		Programs:         map[string]string{"sandbox": testenv.Program(t, "sandboxd", "crashpoint,faults")},
		OperationLatency: 50 * time.Millisecond, Grace: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	if err := server.Job("vibesdk-sandbox-job", "sandbox"); err != nil {
		t.Fatal(err)
	}
	return &cloud{server, storage}
}

// bucketBy is the address of the bucket by another way.
func (c *cloud) bucketBy(way func(host string) string) string {
	u, err := url.Parse(c.storage.Address())
	if err != nil {
		return err.Error()
	}
	u.Host = way(u.Host)
	return u.String()
}

// hurt lets calls of Cloud Run and of the bucket fail, before and after they had their effect, or lose their answer.
func (c *cloud) hurt(ctx context.Context, rng *rand.Rand) error {
	methods := []string{
		"RunJob", "ListExecutions", "GetExecution", "CancelExecution", "DeleteExecution", "CreateService", "GetService", "UpdateService", "DeleteService", "ListServices",
	}
	objects := []string{
		"PUT build.json", "PUT snapshot.tar.zst", "GET build.task.json", "PUT build.claim.json", "PUT build.run.json", "PUT serve.ready.json", "PUT serve.json", "DELETE build.json", "LIST ",
	}
	kinds := []cloudrunfake.FaultKind{cloudrunfake.Before, cloudrunfake.After, cloudrunfake.Lost}
	for ctx.Err() == nil {
		pause(ctx, millis(rng, 50, 300))
		f := cloudrunfake.Fault{Nth: 1 + rng.IntN(3), Kind: kinds[rng.IntN(len(kinds))]}
		if rng.IntN(3) == 0 {
			f.Method = objects[rng.IntN(len(objects))]
			c.storage.Inject(f)
			continue
		}
		f.Method = methods[rng.IntN(len(methods))]
		c.server.Inject(f)
	}
	return nil
}

// look finds what is left of sandboxes.
func (c *cloud) look(ctx context.Context, f *chaos.Final) error {
	for _, s := range c.server.Services() {
		f.Orphans = append(f.Orphans, "service "+s.GetName())
	}
	for _, e := range c.server.Executions() {
		if e.GetCompletionTime() == nil && e.GetDeleteTime() == nil {
			f.Orphans = append(f.Orphans, "running execution "+e.GetName())
		}
	}
	for objects := c.storage.List(nil); ; {
		o, err := objects.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		body, err := c.storage.ReadAll(ctx, o.Key)
		if err != nil {
			return err
		}
		if string(body) != "{}" { // a grave: the name of a generation that ended is never used again
			f.Orphans = append(f.Orphans, "object "+o.Key)
		}
	}
}

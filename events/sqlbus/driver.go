package sqlbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"go.opentelemetry.io/otel/metric"
	"golang.org/x/sync/semaphore"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/sqldb"
)

// Options configure a [Driver]. The zero value works.
type Options struct {
	// Subscriptions that exist on this bus. Defaults to events.Subscriptions().
	Subscriptions []events.Subscription
	// Lease is how long what a dead process held stays out of reach. Defaults to 10 s, at least 100 ms. All
	// processes on one database should agree on it.
	Lease time.Duration
	// Logger gets the trouble that the driver mends by itself. Defaults to slog.Default().
	Logger *slog.Logger
	// MeterProvider makes the gauges of what waits. Nil makes none.
	MeterProvider metric.MeterProvider
}

const (
	// channel is the sqldb channel that says that something became ready.
	channel = "vibesdk_bus"
	// maxQueued bounds the bytes of publications that wait for their turn.
	maxQueued = 64 << 20
	// maxHeld bounds the bytes of messages that one Receive holds, beyond the first.
	maxHeld = 128 << 20
	// maxRun bounds the bytes of one run, beyond the first message.
	maxRun = 16 << 20
	// registerFor is how long a program that starts waits for a database that is busy.
	registerFor = 15 * time.Second
	// pollEvery is how often consumers look although nothing woke them.
	pollEvery = 2 * time.Second
)

// Driver implements [events.Driver]. It is safe for concurrent use.
type Driver struct {
	db    *sqldb.DB
	q     *queries
	log   *slog.Logger
	lease time.Duration

	subs   map[string]*subscription   // by name
	topics map[string][]*subscription // by topic name

	queue   *semaphore.Weighted
	writer  *writer
	owners  *owners
	gauges  metric.Registration // nil without a meter
	closing sync.Once
	closed  error
}

// subscription is a registered subscription. Below dirty, only the writer's goroutine touches it.
type subscription struct {
	id      int64
	name    string
	ordered bool

	// dirty: there may be lanes ready to claim.
	dirty bool
	// nextDue is when the next delayed lane may become ready, in microseconds; 0: none is known.
	nextDue int64
	// delayedFirst alternates, so that neither retries nor fresh messages starve.
	delayedFirst bool
}

// New opens the bus on a migrated database, registers the subscriptions and frees what dead processes of this
// machine held. The database stays the caller's to close, after the driver.
func New(ctx context.Context, db *sqldb.DB, o Options) (*Driver, error) {
	if o.Subscriptions == nil {
		o.Subscriptions = events.Subscriptions()
	}
	if o.Lease == 0 {
		o.Lease = 10 * time.Second
	}
	if o.Lease < 100*time.Millisecond {
		return nil, fmt.Errorf("bus: lease is %s, the least is 100ms", o.Lease)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	d := &Driver{
		db: db, log: o.Logger, lease: o.Lease,
		subs: map[string]*subscription{}, topics: map[string][]*subscription{},
		queue: semaphore.NewWeighted(maxQueued),
	}
	var err error
	if d.q, err = prepare(ctx, db); err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	if err := d.register(ctx, o.Subscriptions); err != nil {
		return nil, fmt.Errorf("bus: %w", errors.Join(err, d.q.close()))
	}
	if d.owners, err = openOwners(d); err != nil {
		return nil, fmt.Errorf("bus: %w", errors.Join(err, d.q.close()))
	}
	if o.MeterProvider != nil {
		if d.gauges, err = d.observe(o.MeterProvider); err != nil {
			return nil, fmt.Errorf("bus: %w", errors.Join(err, d.owners.close(), d.q.close()))
		}
	}
	d.owners.reap(ctx)
	d.writer = startWriter(d)
	d.owners.start()
	return d, nil
}

// register makes the rows of the subscriptions and reads their ids.
func (d *Driver) register(ctx context.Context, subs []events.Subscription) error {
	for _, s := range subs {
		// SQLite does not wait for whoever recovers the file after a crash, as programs do that start together.
		insert := func() error {
			_, err := d.q.register.ExecContext(ctx, s.Name, s.Topic.Name)
			if err != nil && !sqldb.IsTransient(err) {
				err = backoff.Permanent(err)
			}
			return err
		}
		patience := backoff.NewExponentialBackOff(backoff.WithInitialInterval(10*time.Millisecond), backoff.WithMaxElapsedTime(registerFor))
		if err := backoff.Retry(insert, backoff.WithContext(patience, ctx)); err != nil {
			return fmt.Errorf("register subscription %s: %w", s.Name, err)
		}
		known := &subscription{name: s.Name, ordered: s.Topic.Ordered, dirty: true}
		var topic string
		if err := d.q.registered.QueryRowContext(ctx, s.Name).Scan(&known.id, &topic); err != nil {
			return fmt.Errorf("register subscription %s: %w", s.Name, err)
		}
		if topic != s.Topic.Name {
			return fmt.Errorf("subscription %s is stored for topic %s, not %s", s.Name, topic, s.Topic.Name)
		}
		if d.subs[s.Name] != nil {
			return fmt.Errorf("subscription %s is given twice", s.Name)
		}
		d.subs[s.Name] = known
		d.topics[s.Topic.Name] = append(d.topics[s.Topic.Name], known)
	}
	return nil
}

// Close stops the writer. Publications that wait for their turn fail with [events.ErrClosed].
func (d *Driver) Close() error {
	d.closing.Do(func() {
		var gauges error
		if d.gauges != nil {
			gauges = d.gauges.Unregister()
		}
		d.owners.stop()
		d.writer.stop()
		d.closed = errors.Join(gauges, d.owners.close(), d.q.close())
	})
	return d.closed
}

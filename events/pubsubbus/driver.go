package pubsubbus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"
	vkit "cloud.google.com/go/pubsub/v2/apiv1"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"vibesdk-gcp/events"
)

// Options configure a [Driver]. Project is required; the zero value of every other field means the default named
// beside it.
type Options struct {
	// Project is the Google Cloud project id.
	Project string
	// Endpoint is the host:port of an emulator, reached without TLS and credentials. Empty is the service
	// itself, with application default credentials.
	Endpoint string
	// Region publishes and receives through one region's endpoint (`us-central1`). Pub/Sub keeps the order of a key only
	// among messages that were published in the same region, so set it when publishers run in several. Empty
	// is the global endpoint, which takes the nearest region. It is not used with Endpoint.
	Region string
	// Prefix is put before the name of every topic, schema and subscription, so that several installations can share a
	// project.
	Prefix string

	// Topics and Subscriptions are what [Driver.EnsureResources] makes. Default to the topic table.
	Topics        []events.Topic
	Subscriptions []events.Subscription
	// Schemas holds the files that Topic.Schema names. Nil registers none: payloads are then checked by publishers only.
	Schemas fs.FS

	// Lease is how long after the death of a consumer its messages come again, 10 s to 600 s. It is renewed
	// while they are held. Defaults to 30 s.
	Lease time.Duration
	// HoldLimit is the longest that a delayed message of an unordered topic waits in memory before it may be
	// published again to wait in the broker. Defaults to 30 s.
	HoldLimit time.Duration
	// MaxOutstandingBytes bounds the payloads that one Receive holds. About as much again is on its way in the
	// client. Defaults to 64 MiB.
	MaxOutstandingBytes int
	// Push names the subscriptions that Pub/Sub pushes to [Driver.PushHandler]; the others are pulled.
	Push []string
	// PushDeadline is the ack deadline of those, after which Pub/Sub ends a request, 10 s to 600 s. Defaults to 600 s, the most that
	// Pub/Sub allows. An attempt of the handler must fit in.
	PushDeadline time.Duration
	// PushURL is where Pub/Sub reaches the handler, like http://127.0.0.1:8787: [Driver.EnsureResources] makes push subscriptions to it.
	PushURL string
	// Logger gets a warning when the driver has to do something the second best way. Defaults to slog.Default().
	Logger *slog.Logger
}

// Limits of Options.Lease, which are Pub/Sub's for an ack deadline.
const (
	minLease = 10 * time.Second
	maxLease = 600 * time.Second
)

func (o Options) withDefaults() Options {
	if o.Topics == nil {
		o.Topics = events.Topics()
	}
	if o.Subscriptions == nil {
		o.Subscriptions = events.Subscriptions()
	}
	if o.Lease == 0 {
		o.Lease = 30 * time.Second
	}
	if o.HoldLimit == 0 {
		o.HoldLimit = 30 * time.Second
	}
	if o.MaxOutstandingBytes == 0 {
		o.MaxOutstandingBytes = 64 << 20
	}
	if o.PushDeadline == 0 {
		o.PushDeadline = maxLease
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
	if o.Lease < minLease || o.Lease > maxLease {
		faults = append(faults, fmt.Errorf("lease is %s, it must be %s to %s", o.Lease, minLease, maxLease))
	}
	if o.PushDeadline < minLease || o.PushDeadline > maxLease {
		faults = append(faults, fmt.Errorf("push deadline is %s, it must be %s to %s", o.PushDeadline, minLease, maxLease))
	}
	if o.HoldLimit < 0 {
		faults = append(faults, fmt.Errorf("hold limit is %s, it must be positive", o.HoldLimit))
	}
	if o.MaxOutstandingBytes < 0 {
		faults = append(faults, fmt.Errorf("max outstanding bytes is %d, it must be positive", o.MaxOutstandingBytes))
	}
	return errors.Join(faults...)
}

// Driver is an [events.Driver] on Google Cloud Pub/Sub. It is safe for concurrent use.
type Driver struct {
	o       Options
	client  *pubsub.Client
	schemas *vkit.SchemaClient
	keys    keyLocks
	running receivers

	mu         sync.Mutex
	publishers map[string]*pubsub.Publisher
	closed     bool
}

var _ events.Driver = (*Driver)(nil)

// New connects to Pub/Sub. It does not check that the service answers or that topics exist; see
// [Driver.EnsureResources]. The error wraps [events.ErrInvalid] and lists every fault when it is the options'.
func New(ctx context.Context, o Options) (*Driver, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("pubsub: options %w: %w", events.ErrInvalid, err)
	}
	var connect []option.ClientOption
	switch {
	case o.Endpoint != "":
		connect = []option.ClientOption{
			option.WithEndpoint(o.Endpoint),
			option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		}
	case o.Region != "":
		connect = []option.ClientOption{option.WithEndpoint(o.Region + "-pubsub.googleapis.com:443")}
	}
	client, err := pubsub.NewClient(ctx, o.Project, connect...)
	if err != nil {
		return nil, fmt.Errorf("pubsub: %w", err)
	}
	schemas, err := vkit.NewSchemaClient(ctx, connect...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pubsub: %w", err), client.Close())
	}
	return &Driver{o: o, client: client, schemas: schemas, publishers: map[string]*pubsub.Publisher{}}, nil
}

// Close waits for publications on their way, which take at most a minute, and disconnects.
func (d *Driver) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	publishers := d.publishers
	d.mu.Unlock()

	var stopping sync.WaitGroup
	for _, p := range publishers {
		stopping.Go(p.Stop)
	}
	stopping.Wait()
	return errors.Join(d.client.Close(), d.schemas.Close())
}

func (d *Driver) topicName(name string) string {
	return "projects/" + d.o.Project + "/topics/" + d.o.Prefix + name
}

func (d *Driver) subscriptionName(name string) string {
	return "projects/" + d.o.Project + "/subscriptions/" + d.o.Prefix + name
}

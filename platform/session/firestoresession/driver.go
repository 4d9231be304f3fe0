package firestoresession

import (
	"context"
	"errors"
	"fmt"

	vkit "cloud.google.com/go/firestore/apiv1"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"vibesdk-gcp/platform/session"
)

// Names of the collections, behind Options.Prefix.
const (
	sessionCollection = "agentSessions"
	chunkCollection   = "agentSessionChunks"
	uploadCollection  = "agentSessionUploads"
)

// Driver is a [session.Driver] on Cloud Firestore. It is safe for concurrent use, in any number of processes.
type Driver struct {
	o         Options
	client    *vkit.Client
	listeners listeners
	codec     *codec

	database  string // resource name
	documents string // resource name that those of documents begin with
}

var (
	_ session.Driver  = (*Driver)(nil)
	_ session.Cleaner = (*Driver)(nil)
)

// New connects to Firestore. It does not check that the service answers. The error wraps [session.ErrInvalid] and lists every
// fault when it is the options'.
func New(ctx context.Context, o Options) (*Driver, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("firestore: options: %w: %w", session.ErrInvalid, err)
	}
	codec, err := newCodec()
	if err != nil {
		return nil, err
	}
	client, err := connect(ctx, o, o.Connections)
	if err != nil {
		return nil, err
	}
	d := &Driver{o: o, client: client, codec: codec, database: "projects/" + o.Project + "/databases/" + o.Database}
	d.documents = d.database + "/documents"
	d.listeners.dial = func(ctx context.Context) (*vkit.Client, error) { return connect(ctx, o, 1) }
	return d, nil
}

// connect opens a client that sends each call once: see the package comment on errors.
func connect(ctx context.Context, o Options, connections int) (*vkit.Client, error) {
	options := []option.ClientOption{option.WithGRPCConnectionPool(connections), option.WithGRPCDialOption(grpc.WithDisableRetry())}
	if o.Endpoint != "" {
		options = append(options,
			option.WithEndpoint(o.Endpoint),
			option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	}
	for _, dial := range o.dial {
		options = append(options, option.WithGRPCDialOption(dial))
	}
	client, err := vkit.NewClient(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("firestore: %w", err)
	}
	client.CallOptions = &vkit.CallOptions{}
	return client, nil
}

// Close disconnects. Calls under way end with an error.
func (d *Driver) Close() error {
	d.codec.close()
	return errors.Join(d.client.Close(), d.listeners.close())
}

func (d *Driver) sessionName(id string) string { return d.name(sessionCollection, escape(id)) }

func (d *Driver) name(collection, document string) string {
	return d.documents + "/" + d.o.Prefix + collection + "/" + document
}

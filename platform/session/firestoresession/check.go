package firestoresession

import (
	"context"
	"slices"
	"strings"

	admin "cloud.google.com/go/firestore/apiv1/admin"
	"cloud.google.com/go/firestore/apiv1/admin/adminpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/internal/checkup"
)

const terraform = "terraform apply in infra/gcp makes it"

// exempt are the fields that must not be indexed, by collection; see the package comment.
var exempt = map[string][]string{
	sessionCollection: {
		"commit", "version", "initialized", "present", "createdAt", "updatedAt", "expireAt", "alarmAt", "purgeAt", "ring", "parts", "data",
	},
	chunkCollection:  {"data"},
	uploadCollection: {"chunks", "batch"},
}

// Check looks at the database, the index of every field that must have none, and the policy that deletes documents. It changes
// nothing. It needs permission to view indexes, as roles/datastore.viewer has.
func (d *Driver) Check(ctx context.Context) []checkup.Finding {
	about := checkup.About("firestore " + d.database)
	var options []option.ClientOption
	if d.o.Endpoint != "" {
		options = []option.ClientOption{
			option.WithEndpoint(d.o.Endpoint), option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		}
	}
	client, err := admin.NewFirestoreAdminClient(ctx, options...)
	if err != nil {
		about.Fail("", "cannot connect: %v", err)
		return about.Else("")
	}
	defer func() { _ = client.Close() }()                   // everything was read
	client.CallOptions = &admin.FirestoreAdminCallOptions{} // once: a person waits

	ctx, cancel := context.WithTimeout(ctx, d.o.Timeout)
	defer cancel()
	database, err := client.GetDatabase(ctx, &adminpb.GetDatabaseRequest{Name: d.database})
	if err != nil {
		d.unread(about, err)
		return about.Else("")
	}
	if database.GetType() != adminpb.Database_FIRESTORE_NATIVE {
		about.Fail("make a database in native mode", "is in mode %s", database.GetType())
	}
	if database.GetDeleteProtectionState() != adminpb.Database_DELETE_PROTECTION_ENABLED {
		about.Warn("gcloud firestore databases update --database="+d.o.Database+" --delete-protection", "can be deleted by one command")
	}
	found := about.Else("native mode, protected, in %s", database.GetLocationId())
	return append(found, d.checkFields(ctx, client)...)
}

// unread says why something could not be looked at.
func (d *Driver) unread(f *checkup.Findings, err error) {
	switch code := status.Code(err); {
	case d.o.Endpoint != "" && (code == codes.Unimplemented || code == codes.Unavailable || code == codes.Unknown):
		f.Skip("this Firestore cannot be administered: it is an emulator")
	case code == codes.NotFound:
		f.Fail(terraform, "is not there")
	case code == codes.PermissionDenied:
		f.Skip("may not be viewed by this account: it needs roles/datastore.viewer")
	default:
		f.Fail("", "cannot be read: %v", status.Convert(err).Message())
	}
}

func (d *Driver) checkFields(ctx context.Context, client *admin.FirestoreAdminClient) []checkup.Finding {
	indexes, ttl := checkup.About("firestore indexes"), checkup.About("firestore TTL policy")
	for _, collection := range []string{sessionCollection, chunkCollection, uploadCollection} {
		var indexed []string
		for _, name := range exempt[collection] {
			field, err := client.GetField(ctx, &adminpb.GetFieldRequest{
				Name: d.database + "/collectionGroups/" + d.o.Prefix + collection + "/fields/" + name,
			})
			if err != nil {
				d.unread(indexes, err)
				return append(indexes.Else(""), skipped(ttl)...)
			}
			if config := field.GetIndexConfig(); config.GetUsesAncestorConfig() || len(config.GetIndexes()) > 0 {
				indexed = append(indexed, name)
			}
			d.checkTTL(ttl, collection, name, field.GetTtlConfig())
		}
		if len(indexed) > 0 {
			indexes.Warn(terraform, "%s%s: indexed for nothing: %s; each costs write latency and money, and rising times make a hot spot",
				d.o.Prefix, collection, strings.Join(indexed, ", "))
		}
	}
	return slices.Concat(indexes.Else("no field is indexed for nothing"), ttl.Else("deletes agentSessions by purgeAt and nothing else"))
}

func skipped(f *checkup.Findings) []checkup.Finding {
	f.Skip("the fields cannot be read")
	return f.Else("")
}

// checkTTL judges the policy of one field.
func (d *Driver) checkTTL(f *checkup.Findings, collection, name string, config *adminpb.Field_TtlConfig) {
	where := d.o.Prefix + collection
	change := "gcloud firestore fields ttls update " + name + " --database=" + d.o.Database + " --collection-group=" + where
	purge := collection == sessionCollection && name == fieldPurge
	switch {
	case purge && config == nil:
		f.Warn(change+" --enable-ttl", "%s has none on purgeAt: sessions whose time is over go by the janitor's sweep alone", where)
	case purge && config.GetState() == adminpb.Field_TtlConfig_NEEDS_REPAIR:
		f.Warn(change+" --enable-ttl", "that on purgeAt of %s needs repair", where)
	case purge && config.GetState() == adminpb.Field_TtlConfig_CREATING:
		f.Warn("wait", "that on purgeAt of %s is being made", where)
	case !purge && config != nil:
		f.Fail(change+" --disable-ttl", "there is one on %s of %s: it leaves chunks behind, or deletes what is needed", name, where)
	}
}

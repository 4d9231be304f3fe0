package firestoresession

import (
	"context"
	"net"
	"strings"
	"testing"

	"cloud.google.com/go/firestore/apiv1/admin/adminpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/internal/checkup"
	"vibesdk-gcp/internal/testenv"
)

// administration answers as the admin API of Firestore: every field is exempt, purgeAt has a policy, unless changed.
type administration struct {
	adminpb.UnimplementedFirestoreAdminServer

	database *adminpb.Database
	fields   map[string]*adminpb.Field // by collection/field
	err      error
}

func (a *administration) GetDatabase(context.Context, *adminpb.GetDatabaseRequest) (*adminpb.Database, error) {
	return a.database, a.err
}

func (a *administration) GetField(_ context.Context, in *adminpb.GetFieldRequest) (*adminpb.Field, error) {
	_, name, _ := strings.Cut(in.GetName(), "/collectionGroups/")
	if f, ok := a.fields[strings.Replace(name, "/fields/", "/", 1)]; ok {
		return f, nil
	}
	field := &adminpb.Field{Name: in.GetName(), IndexConfig: &adminpb.Field_IndexConfig{}}
	if strings.HasSuffix(in.GetName(), "/p-agentSessions/fields/purgeAt") {
		field.TtlConfig = &adminpb.Field_TtlConfig{State: adminpb.Field_TtlConfig_ACTIVE}
	}
	return field, nil
}

func administer(t *testing.T, a *administration) []checkup.Finding {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	adminpb.RegisterFirestoreAdminServer(server, a)
	go func() { _ = server.Serve(ln) }() // until the test stops it
	t.Cleanup(server.Stop)
	return check(t, Options{Project: "p", Prefix: "p-", Endpoint: ln.Addr().String()})
}

func check(t *testing.T, o Options) []checkup.Finding {
	t.Helper()
	d, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	return d.Check(t.Context())
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := &adminpb.Database{Type: adminpb.Database_FIRESTORE_NATIVE, DeleteProtectionState: adminpb.Database_DELETE_PROTECTION_ENABLED, LocationId: "eur3"}
	inherits := &adminpb.Field{IndexConfig: &adminpb.Field_IndexConfig{UsesAncestorConfig: true}}
	for name, c := range map[string]struct {
		a    administration
		want []string // status: text of detail or fix
	}{
		"all well": {administration{database: good}, []string{"ok: in eur3", "ok: no field is indexed", "ok: by purgeAt and nothing else"}},
		"other mode": {
			administration{database: &adminpb.Database{Type: adminpb.Database_DATASTORE_MODE}},
			[]string{"fail: DATASTORE_MODE", "warn: --delete-protection", "ok: ", "ok: "},
		},
		"indexed": {
			administration{database: good, fields: map[string]*adminpb.Field{
				"p-agentSessions/version": inherits, "p-agentSessions/ring": inherits,
				"p-agentSessionChunks/data": {IndexConfig: &adminpb.Field_IndexConfig{Indexes: []*adminpb.Index{{}}}},
			}},
			[]string{"ok: ", "warn: p-agentSessions: indexed for nothing: version, ring", "warn: p-agentSessionChunks: indexed for nothing: data", "ok: "},
		},
		"no policy": {
			administration{database: good, fields: map[string]*adminpb.Field{"p-agentSessions/purgeAt": {}}},
			[]string{"ok: ", "ok: ", "warn: --collection-group=p-agentSessions --enable-ttl"},
		},
		"policy on the wrong field": {
			administration{database: good, fields: map[string]*adminpb.Field{"p-agentSessions/expireAt": {TtlConfig: &adminpb.Field_TtlConfig{}}}},
			[]string{"ok: ", "ok: ", "fail: --disable-ttl"},
		},
		"no database":    {administration{err: status.Error(codes.NotFound, "no")}, []string{"fail: is not there"}},
		"no permission":  {administration{err: status.Error(codes.PermissionDenied, "no")}, []string{"skipped: roles/datastore.viewer"}},
		"something else": {administration{err: status.Error(codes.Internal, "odd")}, []string{"fail: odd"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := administer(t, &c.a)
			if len(got) != len(c.want) {
				t.Fatalf("%d findings, want %d: %+v", len(got), len(c.want), got)
			}
			for i, f := range got {
				wantStatus, text, _ := strings.Cut(c.want[i], ": ")
				if string(f.Status) != wantStatus || !strings.Contains(f.Detail+"\n"+f.Fix, text) {
					t.Errorf("finding %d: %+v, want %s", i, f, c.want[i])
				}
			}
		})
	}
}

// TestCheckOnTheEmulator: what cannot be looked at is said to be skipped, not well.
func TestCheckOnTheEmulator(t *testing.T) {
	t.Parallel()
	endpoint, project := testenv.Firestore(t)
	got := check(t, Options{Project: project, Endpoint: endpoint})
	if len(got) != 1 || got[0].Status != checkup.Skipped || !strings.Contains(got[0].Detail, "emulator") {
		t.Errorf("got %+v", got)
	}
}

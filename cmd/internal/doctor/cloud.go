package doctor

import (
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"vibesdk-gcp/internal/checkup"
)

// Place is where resources of Google Cloud are.
type Place struct {
	Project, Region string
	// Endpoint is the address of a stand-in, without TLS and credentials; empty is the service itself.
	Endpoint string
}

const terraform = "terraform apply in infra/gcp makes it"

// known says why nothing can be looked at.
func (p Place) known(f *checkup.Findings) bool {
	switch {
	case p.Project == "":
		f.Skip("no project is named: give --project, or set PUBSUB_PROJECT")
	case p.Region == "":
		f.Skip("no region is named: give --region")
	default:
		return true
	}
	return false
}

func (p Place) parent() string { return "projects/" + p.Project + "/locations/" + p.Region }

func (p Place) options() []option.ClientOption {
	if p.Endpoint == "" {
		return nil
	}
	return []option.ClientOption{
		option.WithEndpoint(p.Endpoint), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
}

// unread says why something could not be looked at. role is what viewing takes.
func unread(f *checkup.Findings, err error, role string) []checkup.Finding {
	switch status.Code(err) {
	case codes.NotFound:
		f.Fail(terraform, "is not there")
	case codes.PermissionDenied, codes.Unauthenticated:
		f.Skip("may not be viewed by this account: it needs %s", role)
	default:
		f.Fail("", "cannot be read: %v", status.Convert(err).Message())
	}
	return f.Else("")
}

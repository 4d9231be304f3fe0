package cloudrunfake

import (
	"cmp"
	"encoding/base64"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

var (
	idPattern    = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)
	labelKey     = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	labelValue   = regexp.MustCompile(`^[a-z0-9_-]{0,63}$`)
	reservedKeys = []string{"run.googleapis.com", "cloud.googleapis.com", "serving.knative.dev", "autoscaling.knative.dev"}
)

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

func notFound(name string) error {
	return status.Errorf(codes.NotFound, "Resource '%s' was not found", name)
}

func exists(name string) error {
	return status.Errorf(codes.AlreadyExists, "Resource '%s' already exists.", name)
}

func isExists(err error) bool { return status.Code(err) == codes.AlreadyExists }

func exhausted(what string, limit int) error {
	return status.Errorf(codes.ResourceExhausted, "Quota exceeded for total allowable count of %s per project per region: %d", what, limit)
}

func checkID(field, id string, below int) error {
	if len(id) >= below || !idPattern.MatchString(id) {
		return invalid("%s %q: only lowercase letters, digits and hyphens; must begin with a letter, cannot end with a hyphen, must be fewer than %d characters", field, id, below)
	}
	return nil
}

func checkLabels(labels map[string]string) error {
	if len(labels) > 64 {
		return invalid("labels: %d of them, at most 64", len(labels))
	}
	for key, value := range labels {
		if i := slices.IndexFunc(reservedKeys, func(r string) bool { return strings.HasPrefix(key, r) }); i >= 0 {
			return invalid("labels: namespace %s is not supported", reservedKeys[i])
		}
		if !labelKey.MatchString(key) || !labelValue.MatchString(value) {
			return invalid("labels: %q=%q: keys and values are lowercase letters, digits, - and _, at most 63 characters", key, value)
		}
	}
	return nil
}

func (s *Server) checkParent(parent string) error {
	if parent != s.parent {
		return status.Errorf(codes.PermissionDenied, "Permission denied on resource '%s' (or it may not exist)", parent)
	}
	return nil
}

// id takes a name of the given collection apart. Names elsewhere are refused as the real service does.
func (s *Server) id(name, collection string) (string, error) {
	parent, id, found := strings.Cut(name, "/"+collection+"/")
	if !found || id == "" || strings.Contains(id, "/") {
		return "", invalid("name %q is not of the form %s/%s/{id}", name, s.parent, collection)
	}
	return id, s.checkParent(parent)
}

// checkEtag holds an etag that was given against the present one.
func checkEtag(given, present, name string) error {
	if given != "" && given != present {
		return status.Errorf(codes.Aborted, "Conflict for resource '%s': version %s was specified but current version is %s.", name, given, present)
	}
	return nil
}

const pageLimit = 100

// page returns one page of a list, and the token of the next one. A token names how many came before: like the
// service's, it is opaque and is refused when it was not made here.
func page[T any](all []T, size int32, token string) (items []T, next string, err error) {
	if size < 0 {
		return nil, "", invalid("page_size %d is negative", size)
	}
	limit := int(size)
	if limit == 0 || limit > pageLimit {
		limit = pageLimit
	}
	from := 0
	if token != "" {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		n, parsed := strconv.Atoi(strings.TrimPrefix(string(raw), "from:"))
		if err != nil || parsed != nil || !strings.HasPrefix(string(raw), "from:") || n < 0 {
			return nil, "", invalid("page_token %q is not valid", token)
		}
		from = min(n, len(all))
	}
	to := min(from+limit, len(all))
	if to < len(all) {
		next = base64.RawURLEncoding.EncodeToString([]byte("from:" + strconv.Itoa(to)))
	}
	return all[from:to], next, nil
}

type resource interface {
	GetName() string
	GetCreateTime() *timestamppb.Timestamp
}

// newestFirst is the order of lists.
func newestFirst[T resource](list []T) []T {
	slices.SortFunc(list, func(a, b T) int {
		return cmp.Or(b.GetCreateTime().AsTime().Compare(a.GetCreateTime().AsTime()), cmp.Compare(a.GetName(), b.GetName()))
	})
	return list
}

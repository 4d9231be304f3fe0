package schedulerfake

import (
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // minimal machines have no zone files

	pb "cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"github.com/robfig/cron/v3"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

var (
	jobName   = regexp.MustCompile(`^projects/[^/]+/locations/[^/]+/jobs/[A-Za-z0-9_-]{1,500}$`)
	topicName = regexp.MustCompile(`^projects/([^/]+)/topics/[A-Za-z][A-Za-z0-9._~+%-]{2,254}$`)
)

// complete is a new job as the service stores it: without what only the service sets, and with defaults.
func complete(in *pb.Job) *pb.Job {
	job := proto.CloneOf(in)
	if job == nil {
		job = &pb.Job{}
	}
	job.State = pb.Job_ENABLED
	job.UserUpdateTime = timestamppb.Now()
	job.Status, job.LastAttemptTime = nil, nil
	if job.GetTimeZone() == "" {
		job.TimeZone = "UTC"
	}
	fillRetry(job)
	job.ScheduleTime = next(job)
	return job
}

// fillRetry puts in the defaults of retries.
func fillRetry(job *pb.Job) {
	if job.RetryConfig == nil {
		job.RetryConfig = &pb.RetryConfig{}
	}
	r := job.RetryConfig
	for field, fallback := range map[**durationpb.Duration]time.Duration{
		&r.MaxRetryDuration: 0, &r.MinBackoffDuration: 5 * time.Second, &r.MaxBackoffDuration: time.Hour,
	} {
		if *field == nil {
			*field = durationpb.New(fallback)
		}
	}
	if r.MaxDoublings == 0 {
		r.MaxDoublings = 5
	}
}

// merge is a job with the fields of a mask from another.
func merge(job, from *pb.Job, mask []string) (*pb.Job, error) {
	out := proto.CloneOf(job)
	if len(mask) == 0 {
		mask = []string{"description", "schedule", "time_zone", "pubsub_target", "retry_config", "attempt_deadline"}
	}
	source := proto.CloneOf(from).ProtoReflect()
	for _, path := range mask {
		field := source.Descriptor().Fields().ByName(protoreflect.Name(path))
		switch {
		case field == nil:
			return nil, grpcstatus.Errorf(codes.InvalidArgument, "update_mask: there is no field %q", path)
		case path == "state" || path == "name" || path == "status" || strings.HasSuffix(path, "_time"):
			return nil, grpcstatus.Errorf(codes.InvalidArgument, "update_mask: %s cannot be changed", path)
		case source.Has(field):
			out.ProtoReflect().Set(field, source.Get(field))
		default:
			out.ProtoReflect().Clear(field)
		}
	}
	out.UserUpdateTime = timestamppb.Now()
	if out.GetState() == pb.Job_UPDATE_FAILED {
		out.State = pb.Job_ENABLED
	}
	fillRetry(out)
	out.ScheduleTime = next(out)
	return out, nil
}

// check refuses what the service refuses.
func check(parent string, job *pb.Job) error {
	wrong := func(format string, args ...any) error {
		return grpcstatus.Errorf(codes.InvalidArgument, format, args...)
	}
	switch {
	case !jobName.MatchString(job.GetName()):
		return wrong("Job name %q must be projects/p/locations/l/jobs/j.", job.GetName())
	case !strings.HasPrefix(job.GetName(), parent+"/jobs/"):
		return wrong("Job name %q is not below %q.", job.GetName(), parent)
	case len(job.GetDescription()) > 500:
		return wrong("Description is longer than 500 characters.")
	}
	if _, _, err := parse(job.GetSchedule(), job.GetTimeZone()); err != nil {
		return wrong("%v", err)
	}
	target := job.GetPubsubTarget()
	topic := topicName.FindStringSubmatch(target.GetTopicName())
	switch {
	case target == nil:
		return wrong("A target must be given.")
	case topic == nil:
		return wrong("Topic %q must be projects/p/topics/t.", target.GetTopicName())
	case topic[1] != strings.Split(parent, "/")[1]:
		return wrong("Topic %q must be in the job's project.", target.GetTopicName())
	case len(target.GetData()) == 0 && len(target.GetAttributes()) == 0:
		return wrong("Pub/Sub message must have data or at least one attribute.")
	}
	r := job.GetRetryConfig()
	switch {
	case r.GetRetryCount() < 0 || r.GetRetryCount() > 5:
		return wrong("Retry count must be 0 to 5.")
	case r.GetMaxDoublings() < 0 || r.GetMaxDoublings() > 16:
		return wrong("Max doublings must be 0 to 16.")
	case r.GetMinBackoffDuration().AsDuration() > r.GetMaxBackoffDuration().AsDuration():
		return wrong("Min backoff must not be more than max backoff.")
	}
	return nil
}

var fiveFields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

func parse(schedule, zone string) (cron.Schedule, *time.Location, error) {
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "" || zone == "Local" {
		return nil, nil, grpcstatus.Errorf(codes.InvalidArgument, "Time zone %q is not valid.", zone)
	}
	parsed, err := fiveFields.Parse(schedule)
	if err != nil {
		return nil, nil, grpcstatus.Errorf(codes.InvalidArgument, "Schedule %q is not valid.", schedule)
	}
	return parsed, location, nil
}

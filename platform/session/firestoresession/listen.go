package firestoresession

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// watchTarget numbers the only target of a stream.
	watchTarget = 1
	// watchIdle is how long a stream may be silent. The service says something every minute also when nothing changes, so a longer
	// silence is a connection that is dead without having said so.
	watchIdle = 2 * time.Minute
)

var errSilent = errors.New("the stream was silent")

// listen puts the session's document into news whenever it changes, nil when it does not exist, until ctx ends. A stream
// that broke is opened anew, and begins with the document as it then is: nothing newest is missed.
func (d *Driver) listen(ctx context.Context, id string, news mailbox) {
	wait := newBackoff()
	for {
		err := d.listenOnce(ctx, id, news, wait.Reset)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errSilent) {
			continue
		}
		d.o.Logger.WarnContext(ctx, "a watch was interrupted, opening it again", "session_id", id, "error", err)
		if sleep(ctx, wait.NextBackOff()) != nil {
			return
		}
	}
}

// listenOnce reads one stream until it breaks.
func (d *Driver) listenOnce(ctx context.Context, id string, news mailbox, healthy func()) error {
	conn, err := d.listeners.acquire(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err := d.listeners.release(conn); err != nil {
			d.o.Logger.WarnContext(ctx, "close a connection", "error", err)
		}
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// It must begin soon, and may then be silent for longer.
	alive := time.AfterFunc(d.o.Timeout, func() { cancel(status.Error(codes.DeadlineExceeded, "no answer")) })
	defer func() { alive.Stop() }()

	stream, err := conn.client.Listen(d.outgoing(ctx))
	if err != nil {
		return cause(ctx, err)
	}
	name := d.sessionName(id)
	if err := stream.Send(&pb.ListenRequest{Database: d.database, TargetChange: &pb.ListenRequest_AddTarget{AddTarget: &pb.Target{
		TargetId:   watchTarget,
		TargetType: &pb.Target_Documents{Documents: &pb.Target_DocumentsTarget{Documents: []string{name}}},
	}}}); err != nil {
		_, err = stream.Recv() // Send says no more than that the stream ended
		return cause(ctx, err)
	}
	exists := false
	for first := true; ; first = false {
		response, err := stream.Recv()
		if err != nil {
			return cause(ctx, err)
		}
		if !alive.Stop() {
			return cause(ctx, errSilent)
		}
		if first {
			alive = time.AfterFunc(watchIdle, func() { cancel(errSilent) })
			healthy()
		} else {
			alive.Reset(watchIdle)
		}
		switch r := response.GetResponseType().(type) {
		case *pb.ListenResponse_DocumentChange:
			if exists = slices.Contains(r.DocumentChange.GetTargetIds(), watchTarget); exists {
				news.put(r.DocumentChange.GetDocument())
			} else {
				news.put(nil)
			}
		case *pb.ListenResponse_DocumentDelete, *pb.ListenResponse_DocumentRemove:
			exists = false
			news.put(nil)
		case *pb.ListenResponse_Filter:
			if (r.Filter.GetCount() > 0) != exists {
				return fmt.Errorf("the stream lost a change: %d documents expected", r.Filter.GetCount())
			}
		case *pb.ListenResponse_TargetChange:
			if r.TargetChange.GetTargetChangeType() == pb.TargetChange_REMOVE {
				return status.Error(codes.Code(r.TargetChange.GetCause().GetCode()), r.TargetChange.GetCause().GetMessage())
			}
		}
	}
}

// cause prefers why we ended a stream to what it then said.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

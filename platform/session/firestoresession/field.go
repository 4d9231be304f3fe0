package firestoresession

import (
	"strings"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"vibesdk-gcp/platform/session"
)

// Fields of a session's document.
const (
	fieldCommit      = "commit"
	fieldVersion     = "version"
	fieldInitialized = "initialized"
	fieldPresent     = "present"
	fieldCreated     = "createdAt"
	fieldUpdated     = "updatedAt"
	fieldExpires     = "expireAt"
	fieldPurge       = "purgeAt"
	fieldAlarm       = "alarmAt"
	fieldByID        = "byID"
	fieldByExpiry    = "byExpiry"
	fieldByAlarm     = "byAlarm"
	fieldRing        = "ring"
	fieldParts       = "parts"
	fieldData        = "data"
)

// Fields inside of the ring and of each part, and of the other collections.
const (
	fieldTag    = "tag"
	fieldSize   = "size"
	fieldStored = "stored"
	fieldZstd   = "zstd"
	fieldSum    = "sum"
	fieldChunks = "chunks"
	fieldTouch  = "batch"
)

type fields = map[string]*pb.Value

func integer(n int64) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: n}}
}

func boolean(b bool) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_BooleanValue{BooleanValue: b}}
}

func text(s string) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_StringValue{StringValue: s}}
}

func bytesValue(b []byte) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_BytesValue{BytesValue: b}}
}

func mapping(f fields) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_MapValue{MapValue: &pb.MapValue{Fields: f}}}
}

func array(values []*pb.Value) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_ArrayValue{ArrayValue: &pb.ArrayValue{Values: values}}}
}

func moment(t time.Time) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_TimestampValue{TimestampValue: timestamppb.New(micros(t))}}
}

func timeOf(v *pb.Value) time.Time {
	if v.GetTimestampValue() == nil {
		return time.Time{}
	}
	return micros(v.GetTimestampValue().AsTime())
}

// partPath names a part's key inside of a map, in the syntax of field masks.
func partPath(field string, name session.PartName) string {
	return field + ".`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(escape(string(name))) + "`"
}

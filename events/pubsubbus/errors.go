package pubsubbus

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func isInvalidArgument(err error) bool { return status.Code(err) == codes.InvalidArgument }

func isAlreadyExists(err error) bool { return status.Code(err) == codes.AlreadyExists }

func isUnimplemented(err error) bool { return status.Code(err) == codes.Unimplemented }

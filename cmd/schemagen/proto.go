package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/types/descriptorpb"
)

// compile compiles the .proto files of a folder, sorted by name and with their comments, and refuses what Pub/Sub
// does not take. All faults of all files are reported.
func compile(ctx context.Context, dir string) ([]*descriptorpb.FileDescriptorProto, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*.proto"))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s holds no .proto file", dir)
	}
	names := make([]string, len(found))
	for i, file := range found {
		names[i] = filepath.Base(file)
	}

	var faults []error
	compiler := protocompile.Compiler{
		// Imports resolve, so that the fault is the import and not everything that misses its types.
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{dir}}),
		SourceInfoMode: protocompile.SourceInfoStandard,
		Reporter: reporter.NewReporter(func(fault reporter.ErrorWithPos) error {
			faults = append(faults, fault)
			return nil
		}, nil),
	}
	files, err := compiler.Compile(ctx, names...)
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if err != nil {
		return nil, err
	}
	protos := make([]*descriptorpb.FileDescriptorProto, len(files))
	for i, file := range files {
		source, err := os.Stat(found[i])
		if err != nil {
			return nil, err
		}
		if source.Size() > maxDefinition {
			faults = append(faults, fmt.Errorf("%s: is %d bytes long, a topic's schema is at most %d", names[i], source.Size(), maxDefinition))
		}
		protos[i] = protoutil.ProtoFromFileDescriptor(file)
		faults = append(faults, checkSubset(protos[i])...)
	}
	return protos, errors.Join(faults...)
}

// maxDefinition is the size in bytes that Pub/Sub takes: "the schema definition field cannot exceed 300 KB".
const maxDefinition = 300_000

// checkSubset lists what keeps a file from being a topic's schema. Source of the rules: "Schema overview" in
// Pub/Sub's documentation: only one top-level type, no imports. We also want proto3, for one meaning of an
// absent field.
func checkSubset(file *descriptorpb.FileDescriptorProto) []error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("%s: %s", file.GetName(), fmt.Sprintf(format, args...)))
		}
	}
	fault(file.GetSyntax() != "proto3", "syntax must be proto3")
	fault(len(file.GetDependency()) > 0, "imports %v: a topic's schema is one file", file.GetDependency())
	fault(len(file.GetMessageType()) != 1, "has %d top-level messages, a topic's schema has exactly 1", len(file.GetMessageType()))
	fault(len(file.GetEnumType()) > 0, "has a top-level enum: put it inside the message")
	fault(len(file.GetService()) > 0, "has a service, which a topic's schema cannot hold")
	fault(len(file.GetExtension()) > 0, "has extensions, which a topic's schema cannot hold")
	return faults
}

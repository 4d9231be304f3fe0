package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const protocGenGoPackage = "google.golang.org/protobuf/cmd/protoc-gen-go"

// protocGenGo asks the plugin for the Go of the given files. No compiler version is sent, so that the header names
// none: it is protoc's, and there is no protoc.
func protocGenGo(ctx context.Context, root string, protos []*descriptorpb.FileDescriptorProto) (map[string][]byte, error) {
	request := &pluginpb.CodeGeneratorRequest{Parameter: proto.String("paths=source_relative"), ProtoFile: protos}
	for _, file := range protos {
		request.FileToGenerate = append(request.FileToGenerate, file.GetName())
	}
	stdin, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	var stdout, stderr bytes.Buffer
	plugin := exec.CommandContext(ctx, "go", "run", protocGenGoPackage)
	plugin.Dir = root
	plugin.Stdin, plugin.Stdout, plugin.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := plugin.Run(); err != nil {
		return nil, fmt.Errorf("protoc-gen-go: %w\n%s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(stdout.Bytes(), &response); err != nil {
		return nil, fmt.Errorf("protoc-gen-go answered with something else than files: %w", err)
	}
	if response.GetError() != "" {
		return nil, errors.New("protoc-gen-go: " + response.GetError())
	}
	files := map[string][]byte{}
	for _, file := range response.GetFile() {
		files[path.Join(genDir, file.GetName())] = []byte(file.GetContent())
	}
	return files, nil
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// Where things are, from the root of the repository.
const (
	protoDir      = "schemas"
	genDir        = "schemas/gen"
	topicsFile    = "infra/gcp/generated/topics.json"
	schedules     = "infra/schedules.yaml"
	schedulesCopy = "cmd/internal/app/schedules.yaml"
)

// generate returns the content of every generated file by its path from the root.
func generate(ctx context.Context, root string) (map[string][]byte, error) {
	protos, err := compile(ctx, filepath.Join(root, protoDir))
	if err != nil {
		return nil, err
	}
	files, err := protocGenGo(ctx, root, protos)
	if err != nil {
		return nil, err
	}
	if files[topicsFile], err = topicsJSON(protos); err != nil {
		return nil, err
	}
	if files[schedulesCopy], err = os.ReadFile(filepath.Join(root, schedules)); err != nil {
		return nil, err
	}
	return files, nil
}

// change is a generated file that is not as it should be.
type change struct {
	file    string
	content []byte // nil: remove the file
	why     string
}

// compare lists what differs on disk, also generated Go whose .proto is gone.
func compare(root string, files map[string][]byte) ([]change, error) {
	var changes []change
	for _, file := range slices.Sorted(maps.Keys(files)) {
		old, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			changes = append(changes, change{file, files[file], "is missing"})
		case err != nil:
			return nil, err
		case !bytes.Equal(old, files[file]):
			changes = append(changes, change{file, files[file], "is out of date"})
		}
	}
	present, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(genDir), "*.pb.go"))
	if err != nil {
		return nil, err
	}
	for _, file := range present {
		if file = path.Join(genDir, filepath.Base(file)); files[file] == nil {
			changes = append(changes, change{file, nil, "has no .proto any more"})
		}
	}
	return changes, nil
}

func (c change) apply(root string) error {
	file := filepath.Join(root, filepath.FromSlash(c.file))
	if c.content == nil {
		return os.Remove(file)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // source files are for everyone to read
		return err
	}
	if err := os.WriteFile(file, c.content, 0o644); err != nil { //nolint:gosec // source files are for everyone to read
		return fmt.Errorf("write generated file: %w", err)
	}
	return nil
}

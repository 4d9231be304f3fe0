// Schemagen writes the files of this repository that are made from others:
//
//	schemas/*.proto        → schemas/gen/*.pb.go
//	events/topics.go       → infra/gcp/generated/topics.json, for Terraform
//	infra/schedules.yaml   → cmd/internal/app/schedules.yaml, the copy that is compiled in
//
// It needs no protoc: the .proto files are compiled here and given to the protoc-gen-go of go.mod's version,
// which `go run` builds. The same input gives the same bytes on every machine.
//
// With --check it writes nothing and exits with 1, naming each file that would differ.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("schemagen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("root", ".", "folder of the repository")
	check := flags.Bool("check", false, "write nothing; fail if a file would differ")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	fail := func(err error) int {
		fmt.Fprintf(stderr, "schemagen: %v\n", err)
		return 1
	}
	files, err := generate(ctx, *root)
	if err != nil {
		return fail(err)
	}
	changes, err := compare(*root, files)
	if err != nil {
		return fail(err)
	}
	if *check {
		for _, c := range changes {
			fmt.Fprintf(stderr, "%s %s: run `make generate`\n", c.file, c.why)
		}
		return min(len(changes), 1)
	}
	for _, c := range changes {
		if err := c.apply(*root); err != nil {
			return fail(err)
		}
		fmt.Fprintf(stdout, "%s %s\n", c.file, c.why)
	}
	return 0
}

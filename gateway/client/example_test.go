package client_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"vibesdk-gcp/gateway/client"
)

// A folder says how it is run; what is given wins.
func ExampleReadProject() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	site := filepath.Join(dir, "shop")
	if err := os.Mkdir(site, 0o700); err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(site, "index.html"), []byte("<h1>Shop</h1>"), 0o600); err != nil {
		panic(err)
	}

	project, err := client.ReadProject(site, client.RunRequest{TTLSeconds: 3600})
	if err != nil {
		panic(err)
	}
	fmt.Println(project.Request.ProjectName, project.Request.StaticDir, project.Request.TTLSeconds)
	// Output: shop . 3600
}

// Run a folder, show its log while it is built, and write a file into the running app.
func Example() {
	ctx := context.Background()
	c, err := client.New("http://127.0.0.1:8787", client.Options{})
	if err != nil {
		panic(err)
	}
	project, err := client.ReadProject("examples/hello", client.RunRequest{})
	if err != nil {
		panic(err)
	}
	sandboxes := c.Sandboxes()
	accepted, err := sandboxes.RunProject(ctx, project)
	if err != nil {
		panic(err)
	}
	s, err := sandboxes.Follow(ctx, accepted.ID, client.Progress{Log: os.Stdout})
	if err != nil {
		panic(err)
	}
	if s.State != client.Ready {
		panic(s.Reason)
	}
	fmt.Println(s.PreviewURL)
	if err := sandboxes.WriteFile(ctx, s.ID, "dist/note.txt", []byte("written while it runs")); err != nil {
		panic(err)
	}
}

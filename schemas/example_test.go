package schemas_test

import (
	"errors"
	"fmt"

	"vibesdk-gcp/schemas"
	"vibesdk-gcp/schemas/gen"
)

func ExampleDecodeSandboxRequest() {
	_, err := schemas.DecodeSandboxRequest([]byte(`{
		"source": {"files": [{"path": "../index.html", "content": "hello"}]},
		"env": {"PORT": "8080"},
		"ttlSeconds": "soon"
	}`))
	fmt.Println(err)
	if invalid, ok := errors.AsType[*schemas.ValidationError](err); ok {
		for _, fault := range invalid.Faults {
			fmt.Println("-", fault.Field)
		}
	}
	// Output:
	// sandbox request is not valid: ttlSeconds: must be a whole number from -2147483648 to 2147483647; requestId: is required; source.files[0].path: must stay inside the project, without ..; devCommand: one of devCommand and staticDir is required; env.PORT: is set by the platform and must not be given
	// - ttlSeconds
	// - requestId
	// - source.files[0].path
	// - devCommand
	// - env.PORT
}

func ExampleEncodeSandboxRequest() {
	data, err := schemas.EncodeSandboxRequest(&gen.SandboxRequest{
		RequestId: "01JD9Z6V4N8Q",
		Source: &gen.SandboxRequest_Source{Files: []*gen.SandboxRequest_File{
			{Path: "index.html", Content: "hello"},
		}},
		StaticDir: ".",
	})
	fmt.Println(string(data), err)
	// Output: {"requestId":"01JD9Z6V4N8Q","source":{"files":[{"path":"index.html","content":"hello"}]},"staticDir":"."} <nil>
}

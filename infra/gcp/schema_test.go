package gcp_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

// recordFrom writes testdata/schema.json again, for the resource types that the modules use:
//
//	terraform init && terraform providers schema -json >schema.json
//	go test ./infra/gcp -run TestSchemaIsRecorded -record "$PWD/schema.json"
var recordFrom = flag.String("record", "", "file with the output of `terraform providers schema -json`")

// schema is what the providers say about the types that are used here: the tests need no provider.
type schema struct {
	Source    string           `json:"source"`
	Provider  map[string]block `json:"provider"`
	Resource  map[string]block `json:"resource"`
	Data      map[string]block `json:"data"`
	Ephemeral map[string]block `json:"ephemeral"`
}

type block struct {
	Attributes map[string]attribute `json:"attributes,omitempty"`
	Blocks     map[string]nested    `json:"blocks,omitempty"`
}

type nested struct {
	block
	Min int `json:"min,omitempty"`
	Max int `json:"max,omitempty"`
}

type attribute struct {
	Type cty.Type `json:"type"`
	// Is is required, optional (which may be computed as well) or computed.
	Is        string `json:"is"`
	Sensitive bool   `json:"sensitive,omitempty"`
	WriteOnly bool   `json:"writeOnly,omitempty"`
	Old       bool   `json:"deprecated,omitempty"`
}

// of returns the types of one kind of block.
func (s *schema) of(kind string) map[string]block {
	return map[string]map[string]block{"provider": s.Provider, "resource": s.Resource, "data": s.Data, "ephemeral": s.Ephemeral}[kind]
}

func recordedSchema(t *testing.T) *schema {
	t.Helper()
	var s schema
	readJSON(t, "testdata/schema.json", &s)
	return &s
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	body, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// TestSchemaIsRecorded holds that the record has every type that is used and no other.
func TestSchemaIsRecorded(t *testing.T) {
	used := map[string][]string{}
	for _, m := range loadTree(t, ".") {
		for _, b := range m.blocks {
			if slices.Contains([]string{"provider", "resource", "data", "ephemeral"}, b.Type) && !slices.Contains(used[b.Type], b.Labels[0]) {
				used[b.Type] = append(used[b.Type], b.Labels[0])
			}
		}
	}
	if *recordFrom != "" {
		record(t, *recordFrom, used)
	}
	s := recordedSchema(t)
	for _, kind := range []string{"provider", "resource", "data", "ephemeral"} {
		if kind != "provider" && len(used[kind]) == 0 {
			t.Errorf("found no %s: the walk is broken", kind)
		}
		for name := range s.of(kind) {
			if !slices.Contains(used[kind], name) {
				t.Errorf("testdata/schema.json has the %s %s, which nothing uses", kind, name)
			}
		}
		for _, name := range used[kind] {
			if _, ok := s.of(kind)[name]; !ok {
				t.Errorf("testdata/schema.json lacks the %s %s", kind, name)
			}
		}
	}
}

// terraformBlock is a block in the output of terraform.
type terraformBlock struct {
	Attributes map[string]struct {
		Type                          cty.Type
		Required, Optional, Sensitive bool
		Deprecated                    bool
		WriteOnly                     bool `json:"write_only"`
	}
	BlockTypes map[string]struct {
		Block    terraformBlock
		MinItems int `json:"min_items"`
		MaxItems int `json:"max_items"`
	} `json:"block_types"`
}

func (b terraformBlock) plain() block {
	out := block{Attributes: map[string]attribute{}, Blocks: map[string]nested{}}
	for name, a := range b.Attributes {
		is := "computed"
		if a.Required {
			is = "required"
		} else if a.Optional {
			is = "optional"
		}
		out.Attributes[name] = attribute{Type: a.Type, Is: is, Sensitive: a.Sensitive, WriteOnly: a.WriteOnly, Old: a.Deprecated}
	}
	for name, n := range b.BlockTypes {
		out.Blocks[name] = nested{block: n.Block.plain(), Min: n.MinItems, Max: n.MaxItems}
	}
	return out
}

func record(t *testing.T, from string, used map[string][]string) {
	t.Helper()
	body, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	type of struct{ Block terraformBlock }
	var all struct {
		Providers map[string]struct {
			Provider  of
			Resource  map[string]of `json:"resource_schemas"`
			Data      map[string]of `json:"data_source_schemas"`
			Ephemeral map[string]of `json:"ephemeral_resource_schemas"`
		} `json:"provider_schemas"`
	}
	if err := json.Unmarshal(body, &all); err != nil {
		t.Fatal(err)
	}
	var previous schema
	readJSON(t, "testdata/schema.json", &previous)
	out := schema{Source: previous.Source, Provider: map[string]block{}, Resource: map[string]block{}, Data: map[string]block{}, Ephemeral: map[string]block{}}
	take := func(kind string, from map[string]of) {
		for name, b := range from {
			if slices.Contains(used[kind], name) {
				out.of(kind)[name] = b.Block.plain()
			}
		}
	}
	for address, p := range all.Providers {
		take("provider", map[string]of{address[len("registry.terraform.io/hashicorp/"):]: p.Provider})
		take("resource", p.Resource)
		take("data", p.Data)
		take("ephemeral", p.Ephemeral)
	}
	// One type a line keeps changes readable.
	var text bytes.Buffer
	write := func(v any) {
		one, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(one)
	}
	text.WriteString("{\"source\": ")
	write(out.Source)
	for _, kind := range []string{"provider", "resource", "data", "ephemeral"} {
		text.WriteString(",\n\"" + kind + "\": {")
		slices.Sort(used[kind])
		for i, name := range used[kind] {
			if i > 0 {
				text.WriteByte(',')
			}
			text.WriteString("\n  \"" + name + "\": ")
			write(out.of(kind)[name])
		}
		text.WriteString("\n}")
	}
	text.WriteString("}\n")
	if err := os.WriteFile("testdata/schema.json", text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

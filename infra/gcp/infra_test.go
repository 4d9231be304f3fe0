// Package gcp_test holds the Terraform modules of this folder against what the providers take, without a provider: names of
// resources, arguments and blocks, references, variables and rights. The record of the providers is testdata/schema.json.
package gcp_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

func recordedRights(t *testing.T) *rights {
	t.Helper()
	var r rights
	readJSON(t, "testdata/rights.json", &r)
	return &r
}

func TestModules(t *testing.T) {
	tree := loadTree(t, ".")
	if len(tree) < 10 {
		t.Fatalf("found only %d modules: the walk is broken", len(tree))
	}
	for _, fault := range check(tree, recordedSchema(t), recordedRights(t)) {
		t.Error(fault)
	}
}

func TestModulesAreFormatted(t *testing.T) {
	files := 0
	for _, pattern := range []string{"*.tf", "*/*.tfvars", "modules/*/*.tf", "modules/*/*/*.tftest.hcl"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Errorf("%s: no files (%v)", pattern, err)
		}
		for _, name := range names {
			body, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files++
			if diff := cmp.Diff(string(hclwrite.Format(body)), string(body)); diff != "" {
				t.Errorf("%s: terraform fmt would change it (-want +got):\n%s", name, diff)
			}
		}
	}
}

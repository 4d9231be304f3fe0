package gcp_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// module is one folder of Terraform files.
type module struct {
	dir    string
	blocks []*hclsyntax.Block // of the top level, in the order of files

	variables map[string]variable
	locals    map[string]hclsyntax.Expression
	outputs   map[string]*hclsyntax.Block
	calls     map[string]*hclsyntax.Block
	// resources by the address of references to them: google_x.y, data.google_x.y, ephemeral.x.y.
	resources map[string]resource

	forVariables map[string]bool // names that for expressions give; nil until it is asked for

	faults []string // what is wrong
}

type variable struct {
	at       *hclsyntax.Block
	typ      cty.Type
	required bool
}

type resource struct {
	kind string // resource, data or ephemeral
	typ  string
	at   *hclsyntax.Block
}

// loadTree reads the root module and each folder below modules.
func loadTree(t *testing.T, root string) map[string]*module {
	t.Helper()
	tree, err := readTree(root)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// readTree returns modules by folder, relative to root; the root module is ".".
func readTree(root string) (map[string]*module, error) {
	dirs, err := filepath.Glob(filepath.Join(root, "modules", "*"))
	if err != nil {
		return nil, err
	}
	tree := map[string]*module{}
	for _, dir := range append(dirs, root) {
		rel, err := filepath.Rel(root, dir)
		if err != nil {
			return nil, err
		}
		m, err := readModule(dir, filepath.ToSlash(rel))
		if err != nil {
			return nil, err
		}
		tree[m.dir] = m
	}
	return tree, nil
}

func readModule(dir, name string) (*module, error) {
	m := &module{
		dir: name, variables: map[string]variable{}, locals: map[string]hclsyntax.Expression{}, outputs: map[string]*hclsyntax.Block{},
		calls: map[string]*hclsyntax.Block{}, resources: map[string]resource{},
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.tf"))
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		file, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
		if diags.HasErrors() {
			return nil, diags
		}
		body, ok := file.Body.(*hclsyntax.Body)
		if !ok {
			return nil, fmt.Errorf("%s is not in HCL's own syntax", name)
		}
		for name, a := range body.Attributes {
			m.fault(a.SrcRange, "the argument %s stands outside of all blocks", name)
		}
		m.blocks = append(m.blocks, body.Blocks...)
	}
	for _, b := range m.blocks {
		m.add(b)
	}
	return m, nil
}

func (m *module) fault(at hcl.Range, format string, args ...any) {
	m.faults = append(m.faults, fmt.Sprintf("%s/%s:%d: ", m.dir, filepath.Base(at.Filename), at.Start.Line)+fmt.Sprintf(format, args...))
}

// labels is how many labels each block of the top level has.
var labels = map[string]int{
	"terraform": 0, "locals": 0, "provider": 1, "variable": 1, "output": 1, "module": 1, "resource": 2, "data": 2, "ephemeral": 2,
}

func (m *module) add(b *hclsyntax.Block) {
	n, known := labels[b.Type]
	if !known || n != len(b.Labels) {
		m.fault(b.TypeRange, "%s with %d labels is no block of Terraform", b.Type, len(b.Labels))
		return
	}
	var taken bool
	switch b.Type {
	case "locals":
		for name, a := range b.Body.Attributes {
			if _, twice := m.locals[name]; twice {
				m.fault(a.SrcRange, "local.%s stands here twice", name)
			}
			m.locals[name] = a.Expr
		}
	case "variable":
		_, taken = m.variables[b.Labels[0]]
		m.variables[b.Labels[0]] = m.variable(b)
	case "output":
		_, taken = m.outputs[b.Labels[0]]
		m.outputs[b.Labels[0]] = b
	case "module":
		_, taken = m.calls[b.Labels[0]]
		m.calls[b.Labels[0]] = b
	case "resource", "data", "ephemeral":
		address := strings.Join(b.Labels, ".")
		if b.Type != "resource" {
			address = b.Type + "." + address
		}
		_, taken = m.resources[address]
		m.resources[address] = resource{kind: b.Type, typ: b.Labels[0], at: b}
	}
	if taken {
		m.fault(b.TypeRange, "%s %s stands here twice", b.Type, strings.Join(b.Labels, " "))
	}
}

// variable reads a declaration, and holds it to the house rules: typed, described, validated.
func (m *module) variable(b *hclsyntax.Block) variable {
	name, v := b.Labels[0], variable{at: b, typ: cty.DynamicPseudoType, required: true}
	if a, ok := b.Body.Attributes["type"]; ok {
		typ, _, diags := typeexpr.TypeConstraintWithDefaults(a.Expr)
		if diags.HasErrors() {
			m.fault(a.SrcRange, "var.%s: %s", name, diags.Error())
		}
		v.typ = typ
	}
	if v.typ == cty.DynamicPseudoType {
		m.fault(b.TypeRange, "var.%s has no type", name)
	}
	if text := m.text(b, "description"); len(text) < 10 {
		m.fault(b.TypeRange, "var.%s has no description", name)
	}
	_, hasDefault := b.Body.Attributes["default"]
	v.required = !hasDefault
	validations := 0
	for _, inner := range b.Body.Blocks {
		if inner.Type != "validation" {
			m.fault(inner.TypeRange, "var.%s: there is no block %s", name, inner.Type)
			continue
		}
		validations++
		if !strings.Contains(m.text(inner, "error_message"), name) {
			m.fault(inner.TypeRange, "var.%s: error_message does not name the variable", name)
		}
		condition, ok := inner.Body.Attributes["condition"]
		if !ok || !mentions(condition.Expr, "var", name) {
			m.fault(inner.TypeRange, "var.%s: the condition does not look at the variable", name)
		}
	}
	// A bool is checked by its type, and for text that may be anything there is nothing to check.
	if validations == 0 && v.typ != cty.Bool {
		m.fault(b.TypeRange, "var.%s has no validation", name)
	}
	return v
}

// text is an attribute that must be a constant; "" when there is none.
func (m *module) text(b *hclsyntax.Block, name string) string {
	a, ok := b.Body.Attributes[name]
	if !ok {
		return ""
	}
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() || v.Type() != cty.String {
		m.fault(a.SrcRange, "%s is not a plain text", name)
		return ""
	}
	return v.AsString()
}

func mentions(e hclsyntax.Expression, root, name string) bool {
	for _, v := range e.Variables() {
		if v.RootName() == root && len(v) > 1 && stepName(v[1]) == name {
			return true
		}
	}
	return false
}

// stepName is the name of a step of a reference; "" for an index that is not a text.
func stepName(step hcl.Traverser) string {
	switch s := step.(type) {
	case hcl.TraverseAttr:
		return s.Name
	case hcl.TraverseIndex:
		if s.Key.Type() == cty.String {
			return s.Key.AsString()
		}
	}
	return ""
}

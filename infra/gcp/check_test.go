package gcp_test

import (
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty/convert"
)

// check returns what is wrong with a tree of modules, one line each.
func check(tree map[string]*module, s *schema, rights *rights) []string {
	var faults []string
	for _, m := range tree {
		used := m.checkReferences(tree, s)
		m.checkUnused(used)
		for _, b := range m.blocks {
			m.checkBlock(b, tree, s)
		}
		m.checkRights(rights)
		faults = append(faults, m.faults...)
	}
	slices.Sort(faults)
	return slices.Compact(faults)
}

// Arguments that Terraform itself takes.
var (
	metaArguments = []string{"count", "for_each", "provider", "depends_on"}
	metaBlocks    = []string{"lifecycle", "timeouts"}
)

func (m *module) checkBlock(b *hclsyntax.Block, tree map[string]*module, s *schema) {
	switch b.Type {
	case "provider", "resource", "data", "ephemeral":
		known, ok := s.of(b.Type)[b.Labels[0]]
		if !ok {
			m.fault(b.TypeRange, "%s is no %s that testdata/schema.json has", b.Labels[0], b.Type)
			return
		}
		m.checkBody(strings.Join(b.Labels, "."), b.Body, known, true)
	case "module":
		m.checkCall(b, tree)
	case "output":
		if _, ok := b.Body.Attributes["value"]; !ok {
			m.fault(b.TypeRange, "output %s has no value", b.Labels[0])
		}
		if len(m.text(b, "description")) < 10 {
			m.fault(b.TypeRange, "output %s has no description", b.Labels[0])
		}
		for name, a := range b.Body.Attributes {
			if !slices.Contains([]string{"value", "description", "depends_on", "sensitive", "ephemeral"}, name) {
				m.fault(a.SrcRange, "output %s: there is no argument %s", b.Labels[0], name)
			}
		}
	case "variable":
		for name, a := range b.Body.Attributes {
			if !slices.Contains([]string{"type", "description", "default", "nullable", "sensitive"}, name) {
				m.fault(a.SrcRange, "variable %s: there is no argument %s", b.Labels[0], name)
			}
		}
	}
}

// checkBody holds the arguments and blocks of a body against what the provider has.
func (m *module) checkBody(where string, body *hclsyntax.Body, known block, top bool) {
	for name, a := range body.Attributes {
		attr, ok := known.Attributes[name]
		switch {
		case top && slices.Contains(metaArguments, name):
		case !ok:
			m.fault(a.SrcRange, "%s: there is no argument %s", where, name)
		case attr.Is == "computed":
			m.fault(a.SrcRange, "%s: %s is computed, it cannot be set", where, name)
		case attr.Old:
			m.fault(a.SrcRange, "%s: %s is deprecated", where, name)
		default:
			m.checkValue(where, name, a, attr)
		}
	}
	for name, attr := range known.Attributes {
		if _, set := body.Attributes[name]; attr.Is == "required" && !set {
			m.fault(body.SrcRange, "%s: the argument %s is required", where, name)
		}
	}
	counts := map[string]int{}
	for _, b := range body.Blocks {
		name, inner := b.Type, b.Body
		if top && slices.Contains(metaBlocks, name) {
			continue
		}
		fixed := 1
		if name == "dynamic" {
			name, inner, fixed = m.dynamic(where, b)
			if inner == nil {
				continue
			}
		}
		n, ok := known.Blocks[name]
		if !ok {
			m.fault(b.TypeRange, "%s: there is no block %s", where, name)
			continue
		}
		if counts[name] += fixed; n.Max > 0 && counts[name] > n.Max {
			m.fault(b.TypeRange, "%s: %s stands here more than %d times", where, name, n.Max)
		}
		if fixed == 0 {
			counts[name]++ // it may be there
		}
		m.checkBody(where+"."+name, inner, n.block, false)
	}
	for name, n := range known.Blocks {
		if counts[name] < n.Min {
			m.fault(body.SrcRange, "%s: the block %s is required", where, name)
		}
	}
}

// dynamic returns what a dynamic block makes. It may make none, so it counts as 0.
func (m *module) dynamic(where string, b *hclsyntax.Block) (name string, content *hclsyntax.Body, count int) {
	if len(b.Labels) != 1 || len(b.Body.Blocks) != 1 || b.Body.Blocks[0].Type != "content" || b.Body.Attributes["for_each"] == nil {
		m.fault(b.TypeRange, "%s: a dynamic block needs one label, for_each and content", where)
		return "", nil, 0
	}
	return b.Labels[0], b.Body.Blocks[0].Body, 0
}

// checkValue holds the type of a constant, and keeps secrets from being one.
func (m *module) checkValue(where, name string, a *hclsyntax.Attribute, attr attribute) {
	if attr.Sensitive || attr.WriteOnly {
		fromResource := false
		for _, v := range a.Expr.Variables() {
			fromResource = fromResource || v.RootName() == "ephemeral" || strings.HasPrefix(v.RootName(), "google_")
		}
		if !fromResource {
			m.fault(a.SrcRange, "%s: %s is a secret, and may only come from a resource", where, name)
		}
	}
	if len(a.Expr.Variables()) > 0 {
		return
	}
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() {
		return // it calls a function
	}
	if _, err := convert.Convert(v, attr.Type); err != nil {
		m.fault(a.SrcRange, "%s: %s must be %s: %v", where, name, attr.Type.FriendlyName(), err)
	}
}

// source is the folder of the module that a call names, relative to the root module.
func (m *module) source(call *hclsyntax.Block) string {
	return path.Join(m.dir, m.text(call, "source"))
}

// checkCall holds a call of a module against its variables.
func (m *module) checkCall(b *hclsyntax.Block, tree map[string]*module) {
	called, ok := tree[m.source(b)]
	if !ok {
		m.fault(b.TypeRange, "module %s: there is no module %q", b.Labels[0], m.text(b, "source"))
		return
	}
	for name, a := range b.Body.Attributes {
		v, ok := called.variables[name]
		switch {
		case name == "source" || slices.Contains(metaArguments, name):
		case !ok:
			m.fault(a.SrcRange, "module %s has no variable %s", b.Labels[0], name)
		case len(a.Expr.Variables()) == 0:
			if value, diags := a.Expr.Value(nil); !diags.HasErrors() {
				if _, err := convert.Convert(value, v.typ.WithoutOptionalAttributesDeep()); err != nil {
					m.fault(a.SrcRange, "module %s: %s: %v", b.Labels[0], name, err)
				}
			}
		}
	}
	for name, v := range called.variables {
		if _, set := b.Body.Attributes[name]; v.required && !set {
			m.fault(b.TypeRange, "module %s needs the variable %s", b.Labels[0], name)
		}
	}
}

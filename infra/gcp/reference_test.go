package gcp_test

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// functions are those of Terraform that are used here.
var functions = []string{
	"alltrue", "base64encode", "can", "cidrhost", "coalesce", "concat", "contains", "distinct", "endswith", "file", "flatten", "floor",
	"jsondecode", "jsonencode", "join", "keys", "length", "lookup", "lower", "merge", "one", "regex", "replace", "setintersection",
	"setsubtract", "sort", "split", "startswith", "tolist", "tonumber", "toset", "tostring", "trimsuffix", "try", "values", "yamldecode",
}

// checkReferences follows every reference of a module, and returns which variables and locals are used.
func (m *module) checkReferences(tree map[string]*module, s *schema) map[string]bool {
	used := map[string]bool{}
	for _, b := range m.blocks {
		if b.Type == "terraform" {
			continue
		}
		m.bodyReferences(b.Body, b, nil, used, tree, s)
	}
	return used
}

func (m *module) bodyReferences(body *hclsyntax.Body, top *hclsyntax.Block, iterators []string, used map[string]bool, tree map[string]*module, s *schema) {
	for name, a := range body.Attributes {
		if top.Type == "variable" && name == "type" || name == "ignore_changes" {
			continue // not an expression
		}
		m.expression(a.Expr, top, iterators, used, tree, s)
	}
	for _, b := range body.Blocks {
		inner := iterators
		if b.Type == "dynamic" && len(b.Labels) == 1 {
			inner = append(slices.Clone(iterators), b.Labels[0])
		}
		m.bodyReferences(b.Body, top, inner, used, tree, s)
	}
}

func (m *module) expression(e hclsyntax.Expression, top *hclsyntax.Block, iterators []string, used map[string]bool, tree map[string]*module, s *schema) {
	// Variables leaves out what a for expression names itself.
	for _, v := range e.Variables() {
		if !slices.Contains(iterators, v.RootName()) {
			m.reference(v, top, used, tree, s)
		}
	}
	_ = hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		switch n := n.(type) {
		case *hclsyntax.FunctionCallExpr:
			if !slices.Contains(functions, n.Name) {
				m.fault(n.NameRange, "%s is no function that is used here", n.Name)
			}
		case *hclsyntax.RelativeTraversalExpr:
			if path := flatten(n); path != nil && !slices.Contains(iterators, path.RootName()) {
				m.attributes(path, tree, s)
			}
		case *hclsyntax.ForExpr:
			// What a for expression says of each of several resources or modules is checked like a reference to one.
			if source := flatten(n.CollExpr); len(source) > 1 {
				for _, v := range append(n.ValExpr.Variables(), keyVariables(n)...) {
					if v.RootName() == n.ValVar && len(v) > 1 && (source.RootName() == "module" || strings.Contains(source.RootName(), "_")) {
						path := append(slices.Clone(source), hcl.TraverseIndex{Key: cty.NumberIntVal(0)})
						m.attributes(append(path, v[1:]...), tree, s)
					}
				}
			}
		case *hclsyntax.SplatExpr:
			if source, ok := n.Source.(*hclsyntax.ScopeTraversalExpr); ok {
				if each, ok := n.Each.(*hclsyntax.RelativeTraversalExpr); ok {
					path := append(slices.Clone(source.Traversal), hcl.TraverseIndex{Key: cty.NumberIntVal(0)})
					m.attributes(append(path, each.Traversal...), tree, s)
				}
			}
		}
		return nil
	})
}

func keyVariables(n *hclsyntax.ForExpr) []hcl.Traversal {
	if n.KeyExpr == nil {
		return nil
	}
	return n.KeyExpr.Variables()
}

// flatten makes one path of a reference with an index that is not a constant, such as a.b[each.key].c; nil when it begins
// with something else, such as a call.
func flatten(e hclsyntax.Expression) hcl.Traversal {
	switch e := e.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		return e.Traversal
	case *hclsyntax.RelativeTraversalExpr:
		if path := flatten(e.Source); path != nil {
			return append(slices.Clone(path), e.Traversal...)
		}
	case *hclsyntax.IndexExpr:
		if path := flatten(e.Collection); path != nil {
			return append(slices.Clone(path), hcl.TraverseIndex{Key: cty.NumberIntVal(0), SrcRange: e.SrcRange})
		}
	}
	return nil
}

// reference checks that what a path begins with is there.
func (m *module) reference(path hcl.Traversal, top *hclsyntax.Block, used map[string]bool, tree map[string]*module, s *schema) {
	root, at := path.RootName(), path.SourceRange()
	name := ""
	if len(path) > 1 {
		name = stepName(path[1])
	}
	_, each := top.Body.Attributes["for_each"]
	_, count := top.Body.Attributes["count"]
	switch root {
	case "var":
		v, ok := m.variables[name]
		if !ok {
			m.fault(at, "var.%s is not declared", name)
			return
		}
		// A variable that only its own validation looks at is not used.
		if top.Type != "variable" || top.Labels[0] != name {
			used["var."+name] = true
		}
		if missing := missingAttribute(v.typ, path[2:]); missing != "" {
			m.fault(at, "var.%s has no attribute %s", name, missing)
		}
	case "local":
		if _, ok := m.locals[name]; !ok {
			m.fault(at, "local.%s is not declared", name)
		}
		used["local."+name] = true
	case "each":
		if !each {
			m.fault(at, "each.%s stands outside of for_each", name)
		} else if name != "key" && name != "value" {
			m.fault(at, "each has no %s", name)
		}
	case "count":
		if !count {
			m.fault(at, "count.%s stands outside of count", name)
		}
	case "path":
		if name != "module" && name != "root" {
			m.fault(at, "path has no %s", name)
		}
	default:
		m.attributes(path, tree, s)
	}
}

// missingAttribute walks a type; "" when all is there or not known.
func missingAttribute(typ cty.Type, steps hcl.Traversal) string {
	for _, step := range steps {
		switch {
		case typ.IsObjectType():
			name := stepName(step)
			if name != "" && !typ.HasAttribute(name) {
				return name
			}
			if name == "" {
				return ""
			}
			typ = typ.AttributeType(name)
		case typ.IsCollectionType():
			typ = typ.ElementType()
		case typ == cty.DynamicPseudoType:
			return ""
		default:
			return stepName(step)
		}
	}
	return ""
}

// attributes checks a path into a module or a resource.
func (m *module) attributes(path hcl.Traversal, tree map[string]*module, s *schema) {
	root, at := path.RootName(), path.SourceRange()
	if root == "module" {
		m.moduleOutput(path, tree)
		return
	}
	steps := path
	if root == "data" || root == "ephemeral" {
		steps = path[1:]
	} else if !strings.Contains(root, "_") {
		if slices.Contains([]string{"var", "local", "each", "count", "path"}, root) || m.forVariable(root) {
			return
		}
		m.fault(at, "%s is not known", root)
		return
	}
	if len(steps) < 2 {
		m.fault(at, "%s is no full reference", root)
		return
	}
	address := firstName(steps[0]) + "." + stepName(steps[1])
	if root == "data" || root == "ephemeral" {
		address = root + "." + address
	}
	r, ok := m.resources[address]
	if !ok {
		if m.forVariable(root) {
			return
		}
		m.fault(at, "%s is not declared", address)
		return
	}
	known, ok := s.of(r.kind)[r.typ]
	if !ok {
		return // reported where it is declared
	}
	for _, step := range steps[2:] {
		if _, ok := step.(hcl.TraverseAttr); !ok {
			continue
		}
		name := stepName(step)
		if b, ok := known.Blocks[name]; ok {
			known = b.block
			continue
		}
		if _, ok := known.Attributes[name]; !ok {
			m.fault(at, "%s has no attribute %s", address, name)
		}
		return // inside of an attribute
	}
}

func firstName(step hcl.Traverser) string {
	if root, ok := step.(hcl.TraverseRoot); ok {
		return root.Name
	}
	return stepName(step)
}

// forVariable reports whether a for expression of the module names its variable so.
func (m *module) forVariable(name string) bool {
	if m.forVariables == nil {
		m.forVariables = map[string]bool{}
		for _, b := range m.blocks {
			_ = hclsyntax.VisitAll(b.Body, func(n hclsyntax.Node) hcl.Diagnostics {
				if f, ok := n.(*hclsyntax.ForExpr); ok {
					m.forVariables[f.KeyVar], m.forVariables[f.ValVar] = true, true
				}
				return nil
			})
		}
	}
	return m.forVariables[name]
}

func (m *module) moduleOutput(path hcl.Traversal, tree map[string]*module) {
	at := path.SourceRange()
	if len(path) < 2 {
		m.fault(at, "module is no full reference")
		return
	}
	call, ok := m.calls[stepName(path[1])]
	if !ok {
		m.fault(at, "module.%s is not declared", stepName(path[1]))
		return
	}
	called := tree[m.source(call)]
	if called == nil {
		return // reported at the call
	}
	_, each := call.Body.Attributes["for_each"]
	_, count := call.Body.Attributes["count"]
	for i, step := range path[2:] {
		if _, indexed := step.(hcl.TraverseIndex); indexed && i == 0 && (each || count) {
			continue
		}
		if i == 0 && (each || count) {
			m.fault(at, "module.%s is several: it needs an index", call.Labels[0])
		}
		if _, ok := called.outputs[stepName(step)]; !ok {
			m.fault(at, "module.%s has no output %s", call.Labels[0], stepName(step))
		}
		return
	}
}

// checkUnused finds variables and locals that nothing uses.
func (m *module) checkUnused(used map[string]bool) {
	for name, v := range m.variables {
		if !used["var."+name] {
			m.fault(v.at.TypeRange, "var.%s is not used", name)
		}
	}
	for name, e := range m.locals {
		if !used["local."+name] {
			m.fault(e.Range(), "local.%s is not used", name)
		}
	}
}

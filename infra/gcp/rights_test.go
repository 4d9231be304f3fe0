package gcp_test

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// rights is what may be granted: testdata/rights.json.
type rights struct {
	// Roles are Google's, each with the types of resources on which it is granted here.
	Roles map[string][]string `json:"roles"`
	// Permissions are those of the roles made here.
	Permissions []string `json:"permissions"`
}

// checkRights holds that each grant adds one member to one known role, of one thing, and not of the whole project.
func (m *module) checkRights(known *rights) {
	for address, r := range m.resources {
		switch {
		case r.typ == "google_project_iam_custom_role":
			m.checkPermissions(address, r, known)
		case strings.Contains(r.typ, "_iam_policy") || strings.Contains(r.typ, "_iam_binding"):
			m.fault(r.at.TypeRange, "%s takes rights away that others granted: use _iam_member", address)
		case strings.HasSuffix(r.typ, "_iam_member"):
			m.checkGrant(address, r, known)
		}
	}
}

func (m *module) checkPermissions(address string, r resource, known *rights) {
	list, ok := r.at.Body.Attributes["permissions"]
	if !ok {
		return
	}
	v, diags := list.Expr.Value(nil)
	if diags.HasErrors() || !v.CanIterateElements() {
		m.fault(list.SrcRange, "%s: permissions must be written out", address)
		return
	}
	for _, p := range v.AsValueSlice() {
		if !slices.Contains(known.Permissions, p.AsString()) {
			m.fault(list.SrcRange, "%s: testdata/rights.json has no permission %s", address, p.AsString())
		}
	}
}

func (m *module) checkGrant(address string, r resource, known *rights) {
	role, ok := r.at.Body.Attributes["role"]
	if !ok {
		return // reported as a missing argument
	}
	custom := false
	for _, v := range role.Expr.Variables() {
		custom = custom || v.RootName() == "google_project_iam_custom_role"
	}
	if !custom {
		v, diags := role.Expr.Value(nil)
		if diags.HasErrors() {
			m.fault(role.SrcRange, "%s: the role must be written out", address)
			return
		}
		name := v.AsString()
		on, listed := known.Roles[name]
		switch {
		case slices.Contains([]string{"roles/owner", "roles/editor", "roles/viewer"}, name):
			m.fault(role.SrcRange, "%s: %s is a basic role: it grants nearly everything", address, name)
		case !listed:
			m.fault(role.SrcRange, "%s: testdata/rights.json has no role %s", address, name)
		case !slices.Contains(on, r.typ):
			m.fault(role.SrcRange, "%s: %s may only be granted on %s", address, name, strings.Join(on, ", "))
		}
	}
	if r.typ == "google_project_iam_member" && !custom && !hasBlock(r.at.Body, "condition") {
		m.fault(r.at.TypeRange, "%s: a role on the whole project needs a condition that narrows it", address)
	}
	if member, ok := r.at.Body.Attributes["member"]; ok {
		for _, v := range member.Expr.Variables() {
			if isSandboxAccount(v) {
				m.fault(member.SrcRange, "%s: generated code runs as this account: it must have no rights", address)
			}
		}
	}
}

func hasBlock(body *hclsyntax.Body, name string) bool {
	return slices.ContainsFunc(body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == name })
}

func isSandboxAccount(path hcl.Traversal) bool {
	if len(path) < 2 {
		return false
	}
	last := ""
	if len(path) > 2 {
		last = stepName(path[2])
	}
	return path.RootName() == "google_service_account" && stepName(path[1]) == "sandbox" ||
		path.RootName() == "module" && stepName(path[1]) == "sandbox" && last == "service_account"
}

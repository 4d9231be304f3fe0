package gcp_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty/convert"

	"vibesdk-gcp/events"
)

// object returns what a local's object has, by key.
func object(t *testing.T, m *module, local string) map[string]hclsyntax.Expression {
	t.Helper()
	o, ok := m.locals[local].(*hclsyntax.ObjectConsExpr)
	if !ok {
		t.Fatalf("%s: local.%s is no object", m.dir, local)
	}
	items := map[string]hclsyntax.Expression{}
	for _, item := range o.Items {
		key, diags := item.KeyExpr.Value(nil)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		items[key.AsString()] = item.ValueExpr
	}
	return items
}

func names[V any](m map[string]V) []string {
	out := []string{}
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func texts(t *testing.T, e hclsyntax.Expression) []string {
	t.Helper()
	v, diags := e.Value(nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var out []string
	for _, one := range v.AsValueSlice() {
		out = append(out, one.AsString())
	}
	return out
}

// procedures are the playbooks of what a person begins, with no alert.
var procedures = []string{"migration", "pushed-consumers"}

// TestAlertsHavePlaybooks holds that each alert has a page that says what to do, and each other page an alert.
func TestAlertsHavePlaybooks(t *testing.T) {
	m := loadTree(t, ".")["modules/observability"]
	alerts := slices.Concat(names(object(t, m, "thresholds")), names(object(t, m, "absences")), names(object(t, m, "logs")))
	slices.Sort(alerts)
	files, err := filepath.Glob("../../docs/playbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile("../../docs/playbooks/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var pages []string
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".md")
		if name == "README" {
			continue
		}
		if !strings.Contains(string(index), "("+name+".md)") {
			t.Errorf("docs/playbooks/README.md does not list %s", name)
		}
		if slices.Contains(procedures, name) {
			continue
		}
		pages = append(pages, name)
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"# ", "**Means.**"} {
			if !strings.Contains(string(body), part) {
				t.Errorf("%s lacks %q", file, part)
			}
		}
	}
	if diff := cmp.Diff(alerts, pages); diff != "" || len(alerts) < 10 {
		t.Errorf("alerts and playbooks differ (-alerts +playbooks):\n%s", diff)
	}
}

// TestLogAlertsAreLogged holds that the janitor logs what the alert on dead letters looks for.
func TestLogAlertsAreLogged(t *testing.T) {
	source, err := os.ReadFile("../../workers/janitor/letters.go")
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := os.ReadFile("modules/observability/alerts.tf")
	if err != nil {
		t.Fatal(err)
	}
	message := regexp.MustCompile(`jsonPayload\.message=\\"([^"\\]+)\\"`).FindSubmatch(alerts)
	if message == nil || !strings.Contains(string(source), `ErrorContext(ctx, "`+string(message[1])+`"`) {
		t.Errorf("the alert looks for %q, which workers/janitor/letters.go does not log as an error", message)
	}
	// Lines of a worker pool and of a service are of different resources, and which one the janitor is depends on push_consumers.
	resources := names(object(t, loadTree(t, ".")["modules/observability"], "janitor"))
	if diff := cmp.Diff([]string{"pulled", "pushed"}, resources); diff != "" || !bytes.Contains(alerts, []byte("(${join(\" OR \", values(local.janitor))}) AND jsonPayload")) {
		t.Errorf("the alert does not look at the janitor both as a pool and as a service:\n%s", diff)
	}
}

// TestTopicsHavePublishersAndConsumers holds the settings against the topic table.
func TestTopicsHavePublishersAndConsumers(t *testing.T) {
	m := loadTree(t, ".")["modules/settings"]
	var topics, subscriptions []string
	for _, topic := range events.Topics() {
		topics = append(topics, topic.Name)
	}
	for _, sub := range events.Subscriptions() {
		subscriptions = append(subscriptions, sub.Name)
	}
	slices.Sort(topics)
	slices.Sort(subscriptions)
	publishers, subscribers := object(t, m, "publishers"), object(t, m, "subscribers")
	if diff := cmp.Diff(topics, names(publishers)); diff != "" {
		t.Errorf("publishers (-topics +settings):\n%s", diff)
	}
	if diff := cmp.Diff(subscriptions, names(subscribers)); diff != "" {
		t.Fatalf("subscribers (-subscriptions +settings):\n%s", diff)
	}
	var pools, consumers []string
	for role, place := range object(t, m, "places") {
		if v, _ := place.Value(nil); v.AsString() == "pool" {
			pools = append(pools, role)
		}
	}
	for _, sub := range events.Subscriptions() {
		role, diags := subscribers[sub.Name].Value(nil)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		consumer := role.AsString()
		consumers = append(consumers, consumer)
		// Every consumer parks, and those of unordered topics publish delayed copies to what they consume.
		if !slices.Contains(texts(t, publishers[events.DeadLetters.Name]), consumer) {
			t.Errorf("%s may not park", consumer)
		}
		if !sub.Topic.Ordered && !slices.Contains(texts(t, publishers[sub.Topic.Name]), consumer) {
			t.Errorf("%s may not publish delayed copies to %s", consumer, sub.Topic.Name)
		}
		// What consumers give up on is published again by the gateway.
		if !slices.Contains(texts(t, publishers[sub.Topic.Name]), "gateway") {
			t.Errorf("the gateway may not publish dead letters of %s again", sub.Topic.Name)
		}
	}
	slices.Sort(pools)
	slices.Sort(consumers)
	if diff := cmp.Diff(consumers, pools); diff != "" {
		t.Errorf("a pool consumes one subscription (-consumers +pools):\n%s", diff)
	}
}

// TestFirestoreIndexesFollowTheDriver compares what is exempt from indexing with the list in the driver's comment.
func TestFirestoreIndexesFollowTheDriver(t *testing.T) {
	doc, err := os.ReadFile("../../platform/session/firestoresession/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(doc), "must be exempt from indexing")
	if !found {
		t.Fatal("the driver's comment has no list any more")
	}
	list, _, _ = strings.Cut(list, "byExpiry rises")
	want := map[string][]string{}
	for _, line := range regexp.MustCompile(`(?m)^//\t(\w+) +(.+)$`).FindAllStringSubmatch(list, -1) {
		want[line[1]] = strings.Fields(line[2])
	}
	got := map[string][]string{}
	for collection, fields := range object(t, loadTree(t, ".")["modules/sessions"], "exempt") {
		got[collection] = texts(t, fields)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) != 3 {
		t.Errorf("(-driver +Terraform):\n%s", diff)
	}
}

// TestEveryModuleHasAPage with a picture and what it costs.
func TestEveryModuleHasAPage(t *testing.T) {
	for dir := range loadTree(t, ".") {
		body, err := os.ReadFile(filepath.Join(dir, "README.md"))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, part := range []string{"```mermaid\nflowchart", "\n## Cost\n"} {
			if !strings.Contains(string(body), part) {
				t.Errorf("%s/README.md lacks %q", dir, part)
			}
		}
	}
}

// TestExamplesAreComplete holds that the examples set what must be set, nothing that is not there, and in the right types.
func TestExamplesAreComplete(t *testing.T) {
	root := loadTree(t, ".")["."]
	files, err := filepath.Glob("examples/*.tfvars")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		set, diags := file.Body.JustAttributes()
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		for variable, a := range set {
			known, ok := root.variables[variable]
			if !ok {
				t.Errorf("%s sets %s, which is no variable", name, variable)
				continue
			}
			v, diags := a.Expr.Value(nil)
			if diags.HasErrors() {
				t.Error(diags)
			} else if _, err := convert.Convert(v, known.typ); err != nil {
				t.Errorf("%s: %s: %v", name, variable, err)
			}
		}
		for variable, v := range root.variables {
			if _, ok := set[variable]; v.required && !ok {
				t.Errorf("%s does not set %s", name, variable)
			}
		}
	}
}

// TestGeneratedTopicsFitTheModule holds that the fields of topics.json are those that the module takes.
func TestGeneratedTopicsFitTheModule(t *testing.T) {
	body, err := os.ReadFile("generated/topics.json")
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Subscriptions map[string]map[string]any `json:"subscriptions"`
	}
	if err := json.Unmarshal(body, &table); err != nil {
		t.Fatal(err)
	}
	typ := loadTree(t, ".")["modules/topic"].variables["subscriptions"].typ.ElementType()
	for name, row := range table.Subscriptions {
		for field := range typ.AttributeTypes() {
			if _, ok := row[field]; !ok {
				t.Errorf("subscription %s has no %s, which modules/topic needs", name, field)
			}
		}
	}
	if len(table.Subscriptions) == 0 {
		t.Error("no subscriptions")
	}
}

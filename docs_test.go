package vibesdk_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGuaranteesNameRealTests keeps docs/guarantees.md from promising by the name of a test that does not exist.
func TestGuaranteesNameRealTests(t *testing.T) {
	page, err := os.ReadFile("docs/guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, file := range goFiles(t) {
		if strings.HasSuffix(file, "_test.go") || strings.Contains(file, "test/") {
			body, err := os.ReadFile(filepath.FromSlash(file))
			if err != nil {
				t.Fatal(err)
			}
			source.Write(body)
		}
	}
	all := source.String()
	names := regexp.MustCompile("`((?:eventstest/|sandboxtest/|deploymenttest/|sessiontest/)[A-Za-z]+|(?:Test|Fuzz)[A-Za-z]+)`").FindAllStringSubmatch(string(page), -1)
	if len(names) < 40 {
		t.Fatalf("found only %d names of tests", len(names))
	}
	for _, match := range names {
		name := match[1]
		_, suiteCase, isCase := strings.Cut(name, "/")
		found := strings.Contains(all, "func "+name+"(")
		if isCase {
			found = strings.Contains(all, `"`+suiteCase+`"`)
		}
		if !found {
			t.Errorf("docs/guarantees.md names %s, which is no test", name)
		}
	}
}

// TestLinksInDocsLeadSomewhere follows the relative links of every page.
func TestLinksInDocsLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append(append(pages, more...), "README.md", "AGENTS.md", "CHANGELOG.md")
	link := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	for _, page := range pages {
		body, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(string(body), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), match[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, match[1])
			}
		}
	}
}

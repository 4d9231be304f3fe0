// Command build renders content/*.txt into dist/: one page each, in one layout, with assets named after what they
// hold so that browsers may keep them for ever. It needs Go and nothing else.
package main

import (
	"fmt"
	"hash/fnv"
	"html"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

func main() {
	start := time.Now()
	if err := build(start); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
	fmt.Printf("built dist in %d ms\n", time.Since(start).Milliseconds())
}

func build(now time.Time) error {
	if err := os.RemoveAll("dist"); err != nil {
		return err
	}
	if err := os.MkdirAll("dist/assets", 0o755); err != nil {
		return err
	}
	assets, err := copyAssets()
	if err != nil {
		return err
	}
	layout, err := os.ReadFile("content/layout.html")
	if err != nil {
		return err
	}
	pages, err := readPages()
	if err != nil {
		return err
	}
	for _, p := range pages {
		values := append([]string{
			"{{title}}", html.EscapeString(p.title),
			"{{nav}}", nav(pages, p),
			"{{body}}", p.body,
			"{{built}}", now.UTC().Format("2 January 2006, 15:04:05 UTC"),
			"{{go}}", runtime.Version() + " on " + runtime.GOOS + "/" + runtime.GOARCH,
		}, assets...)
		out := strings.NewReplacer(values...).Replace(string(layout))
		if err := os.WriteFile(filepath.Join("dist", p.file), []byte(out), 0o644); err != nil {
			return err
		}
		fmt.Printf("wrote dist/%s (%d bytes)\n", p.file, len(out))
	}
	return nil
}

// copyAssets copies assets/* to dist/assets under names with a digest, and returns what to put for {{asset name}}.
func copyAssets() ([]string, error) {
	names, err := filepath.Glob("assets/*")
	if err != nil {
		return nil, err
	}
	var pairs []string
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		digest := fnv.New64a()
		digest.Write(data)
		base, ext := filepath.Base(name), filepath.Ext(name)
		hashed := fmt.Sprintf("assets/%s.%016x%s", strings.TrimSuffix(base, ext), digest.Sum64(), ext)
		if err := os.WriteFile(filepath.Join("dist", hashed), data, 0o644); err != nil {
			return nil, err
		}
		fmt.Printf("wrote dist/%s (%d bytes)\n", hashed, len(data))
		pairs = append(pairs, "{{asset "+base+"}}", hashed)
	}
	return pairs, nil
}

type page struct{ file, title, body string }

// readPages reads content/*.txt in the order of their names; the first is the front page.
func readPages() ([]page, error) {
	names, err := filepath.Glob("content/*.txt")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("content/ has no .txt files")
	}
	var pages []page
	for i, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		title, body := render(string(text))
		_, slug, _ := strings.Cut(strings.TrimSuffix(filepath.Base(name), ".txt"), "-")
		if i == 0 {
			slug = "index"
		}
		pages = append(pages, page{slug + ".html", title, body})
	}
	return pages, nil
}

func nav(pages []page, here page) string {
	var b strings.Builder
	for _, p := range pages {
		current := ""
		if p == here {
			current = ` aria-current="page"`
		}
		fmt.Fprintf(&b, `<a href="%s"%s>%s</a>`, p.file, current, html.EscapeString(p.title))
	}
	return b.String()
}

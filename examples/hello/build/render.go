package main

import (
	"html"
	"strings"
)

// render turns the little markup of content/ into HTML: `# title` on the first line, blocks apart by blank lines,
// `## heading`, lists of `- item`, and code in backquotes. Everything else is text.
func render(text string) (title, body string) {
	title, text, _ = strings.Cut(strings.TrimSpace(text), "\n")
	title = strings.TrimPrefix(title, "# ")
	var b strings.Builder
	for _, block := range strings.Split(text, "\n\n") {
		block = strings.TrimSpace(block)
		switch {
		case block == "":
		case strings.HasPrefix(block, "## "):
			b.WriteString("<h2>" + inline(block[3:]) + "</h2>\n")
		case strings.HasPrefix(block, "- "):
			b.WriteString("<ul>\n")
			for _, item := range strings.Split(block[2:], "\n- ") {
				b.WriteString("<li>" + inline(item) + "</li>\n")
			}
			b.WriteString("</ul>\n")
		default:
			b.WriteString("<p>" + inline(block) + "</p>\n")
		}
	}
	return title, b.String()
}

// inline escapes text and sets every second backquoted part as code.
func inline(text string) string {
	parts := strings.Split(html.EscapeString(text), "`")
	if len(parts)%2 == 0 {
		return strings.Join(parts, "`") // an odd backquote is text
	}
	for i := 1; i < len(parts); i += 2 {
		parts[i] = "<code>" + parts[i] + "</code>"
	}
	return strings.Join(parts, "")
}

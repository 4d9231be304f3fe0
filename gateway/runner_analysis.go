package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"vibesdk-gcp/platform/sandbox"
)

const (
	// analysisTimeout bounds each of the two checks.
	analysisTimeout = 3 * time.Minute
	// maxRawOutput bounds what is repeated of a check's output, in bytes.
	maxRawOutput = 64 << 10
)

// InstanceAnalysis is what the linter and the type checker of a project say.
type InstanceAnalysis struct {
	Outcome

	Lint      Check `json:"lint"`
	Typecheck Check `json:"typecheck"`
}

// Check is the result of one of them. A project without it, or output that is not understood, has no issues.
type Check struct {
	Issues  []Issue      `json:"issues"`
	Summary IssueSummary `json:"summary"`
	// RawOutput is the beginning of what was printed when issues are not all that it says.
	RawOutput string `json:"rawOutput,omitempty"`
}

// Issue is one finding. FilePath is relative to the project.
type Issue struct {
	Message  string `json:"message"`
	FilePath string `json:"filePath"`
	Line     int    `json:"line"`
	Column   int    `json:"column,omitempty"`
	Severity string `json:"severity"` // error, warning or info
	RuleID   string `json:"ruleId,omitempty"`
	Source   string `json:"source"`
}

// IssueSummary counts issues by severity.
type IssueSummary struct {
	ErrorCount   int `json:"errorCount"`
	WarningCount int `json:"warningCount"`
	InfoCount    int `json:"infoCount"`
}

// The checks, each after a command that tells the project's folder. The linter is the project's own script if that
// prints ESLint's JSON, else ESLint itself.
var (
	lintScript  = "[ -f package.json ] && " + withBun("bun run --silent lint", "npm run --silent --if-present lint")
	lintItself  = "[ -x node_modules/.bin/eslint ] && node_modules/.bin/eslint --format json ."
	checkScript = "[ -x node_modules/.bin/tsc ] && [ -f tsconfig.json ] && node_modules/.bin/tsc -b --incremental --noEmit --pretty false"
)

// analyze checks the whole project, whatever files the caller names: one file's types depend on the others.
func (g *Gateway) analyze(w http.ResponseWriter, r *http.Request) error {
	_, control, err := g.liveInstance(r)
	if err != nil {
		return err
	}
	answer := InstanceAnalysis{Outcome: Outcome{Success: true}}
	both, ctx := errgroup.WithContext(r.Context())
	both.Go(func() error { return lint(ctx, control, &answer.Lint) })
	both.Go(func() error {
		folder, output, err := check(ctx, control, checkScript)
		answer.Typecheck = newCheck(parseTypes(output, folder), output)
		return err
	})
	if err := both.Wait(); err != nil {
		return lostGuest(err)
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func lint(ctx context.Context, control *sandbox.Control, into *Check) error {
	var output string
	for _, script := range []string{lintScript, lintItself} {
		folder, printed, err := check(ctx, control, script)
		if err != nil {
			return err
		}
		if issues, ok := parseLint(printed, folder); ok {
			*into = newCheck(issues, "")
			return nil
		}
		if output == "" {
			output = printed
		}
	}
	*into = newCheck(nil, output)
	return nil
}

// check runs a script, and returns the project's folder and what the script printed.
func check(ctx context.Context, control *sandbox.Control, script string) (folder, output string, err error) {
	results, err := control.Run(ctx, []string{"pwd -P", script}, analysisTimeout)
	if err != nil {
		return "", "", err
	}
	return strings.TrimSpace(results[0].Output), results[1].Output, nil
}

func newCheck(issues []Issue, output string) Check {
	c := Check{Issues: issues, RawOutput: strings.ToValidUTF8(output[:min(len(output), maxRawOutput)], "")}
	if c.Issues == nil {
		c.Issues = []Issue{}
	}
	for _, issue := range issues {
		switch issue.Severity {
		case "error":
			c.Summary.ErrorCount++
		case "warning":
			c.Summary.WarningCount++
		default:
			c.Summary.InfoCount++
		}
	}
	return c
}

// parseLint reads ESLint's JSON, which tools may have put lines in front of.
func parseLint(output, folder string) (issues []Issue, ok bool) {
	start := 0
	if !strings.HasPrefix(output, "[") {
		if start = strings.Index(output, "\n[") + 1; start == 0 {
			return nil, false
		}
	}
	var files []struct {
		FilePath string `json:"filePath"`
		Messages []struct {
			RuleID   string `json:"ruleId"`
			Severity int    `json:"severity"`
			Message  string `json:"message"`
			Line     int    `json:"line"`
			Column   int    `json:"column"`
		} `json:"messages"`
	}
	if err := json.NewDecoder(strings.NewReader(output[start:])).Decode(&files); err != nil {
		return nil, false
	}
	for _, f := range files {
		for _, m := range f.Messages {
			issue := Issue{Message: m.Message, FilePath: relative(f.FilePath, folder), Line: m.Line, Column: m.Column, Severity: "info", RuleID: m.RuleID, Source: "eslint"}
			switch m.Severity {
			case 1:
				issue.Severity = "warning"
			case 2:
				issue.Severity = "error"
			}
			issues = append(issues, issue)
		}
	}
	return issues, true
}

// typeLine is a finding of the TypeScript compiler; lines that follow indented belong to it.
var typeLine = regexp.MustCompile(`^(.+?)\((\d+),(\d+)\): (error|warning|info|message) (TS\d+): (.*)$`)

func parseTypes(output, folder string) []Issue {
	var issues []Issue
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n")
		found := typeLine.FindStringSubmatch(line)
		if found == nil {
			if strings.HasPrefix(line, " ") && len(issues) > 0 {
				issues[len(issues)-1].Message += "\n" + line
			}
			continue
		}
		severity := found[4]
		if severity == "message" {
			severity = "info"
		}
		row, _ := strconv.Atoi(found[2]) // digits; what does not fit is 0 or the largest
		column, _ := strconv.Atoi(found[3])
		issues = append(issues, Issue{Message: found[6], FilePath: relative(found[1], folder), Line: row, Column: column, Severity: severity, RuleID: found[5], Source: "typescript"})
	}
	return issues
}

// relative takes the project's folder off a path.
func relative(name, folder string) string {
	if folder == "" {
		return name
	}
	return strings.TrimPrefix(name, strings.TrimSuffix(folder, "/")+"/")
}

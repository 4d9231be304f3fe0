package gateway

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/session"
)

// Every problem that the source makes, by hand or from a port's error, is a row of the one table, with its status.
func TestEveryProblemIsInTheTable(t *testing.T) {
	t.Parallel()
	statusOf := map[string]int{}
	for code := 100; code < 600; code++ {
		if text := http.StatusText(code); text != "" {
			statusOf[strings.NewReplacer(" ", "", "-", "", "'", "").Replace(text)] = code
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{"internal": true, "too-large": true, "version": true, "rate-limited": true} // made in problemOf
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok || fmt.Sprint(literal.Type) != "httpError" {
				return true
			}
			at := set.Position(literal.Pos())
			if len(literal.Elts) != 3 {
				t.Errorf("%s: a problem with %d fields", at, len(literal.Elts))
				return true
			}
			status, isName := literal.Elts[0].(*ast.SelectorExpr)
			code, isText := literal.Elts[1].(*ast.BasicLit)
			if !isName || !isText {
				t.Errorf("%s: status and code of a problem are written out", at)
				return true
			}
			name, err := strconv.Unquote(code.Value)
			if err != nil {
				t.Fatal(err)
			}
			want := statusOf[strings.TrimPrefix(status.Sel.Name, "Status")]
			if problemCodes[name] == 0 || problemCodes[name] != want {
				t.Errorf("%s: %q with %s (%d) is not in the table", at, name, status.Sel.Name, want)
			}
			used[name] = true
			return true
		})
	}
	for _, row := range statuses {
		if problemCodes[row.code] != row.status {
			t.Errorf("%v: %q with %d is not in the table", row.is, row.code, row.status)
		}
		used[row.code] = true
		if p := problemOf(fmt.Errorf("wrapped: %w", row.is)); p.Status != row.status || p.Type != problemURN+row.code {
			t.Errorf("%v is %+v", row.is, p)
		}
	}
	for code := range problemCodes {
		if !used[code] {
			t.Errorf("nothing makes the problem %q", code)
		}
	}
	// What is away is no fault of ours: clients try again.
	for _, err := range []error{
		fmt.Errorf("publish: %w: a secret cause", events.ErrUnavailable), fmt.Errorf("load: %w: a secret cause", session.ErrUnavailable),
		fmt.Errorf("secret %w", io.ErrUnexpectedEOF), &net.OpError{Op: "dial secret", Err: syscall.ECONNREFUSED},
	} {
		if p := problemOf(err); p.Status != http.StatusServiceUnavailable || p.Type != problemURN+"unavailable" || strings.Contains(p.text(), "secret") {
			t.Errorf("%v is %+v", err, p)
		}
	}
	if p := problemOf(fmt.Errorf("%w: %w", events.ErrUnavailable, context.DeadlineExceeded)); p.Status != http.StatusGatewayTimeout {
		t.Errorf("a deadline that passed is %+v", p)
	}
	if p := problemOf(errors.New("a secret cause")); p.Status != 500 || strings.Contains(p.Detail, "secret") {
		t.Errorf("an error of ours is told as %+v", p)
	}
}

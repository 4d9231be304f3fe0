package gateway

import "net/http"

// RouteOf returns the method and path of the row that a request would get, as the document writes them; empty when there is none.
func RouteOf(g *Gateway, r *http.Request) (method, path string) {
	row, _ := g.table.find(r.Clone(r.Context()))
	if row == nil {
		return "", ""
	}
	return row.method, documentPath(row.path)
}

// Row is what a test sees of a row.
type Row struct{ Method, Path, Scope string }

// Rows are those of the table, with paths as the document writes them.
func Rows(g *Gateway) []Row {
	var rows []Row
	for _, row := range g.table.rows {
		rows = append(rows, Row{row.method, documentPath(row.path), string(row.scope)})
	}
	return rows
}

package cfexport

import (
	"fmt"

	"vibesdk-gcp/internal/jsondoc"
)

// dump is what PartTables holds, and what a whole dump is while it is written.
type dump struct {
	tables []*table
	// storage is nil when the dump has none.
	storage row
	stored  bool
}

// table is a SQL table; rows are JSON objects.
type table struct {
	name string
	rows [][]byte
}

func parseDump(text []byte) (*dump, error) {
	d := &dump{}
	seen := map[string]bool{}
	err := jsondoc.Object(text, func(name string, value []byte) (err error) {
		if seen[name] {
			return fmt.Errorf("%s comes twice", name)
		}
		seen[name] = true
		switch name {
		case "tables":
			err = d.readTables(value)
		case "storage":
			d.stored = true
			if d.storage, err = readRow(value); err != nil {
				err = fmt.Errorf("storage: %w", err)
			}
		default:
			err = fmt.Errorf("unknown member %q", name)
		}
		return err
	})
	if err == nil && !seen["tables"] {
		err = fmt.Errorf("tables is missing")
	}
	return d, err
}

func (d *dump) readTables(text []byte) error {
	return jsondoc.Object(text, func(name string, value []byte) error {
		if d.find(name) != nil {
			return fmt.Errorf("table %q comes twice", name)
		}
		t := &table{name: name}
		d.tables = append(d.tables, t)
		err := jsondoc.Array(value, func(row []byte) error {
			if row[0] != '{' {
				return fmt.Errorf("row %d is not an object", len(t.rows))
			}
			t.rows = append(t.rows, row)
			return nil
		})
		if err != nil {
			return fmt.Errorf("table %q: %w", name, err)
		}
		return nil
	})
}

func (d *dump) find(name string) *table {
	for _, t := range d.tables {
		if t.name == name {
			return t
		}
	}
	return nil
}

// add puts rows into a table, which it makes when there is none.
func (d *dump) add(name string, rows ...[]byte) {
	t := d.find(name)
	if t == nil {
		t = &table{name: name}
		d.tables = append(d.tables, t)
	}
	t.rows = append(t.rows, rows...)
}

func (d *dump) write() []byte {
	out := []byte(`{"tables":{`)
	for i, t := range d.tables {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, jsondoc.Quote(t.name)...), ':', '[')
		for j, r := range t.rows {
			if j > 0 {
				out = append(out, ',')
			}
			out = append(out, r...)
		}
		out = append(out, ']')
	}
	out = append(out, '}')
	if d.stored {
		out = append(append(out, `,"storage":`...), d.storage.write()...)
	}
	return append(out, '}')
}

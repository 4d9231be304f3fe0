package schemas

import (
	"embed"
	"io/fs"
)

//go:embed sql/*/*.sql
var sqlFiles embed.FS

// SQL holds the numbered migrations, in one folder for each dialect: `sqlite` and `postgres`.
func SQL() fs.FS {
	sub, err := fs.Sub(sqlFiles, "sql")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	return sub
}

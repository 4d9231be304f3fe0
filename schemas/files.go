package schemas

import (
	"embed"
	"io/fs"
)

//go:embed sql/*/*.sql
var sqlFiles embed.FS

//go:embed *.proto
var protoFiles embed.FS

// Protos holds the .proto files, by the names that the topic table gives.
func Protos() fs.FS { return protoFiles }

// SQL holds the numbered migrations, in one folder for each dialect: `sqlite` and `postgres`.
func SQL() fs.FS {
	sub, err := fs.Sub(sqlFiles, "sql")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	return sub
}

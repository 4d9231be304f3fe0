package schemas

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"vibesdk-gcp/schemas/gen"
)

// Limits of an inline source. Larger projects travel as an archive.
const (
	MaxFiles = 5000
	// MaxFilesBytes is for the content and data of all files together. As base64 they still fit into one message.
	MaxFilesBytes = 6 << 20
)

// archives are the endings that an archive_uri may have.
var archives = []string{".tar", ".tar.gz", ".tgz", ".zip"}

func validateSource(s *gen.SandboxRequest_Source, f *faults) {
	files, archive := s.GetFiles(), s.GetArchiveUri()
	switch {
	case len(files) > 0 && archive != "":
		f.add("source", "only one of files and archiveUri may be given")
	case len(files) == 0 && archive == "":
		f.missing("one of source.files and source.archiveUri is required", "source")
	}
	if archive != "" {
		f.check("source.archiveUri", address(archive, archives...))
	}
	if len(files) > MaxFiles {
		f.add("source.files", "has %d files, the limit is %d", len(files), MaxFiles)
		return
	}
	total := 0
	for i, file := range files {
		total += len(file.GetContent()) + len(file.GetData())
		if file.GetContent() != "" && len(file.GetData()) > 0 {
			f.add(filePlace(i, "data"), "only one of content and data may be given")
		}
		if !utf8.ValidString(file.GetContent()) {
			f.add(filePlace(i, "content"), "must be valid UTF-8: give it as data")
		}
	}
	if total > MaxFilesBytes {
		f.add("source.files", "hold %d bytes, the limit is %d", total, MaxFilesBytes)
	}
	validatePaths(files, f)
}

func filePlace(i int, field string) string { return fmt.Sprintf("source.files[%d].%s", i, field) }

// validatePaths also finds two files of one path, and a file where another needs a folder.
func validatePaths(files []*gen.SandboxRequest_File, f *faults) {
	first := make(map[string]int, len(files))
	for i, file := range files {
		if problem := filePath(file.GetPath()); problem != "" {
			f.add(filePlace(i, "path"), "%s", problem)
			continue
		}
		if earlier, ok := first[file.GetPath()]; ok {
			f.add(filePlace(i, "path"), "is the path of source.files[%d], too", earlier)
			continue
		}
		first[file.GetPath()] = i
	}
	for i, file := range files {
		for folder := parent(file.GetPath()); folder != ""; folder = parent(folder) {
			if other, ok := first[folder]; ok {
				f.add(filePlace(i, "path"), "needs a folder where source.files[%d] is a file", other)
				break
			}
		}
	}
}

func filePath(value string) string {
	switch value {
	case "":
		return "is required"
	case ".":
		return "must name a file"
	default:
		return insideProject(value)
	}
}

// parent returns the folder of a relative path, "" at the top.
func parent(p string) string { return p[:max(strings.LastIndexByte(p, '/'), 0)] }

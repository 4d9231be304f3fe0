package processsandbox

import (
	"encoding/json"
	"os"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

// trustFor is how long an unchanged file is believed to be the same one. Files that follow each other within
// one tick of the file system's clock can look alike.
const trustFor = 250 * time.Millisecond

// statusFile reads what sandboxd reports. It remembers the last content, so that looking often is cheap. The caller
// takes turns.
type statusFile struct {
	path string

	info   os.FileInfo
	readAt time.Time
	status sandbox.GuestStatus
}

// read returns the status, the zero one if there is none yet. sandboxd replaces the file as a whole, so what does
// not parse was cut off by a crash of the machine and counts as none.
func (s *statusFile) read() sandbox.GuestStatus {
	info, err := os.Stat(s.path)
	if err != nil {
		return s.status
	}
	if s.info != nil && os.SameFile(info, s.info) && info.ModTime().Equal(s.info.ModTime()) && info.Size() == s.info.Size() && time.Since(s.readAt) < trustFor {
		return s.status
	}
	body, err := os.ReadFile(s.path)
	if err != nil {
		return s.status
	}
	var status sandbox.GuestStatus
	if json.Unmarshal(body, &status) != nil {
		return s.status
	}
	s.info, s.readAt, s.status = info, time.Now(), status
	return status
}

func (s *statusFile) write(status sandbox.GuestStatus) error {
	status.UpdatedAt = time.Now().UTC()
	return writeFile(s.path, status)
}

// writeFile replaces a file by v as JSON, readable by nobody else.
func writeFile(path string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	part := path + ".part"
	if err := os.WriteFile(part, body, 0o600); err != nil {
		return err
	}
	return os.Rename(part, path)
}

package processsandbox

// RemoveFolder lets a test remove a folder as another user.
func RemoveFolder(path string) error { return removeFolder(path) }

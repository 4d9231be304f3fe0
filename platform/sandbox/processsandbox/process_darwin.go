package processsandbox

// ownerOf is empty: this system does not show other processes' environment.
func ownerOf(int) string { return "" }

//go:build !crashpoint

package crashpoint

// Enabled tells whether this program was built with `-tags crashpoint`.
const Enabled = false

// Hit does nothing in this build.
func (Point) Hit() {}

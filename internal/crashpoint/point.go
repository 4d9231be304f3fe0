package crashpoint

import (
	"fmt"
	"slices"
	"sync"
)

// Point is a place where a test can kill the program. Make it with [New].
type Point struct{ name string }

// Name returns the name given to [New].
func (p Point) Name() string { return p.name }

var registry struct {
	sync.Mutex
	names []string
}

// New registers a point. It is for package variables: it panics when the name is empty or taken, because both
// are mistakes in the source. The name is "<package>/<place>".
func New(name string) Point {
	registry.Lock()
	defer registry.Unlock()
	if name == "" {
		panic("crashpoint: name is empty")
	}
	if slices.Contains(registry.names, name) {
		panic(fmt.Sprintf("crashpoint: %q is registered twice", name))
	}
	registry.names = append(registry.names, name)
	return Point{name}
}

// Names lists the points of the packages linked into this program, sorted.
func Names() []string {
	registry.Lock()
	defer registry.Unlock()
	return slices.Sorted(slices.Values(registry.names))
}

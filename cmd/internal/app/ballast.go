package app

import "sync"

// ballast makes the garbage collector see a heap that is never small: it collects when the heap has doubled, counting
// these bytes as live. A server that is mostly idle has a live heap of a few megabytes, and would under load collect
// dozens of times a second. Nothing writes to it, so it takes address space and no memory; what it costs is that at most as much
// garbage is resident. It is one for the process, however many apps run in it.
var ballast = sync.OnceValue(func() []byte { return make([]byte, 48<<20) })

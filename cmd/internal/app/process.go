package app

import (
	"runtime"
	"sync"
)

// ballast makes the garbage collector see a heap that is never small: it collects when the heap has doubled, counting
// these bytes as live. A server that is mostly idle has a live heap of a few megabytes, and would under load collect
// dozens of times a second. Nothing writes to it, so it takes address space and no memory; what it costs is that at most as much
// garbage is resident. It is one for the process, however many apps run in it.
var ballast = sync.OnceValue(func() []byte { return make([]byte, 48<<20) })

// spareProcessor lets the process run Go code on one thread more than the machine has processors. The pollers of the router's fast lane, one for each
// processor, wait within system calls. Without a spare one the scheduler takes the place of each that waits and looks for other work, which costs
// as much as the requests do. It is one for the process, as the ballast.
var spareProcessor = sync.OnceFunc(func() { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1) })

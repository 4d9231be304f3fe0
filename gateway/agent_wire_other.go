//go:build !unix

package gateway

import "errors"

// canTry says that writeNow works here.
const canTry = false

func writeNow(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

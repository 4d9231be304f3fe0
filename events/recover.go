package events

import (
	"context"
	"fmt"
	"runtime"
	"strings"
)

// recovered makes an error of a panic and of runtime.Goexit, so that one bad message cannot end the process or
// a driver's goroutine. For the latter the handler runs in a goroutine of its own, which is left behind when
// abandon is closed before the handler returned.
func recovered(abandon <-chan struct{}, next call) call {
	return func(ctx context.Context, run []Message) error {
		result := make(chan error, 1)
		go func() {
			err := ErrExit
			defer func() {
				if value := recover(); value != nil {
					err = &PanicError{Value: value, Stack: panicStack()}
				}
				result <- err
			}()
			err = next(ctx, run)
		}()
		select {
		case err := <-result:
			return err
		case <-abandon:
			return fmt.Errorf("%w, the handler did not return", ErrDraining)
		}
	}
}

// panicStack lists the frames below the panic, innermost first. It is called from the deferred function that
// recovered.
func panicStack() string {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	var lines []string
	panicked := false
	for {
		frame, more := frames.Next()
		switch {
		case frame.Function == "runtime.gopanic":
			panicked, lines = true, nil
		case panicked && !strings.HasPrefix(frame.Function, "runtime."):
			file := frame.File[strings.LastIndexByte(frame.File, '/')+1:]
			lines = append(lines, fmt.Sprintf("%s (%s:%d)", frame.Function, file, frame.Line))
		}
		if !more {
			return strings.Join(lines, "\n")
		}
	}
}

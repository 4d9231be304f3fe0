package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// Pace is how fast a body must arrive: whoever sends a byte now and then would hold a connection, and what a handler
// began, for as long as he likes.
type Pace struct {
	// Grace is how long a body may take whatever its size. Defaults to 30 s.
	Grace time.Duration
	// Rate is how many bytes must arrive in each second after that. Defaults to 16 KiB.
	Rate int64
}

func (p Pace) withDefaults() Pace {
	setDefault(&p.Grace, 30*time.Second)
	setDefault(&p.Rate, 16<<10)
	return p
}

// pacedBody sets the deadline of a connection by what has arrived.
type pacedBody struct {
	io.ReadCloser

	control  *http.ResponseController
	pace     Pace
	start    time.Time
	received int64
	// deadline is the one that is set.
	deadline time.Time
}

// paced returns the request with a body that must keep the pace. The deadline is set at once, also for a handler that never reads: the
// server reads on before it takes the next request.
func paced(r *http.Request, control *http.ResponseController, pace Pace) *http.Request {
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return r
	}
	b := &pacedBody{ReadCloser: r.Body, control: control, pace: pace, start: time.Now()}
	b.extend()
	r.Body = b
	return r
}

// extend moves the deadline on, in steps, since it costs a little.
func (b *pacedBody) extend() {
	earned := time.Duration(float64(b.received) / float64(b.pace.Rate) * float64(time.Second))
	if next := b.start.Add(b.pace.Grace + earned); next.Sub(b.deadline) >= b.pace.Grace/8 {
		b.deadline = next
		_ = b.control.SetReadDeadline(next) // a connection without deadlines is a test's
	}
}

// Read implements io.Reader.
func (b *pacedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.received += int64(n)
	switch {
	case err == io.EOF:
		// The connection is watched for its end from here on, which may be long after the deadline.
		_ = b.control.SetReadDeadline(time.Time{}) // as above
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, errTooSlow
	case err == nil:
		b.extend()
	}
	return n, err
}

var errTooSlow = &httpError{http.StatusRequestTimeout, "too-slow", "the body arrived too slowly"}

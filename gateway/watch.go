package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// keepAlive is how often a silent event stream sends a comment, below the idle limits of common proxies.
const keepAlive = 15 * time.Second

// watch sends the record now and at each change, as server-sent events named `sandbox` whose id is the version,
// and ends after the last state. It looks at the record each PollEvery; quick changes may show as one. A caller that comes back with
// Last-Event-ID gets what is newer, and 204 when there will be nothing newer, at which browsers stop.
func (g *Gateway) watch(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	record, err := g.Records.Load(ctx, id)
	if err != nil {
		return err
	}
	var sent int64
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		if sent, err = strconv.ParseInt(last, 10, 64); err != nil || sent < 0 {
			return invalid("Last-Event-ID", "must be the id of an event of this stream")
		}
		if record.State.Terminal() && sent >= record.Version {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
	}
	w.Header().Set("Content-Type", eventStreamType)
	w.Header().Set("Cache-Control", "no-store")
	flush := http.NewResponseController(w)
	poll, alive := time.NewTicker(g.PollEvery), time.NewTicker(keepAlive)
	defer poll.Stop()
	defer alive.Stop()
	_ = flush.Flush() // the caller sees that the stream is open
	for {
		if record.Version > sent {
			sent = record.Version
			data, err := json.Marshal(g.view(record))
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "event: sandbox\nid: %d\ndata: %s\n\n", sent, data); err != nil {
				return nil // the caller is gone
			}
			_ = flush.Flush() // the write after it tells
		}
		if record.State.Terminal() {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-g.draining:
			return nil
		case <-alive.C:
			fmt.Fprint(w, ": still here\n\n")
			_ = flush.Flush() // as above
		case <-poll.C:
		}
		if record, err = g.Records.Load(ctx, id); err != nil {
			if ctx.Err() == nil {
				g.log.WarnContext(ctx, "event stream broke", "sandbox", id, "error", err)
			}
			panic(http.ErrAbortHandler) // the status is sent: cutting the connection is the way left to say so
		}
	}
}

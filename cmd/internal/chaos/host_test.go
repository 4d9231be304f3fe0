package chaos_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/chaos"
)

// agentHost is called when jobs are due. While it is faulty a tenth of its calls fail, and a tenth lose their answer.
type agentHost struct {
	*httptest.Server
	history *chaos.History
	faulty  atomic.Bool

	mu   sync.Mutex
	rand *rand.Rand
}

func newAgentHost(t *testing.T, history *chaos.History, seed uint64) *agentHost {
	t.Helper()
	h := &agentHost{history: history, rand: rand.New(rand.NewPCG(seed, 77))}
	h.faulty.Store(true)
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

// ServeHTTP implements http.Handler.
func (h *agentHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	var call struct {
		SessionID string `json:"sessionId"`
		Job       struct {
			ID string `json:"id"`
		} `json:"job"`
		Run int64 `json:"run"`
	}
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	dice := h.rand.IntN(10)
	h.mu.Unlock()
	fails := h.faulty.Load() && dice < 2
	h.history.Called(chaos.Call{
		Session: call.SessionID, Job: call.Job.ID, Run: call.Run, Key: r.Header.Get("Idempotency-Key"), At: at, Answered: !fails,
	})
	switch {
	case fails && dice == 0:
		http.Error(w, "out of luck", http.StatusInternalServerError)
	case fails: // the work is done, and the connection breaks
		panic(http.ErrAbortHandler)
	}
}

package chaos_test

import (
	"testing"
	"time"

	"vibesdk-gcp/cmd/internal/chaos"
)

var t0 = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// healthy is a small run in which all is well.
func healthy() (*chaos.History, chaos.Final) {
	h := chaos.NewHistory()
	for _, id := range []string{"a", "b", "c", "lost answer", "never came", "refused", "given up"} {
		h.Invoke("s", id)
		switch id {
		case "a":
			h.Told(id, chaos.Applied, 2)
		case "refused":
			h.Told(id, chaos.Rejected, 0)
		case "lost answer", "never came":
			h.Told(id, chaos.Unknown, 0)
		default:
			h.Told(id, chaos.Accepted, 0)
		}
	}
	h.Saw("s", h.Floor("s"), 3)
	for _, j := range []chaos.Job{
		{Session: "j", ID: "first", Queued: true}, {Session: "j", ID: "second", Queued: true},
		{Session: "j", ID: "later", NotBefore: t0.Add(time.Second)}, {Session: "j", ID: "hopeless"},
	} {
		h.InvokeJob(j)
		h.ToldJob(j.ID, chaos.Applied)
	}
	for _, c := range []chaos.Call{
		{Job: "first", Run: 1, Key: "f1"}, {Job: "first", Run: 2, Key: "f2", Answered: true}, {Job: "first", Run: 2, Key: "f2", Answered: true},
		{Job: "hopeless", Run: 1, Key: "h1"},
		{Job: "second", Run: 1, Key: "s1", Answered: true}, {Job: "later", Run: 1, Key: "l1", At: t0.Add(2 * time.Second), Answered: true},
	} {
		c.Session = "j"
		h.Called(c)
	}
	for i := range 5 {
		outcome := chaos.Applied
		if i > 2 {
			outcome = chaos.Rejected
		}
		h.Charged(chaos.Charge{Limit: "three", Identifier: "u", Begun: t0, Ended: t0, Outcome: outcome})
	}
	h.Charged(chaos.Charge{Limit: "three", Identifier: "u", Begun: t0, Ended: t0, Outcome: chaos.Applied, Degraded: true})
	h.ToldRequest("r", chaos.Accepted)
	h.ToldRequest("unheard", chaos.Unknown)
	h.ToldPoison("p", chaos.Accepted)
	return h, chaos.Final{
		Sessions:  map[string]chaos.Session{"s": {Version: 5, List: []string{"a", "b", "c", "lost answer"}}},
		Jobs:      map[string]chaos.Left{"hopeless": {Parked: true, LastError: "the host said no"}},
		Letters:   []chaos.Letter{{MessageID: "p", Subscription: "statewriter"}, {MessageID: "e", Subscription: "statewriter", Subject: "given up"}},
		Sandboxes: []chaos.Sandbox{{ID: "sbx", RequestID: "r", Ended: true}},
		Limits:    map[string]float64{"three": 3}, RedisForgets: 2 * time.Second, Gateways: 1,
	}
}

func TestNothingIsFoundWhenAllIsWell(t *testing.T) {
	t.Parallel()
	if found := chaos.Check(healthy()); len(found) > 0 {
		t.Errorf("found\n%s", chaos.List(found))
	}
}

// TestCheckFindsWhatIsDoctored changes one thing of a good run at a time, and wants exactly that to be found.
func TestCheckFindsWhatIsDoctored(t *testing.T) {
	t.Parallel()
	list := func(version int64, members ...string) func(*chaos.History, *chaos.Final) {
		return func(_ *chaos.History, f *chaos.Final) {
			f.Sessions["s"] = chaos.Session{Version: version, List: members}
		}
	}
	call := func(c chaos.Call) func(*chaos.History, *chaos.Final) {
		return func(h *chaos.History, _ *chaos.Final) { h.Called(c) }
	}
	charge := func(n int, c chaos.Charge) func(*chaos.History, *chaos.Final) {
		return func(h *chaos.History, _ *chaos.Final) {
			for range n {
				h.Charged(c)
			}
		}
	}
	for name, c := range map[string]struct {
		doctor func(*chaos.History, *chaos.Final)
		want   chaos.Kind // "" is nothing
	}{
		"an accepted mutation is gone": {list(4, "a", "b", "lost answer"), chaos.Lost},
		"an applied mutation is gone":  {func(h *chaos.History, _ *chaos.Final) { h.Invoke("s", "z"); h.Told("z", chaos.Applied, 0) }, chaos.Lost},
		"a whole session is gone":      {func(_ *chaos.History, f *chaos.Final) { delete(f.Sessions, "s") }, chaos.Lost},
		"a dead letter is gone":        {func(_ *chaos.History, f *chaos.Final) { f.Letters = f.Letters[:1] }, chaos.Lost},
		"a mutation is there twice":    {list(6, "a", "b", "c", "lost answer", "b"), chaos.Doubled},
		"a mutation without a sender":  {list(6, "a", "b", "c", "lost answer", "x"), chaos.Invented},
		"a mutation of another session": {func(h *chaos.History, f *chaos.Final) {
			h.Invoke("t", "z")
			list(6, "a", "b", "c", "lost answer", "z")(h, f)
		}, chaos.Invented},
		"a rejected mutation":                 {list(6, "a", "b", "c", "lost answer", "refused"), chaos.Invented},
		"mutations change places":             {list(5, "a", "c", "b", "lost answer"), chaos.Reordered},
		"a known one after an unknown one":    {list(5, "a", "b", "lost answer", "c"), chaos.Reordered},
		"an unknown one is free to come late": {list(6, "a", "b", "c", "lost answer", "never came"), ""},
		"a version is skipped":                {list(6, "a", "b", "c", "lost answer"), chaos.Wrong},
		"a version counts too few":            {list(4, "a", "b", "c", "lost answer"), chaos.Wrong},
		"a client was told another version":   {func(h *chaos.History, _ *chaos.Final) { h.Told("b", chaos.Applied, 4) }, chaos.Wrong},
		"a read goes back":                    {func(h *chaos.History, _ *chaos.Final) { h.Saw("s", h.Floor("s"), 2) }, chaos.Wrong},
		"poison is swallowed":                 {func(_ *chaos.History, f *chaos.Final) { f.Letters = f.Letters[1:] }, chaos.Lost},
		"a letter is filed twice":             {func(_ *chaos.History, f *chaos.Final) { f.Letters = append(f.Letters, f.Letters[0]) }, chaos.Doubled},
		"a job is never called":               {func(h *chaos.History, _ *chaos.Final) { h.Calls = h.Calls[:len(h.Calls)-1] }, chaos.Lost},
		"a job is never answered":             {func(h *chaos.History, _ *chaos.Final) { h.Calls[4].Answered = false }, chaos.Lost},
		"a job is still there":                {func(_ *chaos.History, f *chaos.Final) { f.Jobs["later"] = chaos.Left{} }, chaos.Waiting},
		"a job that failed for good is gone":  {func(_ *chaos.History, f *chaos.Final) { delete(f.Jobs, "hopeless") }, chaos.Lost},
		"a run has two keys":                  {call(chaos.Call{Session: "j", Job: "second", Run: 1, Key: "s2", Answered: true}), chaos.Wrong},
		"two runs have one key":               {call(chaos.Call{Session: "j", Job: "second", Run: 2, Key: "s1", Answered: true}), chaos.Wrong},
		"a job without a sender":              {call(chaos.Call{Session: "j", Job: "x", Run: 1, Key: "x1"}), chaos.Invented},
		"a job runs early":                    {func(h *chaos.History, _ *chaos.Final) { h.Calls[5].At = t0.Add(time.Second - time.Millisecond) }, chaos.Early},
		"a rejected job runs":                 {func(h *chaos.History, _ *chaos.Final) { h.Jobs["later"].Outcome = chaos.Rejected }, chaos.Invented},
		"a queue is not in order":             {func(h *chaos.History, _ *chaos.Final) { h.Calls[0], h.Calls[4] = h.Calls[4], h.Calls[0] }, chaos.Reordered},
		"a limit admits one more":             {charge(1, chaos.Charge{Limit: "three", Identifier: "u", Begun: t0, Ended: t0, Outcome: chaos.Applied}), chaos.Over},
		"a limit rejects too early":           {charge(1, chaos.Charge{Limit: "three", Identifier: "v", Outcome: chaos.Rejected}), chaos.Over},
		"unknown charges may have counted": {func(h *chaos.History, f *chaos.Final) {
			charge(3, chaos.Charge{Limit: "three", Identifier: "v"})(h, f)
			charge(1, chaos.Charge{Limit: "three", Identifier: "v", Outcome: chaos.Rejected})(h, f)
		}, ""},
		"what a gateway decided may have counted": {func(h *chaos.History, f *chaos.Final) {
			charge(3, chaos.Charge{Limit: "three", Identifier: "v", Outcome: chaos.Applied, Degraded: true})(h, f)
			charge(1, chaos.Charge{Limit: "three", Identifier: "v", Outcome: chaos.Rejected})(h, f)
		}, ""},
		"a gateway admits more than the limit": {charge(3, chaos.Charge{Limit: "three", Identifier: "u", Outcome: chaos.Applied, Degraded: true}), chaos.Over},
		"a killed Redis may forget": {func(h *chaos.History, f *chaos.Final) {
			f.RedisKilled = []time.Time{t0.Add(time.Second)}
			charge(3, chaos.Charge{Limit: "three", Identifier: "u", Begun: t0.Add(2 * time.Second), Ended: t0.Add(2 * time.Second), Outcome: chaos.Applied})(h, f)
		}, ""},
		"and no more than of two seconds": {func(h *chaos.History, f *chaos.Final) {
			f.RedisKilled = []time.Time{t0.Add(3 * time.Second)}
			charge(1, chaos.Charge{Limit: "three", Identifier: "u", Begun: t0.Add(4 * time.Second), Ended: t0.Add(4 * time.Second), Outcome: chaos.Applied})(h, f)
		}, chaos.Over},
		"a sandbox was never made": {func(_ *chaos.History, f *chaos.Final) { f.Sandboxes = nil }, chaos.Lost},
		"a request makes two sandboxes": {func(_ *chaos.History, f *chaos.Final) {
			f.Sandboxes = append(f.Sandboxes, chaos.Sandbox{ID: "sbx2", RequestID: "r", Ended: true})
		}, chaos.Doubled},
		"a sandbox without a request": {func(_ *chaos.History, f *chaos.Final) {
			f.Sandboxes = append(f.Sandboxes, chaos.Sandbox{ID: "sbx2", RequestID: "x", Ended: true})
		}, chaos.Invented},
		"a sandbox goes on":                {func(_ *chaos.History, f *chaos.Final) { f.Sandboxes[0].Ended = false }, chaos.Waiting},
		"a sandbox fails and nobody knows": {func(_ *chaos.History, f *chaos.Final) { f.Sandboxes[0].Failed = true }, chaos.Wrong},
		"a message waits":                  {func(_ *chaos.History, f *chaos.Final) { f.Waiting = map[string]int{"statewriter": 1} }, chaos.Waiting},
		"a process is left":                {func(_ *chaos.History, f *chaos.Final) { f.Orphans = []string{"process 7 of sbx"} }, chaos.Orphan},
		"a program panics":                 {func(_ *chaos.History, f *chaos.Final) { f.Panics = []string{"gateway: panic: oh"} }, chaos.Panic},
	} {
		h, f := healthy()
		c.doctor(h, &f)
		found := chaos.Check(h, f)
		if len(found) == 0 && c.want == "" {
			continue
		}
		if len(found) == 0 || c.want == "" {
			t.Errorf("%s: found %q, want %q", name, found, c.want)
			continue
		}
		for _, finding := range found {
			if finding.Kind != c.want && (c.want != chaos.Lost || finding.Kind != chaos.Wrong) {
				t.Errorf("%s: found %q, want only %q", name, found, c.want)
			}
		}
	}
}

func TestOnlyTimeMendsWhatIsMissing(t *testing.T) {
	t.Parallel()
	for kind, passes := range map[chaos.Kind]bool{
		chaos.Lost: true, chaos.Waiting: true, chaos.Orphan: true,
		chaos.Doubled: false, chaos.Invented: false, chaos.Reordered: false, chaos.Wrong: false, chaos.Early: false, chaos.Over: false, chaos.Panic: false,
	} {
		if got := chaos.Mends([]chaos.Finding{{Kind: chaos.Lost}, {Kind: kind}}); got != passes {
			t.Errorf("time mends %s: %t", kind, got)
		}
	}
	if !chaos.Mends(nil) {
		t.Error("nothing is not mended")
	}
}

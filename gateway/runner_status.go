package gateway

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

const (
	// statusTries is how often a guest is asked before it counts as lost, each time at most statusWait.
	statusTries = 3
	statusWait  = 2 * time.Second
	// statusPause is the wait between two tries.
	statusPause = 100 * time.Millisecond
)

// InstanceStatus is the state of an instance.
type InstanceStatus struct {
	Outcome

	// Pending tells that the instance is being built.
	Pending    bool   `json:"pending"`
	IsHealthy  bool   `json:"isHealthy"`
	PreviewURL string `json:"previewURL,omitempty"`
	ProcessID  string `json:"processId,omitempty"`
}

// instanceStatus tells how an instance is. It is no use of it and starts nothing. One that came to its planned end counts
// as healthy: VibeSDK asks every 30 s and makes a new instance of each that is not, so that none would ever end.
// Only acting on it fails, and that makes VibeSDK begin anew when a person wants something.
func (g *Gateway) instanceStatus(w http.ResponseWriter, r *http.Request) error {
	record, err := g.instance(r)
	if err != nil {
		return err
	}
	status := InstanceStatus{Outcome: Outcome{Success: true}, ProcessID: record.Ref().String()}
	switch {
	case record.State == sandbox.Ready:
		status.PreviewURL = g.PreviewURL(record.ID, record.Token)
		status.IsHealthy = g.answers(r.Context(), record)
		if !status.IsHealthy {
			status.Error = "the sandbox does not answer"
		}
	case record.State == sandbox.Failed || !ended(record) && record.Reason != "": // condemned: it will be Failed in a moment
		status.Error = "failed: " + record.Reason
	case ended(record):
		status.IsHealthy, status.Message = true, afterlife(record)
	default:
		status.Pending, status.Message = true, cmp.Or(record.Waiting, string(record.State))
	}
	writeJSON(w, http.StatusOK, status)
	return nil
}

// answers asks the guest whether it serves the app. One that starts the app again by itself is well.
func (g *Gateway) answers(ctx context.Context, record sandbox.Record) bool {
	control := sandbox.NewControl(record.Endpoint, record.ControlToken, g.Client)
	for try := range statusTries {
		if try > 0 {
			select {
			case <-ctx.Done():
				return false
			case <-time.After(statusPause):
			}
		}
		within, cancel := context.WithTimeout(ctx, statusWait)
		live, err := control.Status(within)
		cancel()
		if err == nil {
			return live.Progress != sandbox.Broken
		}
	}
	return false
}

// InstanceDetails is one row of a list.
type InstanceDetails struct {
	RunID            string    `json:"runId"`
	TemplateName     string    `json:"templateName"`
	StartTime        time.Time `json:"startTime"`
	Uptime           int64     `json:"uptime"` // seconds
	PreviewURL       string    `json:"previewURL,omitempty"`
	Directory        string    `json:"directory"`
	ServiceDirectory string    `json:"serviceDirectory"`
	ProcessID        string    `json:"processId,omitempty"`
}

// InstanceList is the answer of a list.
type InstanceList struct {
	Outcome

	Instances []InstanceDetails `json:"instances"`
	Count     int               `json:"count"`
}

// InstanceAnswer describes one instance.
type InstanceAnswer struct {
	Outcome

	Instance InstanceDetails `json:"instance"`
}

// instanceDetails describes an instance. Folders are relative: where a sandbox keeps its files is its own business.
func (g *Gateway) instanceDetails(r sandbox.Record) InstanceDetails {
	d := InstanceDetails{
		RunID: r.ID, TemplateName: r.ProjectName, StartTime: r.CreatedAt, Uptime: int64(time.Since(r.CreatedAt).Seconds()),
		Directory: ".", ServiceDirectory: ".", ProcessID: r.Ref().String(),
	}
	if r.State == sandbox.Ready {
		d.PreviewURL = g.PreviewURL(r.ID, r.Token)
	}
	return d
}

// instances are the states in which an instance is listed.
var instances = []sandbox.State{sandbox.Requested, sandbox.Building, sandbox.Starting, sandbox.Ready}

// listInstances lists what lives and was made as an instance.
func (g *Gateway) listInstances(w http.ResponseWriter, r *http.Request) error {
	list := []InstanceDetails{}
	q := sandbox.Query{States: instances, Limit: 1000}
	for {
		page, err := g.Records.List(r.Context(), q)
		if err != nil {
			return err
		}
		for _, record := range page {
			if strings.HasPrefix(record.RequestID, instancePrefix) {
				list = append(list, g.instanceDetails(record))
			}
		}
		if len(page) < q.Limit {
			break
		}
		q.After = page[len(page)-1].ID
	}
	writeJSON(w, http.StatusOK, InstanceList{Outcome{Success: true}, list, len(list)})
	return nil
}

func (g *Gateway) getInstance(w http.ResponseWriter, r *http.Request) error {
	record, err := g.instance(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, InstanceAnswer{Outcome{Success: true}, g.instanceDetails(record)})
	return nil
}

// shutdownInstance asks for the end of an instance. It returns when that is asked for, not when it is done.
func (g *Gateway) shutdownInstance(w http.ResponseWriter, r *http.Request) error {
	record, err := g.instance(r)
	if err != nil {
		return err
	}
	if !ended(record) {
		if err := g.stopInstance(r.Context(), record.ID); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, Outcome{Success: true, Message: "the instance is being stopped"})
	return nil
}

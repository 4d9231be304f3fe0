package app

import (
	"context"
	"errors"

	"vibesdk-gcp/events"
	"vibesdk-gcp/workers/callbackrunner"
	"vibesdk-gcp/workers/janitor"
	"vibesdk-gcp/workers/statewriter"
)

// otherWork is what the workers do for sessions of the second provider.
type otherWork struct{ runs *callbackrunner.Publisher }

// otherRuns is nil without a second provider, or without sessions.
func (p *provider) otherRuns() *otherWork {
	if p.second == nil || p.second.sessions == nil {
		return nil
	}
	return &otherWork{callbackrunner.NewPublisher(callbackrunner.PublisherOptions{
		Sessions: p.second.sessions.Reader, Publisher: secondPublisher{Publisher: p.bus, name: p.second.name},
	})}
}

func (o *otherWork) writer(p *provider) *statewriter.Writer {
	return statewriter.New(statewriter.Options{
		Store: p.second.sessions, Payloads: payloads{bucket: p.sources, address: p.sourcesURL}, Wake: o.runs.Wake, Logger: p.second.log,
	})
}

func (o *otherWork) sweeper(p *provider) *janitor.Janitor {
	return janitor.New(janitor.Options{Sessions: p.second.sessions, Wake: o.runs.Wake, SweepLimits: p.second.sweepLimits, Logger: p.second.log})
}

// both has two handlers handle each message, the second one whatever the first one says.
func both(first, second events.Handler) events.Handler {
	return func(ctx context.Context, m events.Message) error {
		return errors.Join(first(ctx, m), second(ctx, m))
	}
}

package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/schedule"
	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/workers/callbackrunner"
	"vibesdk-gcp/workers/janitor"
	"vibesdk-gcp/workers/sandboxrunner"
	"vibesdk-gcp/workers/statewriter"
)

// Role is one thing that a program can do. All roles of a deployment share one database or bus and nothing else.
type Role string

// The roles.
const (
	RoleGateway       Role = "gateway"
	RoleRouter        Role = "router"
	RoleSandboxRunner Role = "sandboxrunner"
	RoleJanitor       Role = "janitor"
	RoleTicker        Role = "ticker"
	// RoleStateWriter applies mutations of agent sessions, and RoleCallbackRunner calls the agent host when their jobs are due.
	RoleStateWriter    Role = "statewriter"
	RoleCallbackRunner Role = "callbackrunner"
	// RoleDeadLetters files the messages that were given up, for people.
	RoleDeadLetters Role = "deadletters"
)

// AllRoles lists the roles in the order of starting.
func AllRoles() []Role {
	return []Role{RoleStateWriter, RoleCallbackRunner, RoleSandboxRunner, RoleJanitor, RoleDeadLetters, RoleRouter, RoleGateway, RoleTicker}
}

// ParseRoles reads roles by name; none means all.
func ParseRoles(names []string) ([]Role, error) {
	if len(names) == 0 {
		return AllRoles(), nil
	}
	var roles []Role
	var unknown []string
	for _, name := range names {
		role := Role(name)
		if !slices.Contains(AllRoles(), role) {
			unknown = append(unknown, name)
		}
		if !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("%s: no such role; the roles are %s", strings.Join(unknown, ", "), joinRoles(AllRoles()))
	}
	return roles, nil
}

func joinRoles(roles []Role) string {
	names := make([]string, len(roles))
	for i, role := range roles {
		names[i] = string(role)
	}
	return strings.Join(names, ", ")
}

// work is what a role does until its context ends.
type work func(ctx context.Context) error

// roleWork returns what the roles without a door do.
func roleWork(c Config, p *provider, roles []Role) (map[Role]work, error) {
	parts := map[Role]work{}
	runs, other := p.runs(), p.otherRuns()
	for _, role := range roles {
		switch role {
		case RoleSandboxRunner:
			runner := sandboxrunner.New(sandboxrunner.Options{
				Records: p.records, Runtime: p.runtime, Routes: p.routes, Target: c.sandboxTarget(), Logger: p.log,
				Defaults: sandboxrunner.Defaults{
					TTL: c.SandboxTTL, Idle: c.SandboxIdle, MaxTTL: c.SandboxMaxTTL,
					BuildTimeout: c.BuildTimeout, StartTimeout: c.StartTimeout,
				},
			})
			parts[role] = func(ctx context.Context) error {
				return p.bus.Consume(ctx, sandboxrunner.Subscription(), runner.Handle)
			}
		case RoleJanitor:
			sweeper := janitor.New(janitor.Options{
				Records: p.records, Runtime: p.runtime, Routes: p.routes, Publisher: p.bus, Logger: p.log,
				Sessions: p.sessions, Wake: runs.Wake, SweepLimits: p.sweepLimits,
				Letters: p.letters, LetterAge: c.DeadLetter.AlarmAge, LetterCount: c.DeadLetter.AlarmCount,
				SweepFiles: p.filesSweep(), Lock: p.db.TryLock,
			})
			handle := sweeper.Handle
			if other != nil {
				handle = both(handle, other.sweeper(p).Handle)
			}
			parts[role] = func(ctx context.Context) error { return p.bus.Consume(ctx, events.Janitor, handle) }
		case RoleStateWriter:
			writer := statewriter.New(statewriter.Options{
				Store: p.sessions, Payloads: payloads{bucket: p.sources, address: p.sourcesURL}, Wake: runs.Wake, Logger: p.log,
			})
			handle := batchesApart(p.second, writer.Handle, nil)
			if other != nil {
				handle = batchesApart(p.second, writer.Handle, other.writer(p).Handle)
			}
			parts[role] = func(ctx context.Context) error { return p.bus.ConsumeBatches(ctx, events.StateWriter, handle) }
		case RoleCallbackRunner:
			handle, err := p.callbacks(c, p.sessions, runs)
			if err != nil {
				return nil, err
			}
			if other == nil {
				handle = apart(nil, handle, nil)
			} else {
				otherHandle, err := p.callbacks(c, p.second.sessions, other.runs)
				if err != nil {
					return nil, err
				}
				handle = apart(p.second, handle, otherHandle)
			}
			parts[role] = func(ctx context.Context) error { return p.bus.Consume(ctx, events.CallbackRunner, handle) }
		case RoleDeadLetters:
			parts[role] = func(ctx context.Context) error { return p.bus.Consume(ctx, events.Parked, p.letters.Handle) }
		case RoleTicker:
			tick, err := ticker(c, p)
			if err != nil {
				return nil, err
			}
			parts[role] = tick
		case RoleGateway, RoleRouter: // they have doors: see doors.go
		}
	}
	return parts, nil
}

// callbacks calls the agent host for the jobs of a store.
func (p *provider) callbacks(c Config, sessions *session.Store, runs *callbackrunner.Publisher) (events.Handler, error) {
	runner, err := callbackrunner.New(callbackrunner.Options{
		Sessions: sessions, Publisher: runs, Host: c.Session.AgentHostURL, Key: c.Session.AgentHostKey,
		Timeout: c.Session.CallbackTimeout, Logger: p.log, MeterProvider: p.telemetry.Meter,
	})
	if err != nil {
		return nil, fmt.Errorf("AGENT_HOST_URL: %w", err)
	}
	p.onClose("agent host", func(context.Context) error { return runner.Close() })
	return runner.Handle, nil
}

// runs publishes the jobs of sessions that are due; nil without sessions.
func (p *provider) runs() *callbackrunner.Publisher {
	if p.sessions == nil {
		return nil
	}
	return callbackrunner.NewPublisher(callbackrunner.PublisherOptions{Sessions: p.sessions.Reader, Publisher: p.bus})
}

// ticker publishes what the schedule file says.
func ticker(c Config, p *provider) (work, error) {
	if err := p.openTimetable(c); err != nil {
		return nil, err
	}
	topics := topicsByName()
	return func(ctx context.Context) error {
		return p.timetable.run(ctx, func(ctx context.Context, e schedule.Entry) error {
			err := p.bus.Publish(ctx, topics[e.Topic], events.Message{Data: []byte(e.Payload)})
			if err != nil && ctx.Err() == nil {
				p.log.WarnContext(ctx, "tick was not published", "schedule", e.Name, "error", err)
			}
			return err
		})
	}, nil
}

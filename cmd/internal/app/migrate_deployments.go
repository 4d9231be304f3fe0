package app

import "context"

func (m *migration) deployments(context.Context, *partRun) error { return nil }

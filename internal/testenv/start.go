package testenv

import "time"

const (
	// startTimeout is generous: a busy CI machine starts a JVM in tens of seconds.
	startTimeout = 60 * time.Second
	// startTries is how often a server is started again when another program took its port in between.
	startTries = 5
)

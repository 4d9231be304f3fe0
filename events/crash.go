package events

import "vibesdk-gcp/internal/crashpoint"

// afterReplayed is between the publication of replayed letters and the note of it.
var afterReplayed = crashpoint.New("events/after-replayed")

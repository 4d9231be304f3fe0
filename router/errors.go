package router

import (
	"io"
	"net/http"
)

// The bodies of VibeSDK's proxy and dispatcher, word for word.
const (
	elsewhereText      = "Not Found"
	addressText        = "Access denied. Please use the assigned domain name."
	notFoundText       = "Not found"
	routingErrorText   = "Proxy routing error"
	appUnavailableText = "This application is not currently available."
	appErrorText       = "An error occurred while loading this application."
)

// The router's own refusals.
const (
	bodyTooLargeText = "Request body too large"
	badBodyText      = "Bad request body"
	busyText         = "Too many connections"
)

// reply answers without an upstream. What holds now may change with the next deployment, so caches must not
// keep it.
func reply(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // a client that left needs no answer
}

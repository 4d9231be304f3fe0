// Package httpserver runs an HTTP server with limits that suit a public door, and stops it without cutting
// answers short.
package httpserver

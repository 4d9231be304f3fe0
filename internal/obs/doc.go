// Package obs makes the logger, the meter and the tracer that a program hands to its parts.
package obs

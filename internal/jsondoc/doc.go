// Package jsondoc changes JSON text without decoding it.
//
// A [Doc] is a JSON text and the changes made to it. Only containers on the way to a change are taken apart, one level at
// a time; everything else is passed through as the bytes it came in. So a small change to a large text costs one
// scan of the containers that surround it, and further changes to the same Doc cost next to nothing.
//
// # What stays as it was
//
// The text between two commas of a container is left byte for byte (order, white space, spelling of keys, numbers and
// strings, members with the same key) unless a change names it or something inside it. Where a value is
// replaced, the white space around it and its key stay. Where it is removed, the text between the two commas goes with it. New
// members and elements come last, or where a patch puts them, without white space around them; values have the bytes
// that the change gave them.
//
// Of members with the same key the last one counts, as it does in JavaScript. Replacing replaces that one, removing
// removes them all. Keys and strings are equal when they are after resolving escapes; a surrogate that lacks its
// other half is a character of its own.
//
// # All or nothing
//
// Changes can be taken back until [Doc.Commit]. A change that returns an error may have done a part of its work: call
// [Doc.Rollback].
package jsondoc

import "errors"

// Why a text was not taken or a change not made. Compare with errors.Is. No error contains a part of the text, but for keys in
// paths that the caller gave.
var (
	// ErrSyntax: the text is not one JSON value in UTF-8.
	ErrSyntax = errors.New("not JSON")
	// ErrDepth: the text nests, or would nest, deeper than MaxDepth.
	ErrDepth = errors.New("nested too deeply")
	// ErrNotFound: the path leads nowhere.
	ErrNotFound = errors.New("path not found")
	// ErrInvalid: the change makes no sense, or makes none there.
	ErrInvalid = errors.New("invalid change")
	// ErrWork: the change would move more bytes than MaxWork.
	ErrWork = errors.New("change is too much work")
)

const (
	// MaxDepth is how many containers may be inside each other.
	MaxDepth = 1000
	// MaxWork is about how many bytes one patch may move: by insertions into and removals from arrays, and, counted four times,
	// by copying values and moving them further down.
	MaxWork = 256 << 20
)

// Package crashpoint lets a test kill the program at a named place.
//
// A crash test must die where it hurts: after an outside effect and before the note of it, say. A program
// declares such places once and passes them on its way:
//
//	var afterBuild = crashpoint.New("sandboxrunner/after-build")
//	…
//	afterBuild.Hit()
//
// In an ordinary build Hit is an empty function that the compiler removes. Built with `-tags crashpoint`, the
// environment variable CRASHPOINT names one point, or one point and a count as in
// `sandboxrunner/after-build:3`, and the process sends itself SIGKILL the first (the third) time that it gets
// there: nothing deferred runs, nothing buffered is written.
//
// [Names] lists the points of a program in either build, so that a test can loop over all of them.
package crashpoint

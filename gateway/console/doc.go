// Package console is the operator's web console, mounted at /console of the gateway: what runs, what failed and why, and the few things
// that people do about it.
//
// It shows what the API answers and does what the API does: each page and each form makes calls of the API in this process, with the
// key of who is signed in. So the scopes, limits, checks and logs of the API are those of the console, and there is nothing that the
// console may do and a key may not.
//
// Pages are rendered here and work without JavaScript. One small script of our own makes states, lists and logs live. Nothing is loaded
// from elsewhere but previews, in frames of their own origin.
//
// A person signs in with an API key or an ID token. It is kept by the browser, encrypted, in a cookie that scripts cannot read
// and other sites cannot send; the server keeps nothing, so that any instance with the same secret can go on. Forms are taken from our
// own pages only, by what browsers say of where a request comes from.
package console

// Package schemas holds every shape that two processes or two versions must agree on: the messages on the
// topics, and the SQL tables.
//
// # Messages
//
// Each topic's message is one .proto file in this folder, compiled to Go in package gen. On the wire it is
// proto3 JSON. The files stay inside the subset that Pub/Sub accepts for a topic schema (proto3, no imports,
// one top-level message), because the same file is registered there; `schemagen` refuses more.
//
// For each message M there are DecodeM, EncodeM, ValidateM and CheckM:
//
//   - Decode takes both spellings of a field (requestId, request_id), ignores fields it does not know, and
//     validates. It never ignores an enum value it does not know: that is a fault, for a reader that takes
//     an unknown action for the default one does the wrong thing.
//   - Encode validates, and writes lowerCamel names without spaces. Equal messages give equal bytes.
//   - Errors are of two kinds, both beyond mending by a retry: [*SyntaxError] says where a payload stops being
//     JSON, [*ValidationError] lists all broken rules at once, with the field in JSON spelling and the limit.
//     Neither ever quotes file contents or the values of environment variables.
//
// All functions are pure and safe for concurrent use.
//
// # Adding a field
//
//  1. Add it to the .proto with the next free number and a comment that gives unit, default and limit.
//  2. Run `make generate`; add its rule to the Validate function and its limit to the constants.
//  3. Add a payload that uses it to testdata/v1 and run `go test ./schemas -run Frozen -update`.
//  4. On Google Cloud, apply Terraform before publishers use the field: a topic refuses payloads that no
//     revision of its schema takes.
//
// # Compatibility
//
// A rolling deployment has old readers of new messages and new readers of old ones; replayed dead letters may be
// weeks old. Hence:
//
//   - A field's number, name and type never change, and a removed field's number and name become `reserved`.
//   - The zero value of a new field means what was meant before there was one.
//   - A rule may be loosened, never tightened: a payload once accepted stays accepted. (The ids of sessions and
//     mutations were cut from 200 to the 128 bytes of a session's record before anything consumed their topic.)
//   - A new enum value needs readers that know it everywhere first; older ones park the message.
//   - Files in testdata/v1 never change. They are the payloads of released versions, each with the exact value
//     or faults that it must decode to for ever; only new files are added. A checksum list enforces it.
//   - What cannot obey is a new message on a new topic, type `….v2`.
//
// # Tables
//
// [SQL] holds numbered migrations in goose format, one folder for each dialect. A released migration never
// changes either; the next number does.
package schemas

// Package auth tells who calls the gateway and what they may do.
//
// A caller sends a bearer token: an API key, or an ID token of Google. Both name a caller with scopes. The callers stand in
// a file, a YAML or JSON list with one entry for each:
//
//   - {name: ci, sha256: 9f86d0…, scopes: [sandboxes:write]}
//   - {name: old-ci, sha256: 60303a…, scopes: [sandboxes:read], expires: 2027-01-31T00:00:00Z}
//   - {name: deployer, email: deployer@project.iam.gserviceaccount.com, scopes: ["deployments:write"]}
//   - {name: robot, subject: "112233445566778899", scopes: [admin]}
//
// The file holds no key, only the SHA-256 of each. A slow hash for passwords would add nothing: what it makes dear is to try
// likely texts, and a key of [NewKey] is 256 random bits, of which none is likelier than another. The fast hash is
// computed at every call.
//
// The file is read again at most once a second, when somebody calls, so that a key that is taken out of it, or has expired,
// stops working within a second. A file that is missing or has a fault changes nothing but the log, which says so: the
// callers that were known last stay.
//
// One more key, from a file of its own, may be given the scope admin.
package auth

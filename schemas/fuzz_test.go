package schemas_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
)

func FuzzDecodeSandboxRequest(f *testing.F) { fuzzDecode(f, "sandbox_request") }
func FuzzDecodeStateMutation(f *testing.F)  { fuzzDecode(f, "state_mutation") }
func FuzzDecodeCleanupTick(f *testing.F)    { fuzzDecode(f, "cleanup_tick") }
func FuzzDecodeAgentCallback(f *testing.F)  { fuzzDecode(f, "agent_callback") }

// fuzzDecode holds any bytes against four promises: no panic; an error is of one of two kinds; what decodes can be
// encoded and is then read back as the same value; encoding that again gives the same bytes.
func fuzzDecode(f *testing.F, message string) {
	f.Helper()
	for _, dir := range []string{frozen, frozen + "/invalid"} {
		for _, file := range payloads(f, dir) {
			f.Add(read(f, file))
		}
	}
	c := codecs[message]
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := c.decode(data)
		if checked := c.check(data); (checked == nil) != (err == nil) {
			t.Fatalf("Decode says %v, Check says %v", err, checked)
		}
		if err != nil {
			describe(t, err)
			return
		}
		encoded, err := c.encode(m)
		if err != nil {
			t.Fatalf("decoded, but does not encode: %v", err)
		}
		again, err := c.decode(encoded)
		if err != nil {
			t.Fatalf("does not decode from its own encoding %s: %v", encoded, err)
		}
		if !proto.Equal(m, again) {
			t.Fatalf("changes on the way: %v became %v", m, again)
		}
		if twice, err := c.encode(again); err != nil || string(twice) != string(encoded) {
			t.Fatalf("encodes as %s, then as %s (%v)", encoded, twice, err)
		}
	})
}

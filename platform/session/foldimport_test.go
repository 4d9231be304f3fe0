package session

import (
	"encoding/json"
	"testing"
)

func TestImportPayloadKeepsEveryByte(t *testing.T) {
	t.Parallel()
	request := ImportRequest{Initialized: true, Parts: nil}
	if got := string(request.Payload()); got != `{"initialized":true,"parts":{}}` {
		t.Errorf("without parts: %s", got)
	}
	request.Parts = map[PartName]json.RawMessage{"state": json.RawMessage("{ \"a\" : 1.0,\n \"b\":\"<&>\\u003c\" }"), "tables": json.RawMessage("[]")}
	if got, want := string(request.Payload()), "{\"initialized\":true,\"parts\":{\"state\":{ \"a\" : 1.0,\n \"b\":\"<&>\\u003c\" },\"tables\":[]}}"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

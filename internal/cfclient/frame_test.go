package cfclient_test

import (
	"bytes"
	"slices"
	"testing"

	"vibesdk-gcp/internal/cfclient"
)

type header struct {
	Name string `json:"name"`
}

func TestFramesComeBack(t *testing.T) {
	t.Parallel()
	for _, blobs := range [][][]byte{nil, {{}}, {{0, 255}, {}, bytes.Repeat([]byte("x"), 1000)}} {
		pieces, err := cfclient.EncodeFrame(header{"ä\u2028"}, blobs...)
		if err != nil {
			t.Fatal(err)
		}
		var h header
		got, err := cfclient.DecodeFrame(bytes.Join(pieces, nil), &h)
		if err != nil || h.Name != "ä\u2028" || !slices.EqualFunc(got, blobs, bytes.Equal) {
			t.Errorf("%q came back as %q with header %q, %v", blobs, got, h.Name, err)
		}
	}
	if _, err := cfclient.EncodeFrame(header{}, make([][]byte, 65)...); err == nil {
		t.Error("65 blobs fit a frame")
	}
}

func FuzzDecodeFrame(f *testing.F) {
	pieces, err := cfclient.EncodeFrame(header{"a"}, []byte("b"), []byte("cc"))
	if err != nil {
		f.Fatal(err)
	}
	whole := bytes.Join(pieces, nil)
	f.Add(whole)
	for _, cut := range []int{0, 3, 7, 12, 19, len(whole) - 1} {
		f.Add(whole[:cut])
	}
	f.Add(append(slices.Clone(whole), 0))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, body []byte) {
		var h map[string]any
		blobs, err := cfclient.DecodeFrame(body, &h)
		if err != nil {
			return
		}
		size := 8 + 4*len(blobs)
		for _, blob := range blobs {
			size += len(blob)
		}
		if size > len(body) {
			t.Errorf("%d bytes came out of %d", size, len(body))
		}
	})
}

func TestDamagedFramesAreRefused(t *testing.T) {
	t.Parallel()
	pieces, err := cfclient.EncodeFrame(header{"a"}, []byte("b"), []byte("cc"))
	if err != nil {
		t.Fatal(err)
	}
	whole := bytes.Join(pieces, nil)
	var h header
	for cut := range whole {
		if _, err := cfclient.DecodeFrame(whole[:cut], &h); err == nil {
			t.Errorf("a frame cut to %d of %d bytes was read", cut, len(whole))
		}
	}
	if _, err := cfclient.DecodeFrame(append(whole, 0), &h); err == nil {
		t.Error("a frame with a byte too many was read")
	}
}

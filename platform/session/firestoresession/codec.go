package firestoresession

import (
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"

	"vibesdk-gcp/platform/session"
)

// compressFrom is the size in bytes from which a text is compressed. Below, a document costs the same either way.
const compressFrom = 2 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// blob is a text as it is stored.
type blob struct {
	data []byte
	size int // of the text
	zstd bool
	sum  uint32 // CRC-32C of data
}

type codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

func newCodec() (*codec, error) {
	// The smaller window bounds memory to about 2 MiB for each encoding under way. The sum is over what is stored, so that one
	// check serves texts that are not compressed as well.
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(session.MaxRecord))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return &codec{encoder: encoder, decoder: decoder}, nil
}

func (c *codec) close() {
	c.decoder.Close()
}

// encode does not copy a text that is stored as it is.
func (c *codec) encode(text []byte) blob {
	b := blob{data: text, size: len(text)}
	if len(text) >= compressFrom {
		if packed := c.encoder.EncodeAll(text, make([]byte, 0, len(text)/2)); len(packed) < len(text)-len(text)/16 {
			b.data, b.zstd = packed, true
		}
	}
	b.sum = crc32.Checksum(b.data, castagnoli)
	return b
}

func (c *codec) decode(b blob) ([]byte, error) {
	if sum := crc32.Checksum(b.data, castagnoli); sum != b.sum {
		return nil, fmt.Errorf("checksum is %08x, not %08x", sum, b.sum)
	}
	if b.size < 0 || b.size > session.MaxRecord {
		return nil, fmt.Errorf("size is %d, it must be 0 to %d", b.size, session.MaxRecord)
	}
	text := b.data
	if b.zstd {
		var err error
		if text, err = c.decoder.DecodeAll(b.data, make([]byte, 0, b.size)); err != nil {
			return nil, err
		}
	}
	if len(text) != b.size {
		return nil, fmt.Errorf("size is %d, not %d", len(text), b.size)
	}
	return text, nil
}

package cfclient

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// FrameType is the media type of frames.
const FrameType = "application/vnd.vibesdk.frame"

// maxBlobs is how many blobs a frame has at most.
const maxBlobs = 64

// EncodeFrame returns a frame as pieces for [Request.Body]; the blobs are not copied.
func EncodeFrame(header any, blobs ...[]byte) ([][]byte, error) {
	head, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	if len(blobs) > maxBlobs {
		return nil, fmt.Errorf("a frame has at most %d blobs, not %d", maxBlobs, len(blobs))
	}
	start := binary.BigEndian.AppendUint32(make([]byte, 0, 8+4*len(blobs)+len(head)), uint32(len(blobs)))
	start = binary.BigEndian.AppendUint32(start, uint32(len(head)))
	for _, blob := range blobs {
		if len(blob) > math.MaxInt32 {
			return nil, errors.New("a blob has at most 2 GiB")
		}
		start = binary.BigEndian.AppendUint32(start, uint32(len(blob)))
	}
	return append([][]byte{append(start, head...)}, blobs...), nil
}

// DecodeFrame reads a frame. The blobs share body's memory.
func DecodeFrame(body []byte, header any) ([][]byte, error) {
	if len(body) < 8 {
		return nil, errors.New("the frame is cut short")
	}
	count := int(binary.BigEndian.Uint32(body))
	if count > maxBlobs {
		return nil, fmt.Errorf("a frame has at most %d blobs, not %d", maxBlobs, count)
	}
	sizes := body[4:]
	if len(sizes) < 4*(count+1) {
		return nil, errors.New("the frame is cut short")
	}
	rest := sizes[4*(count+1):]
	pieces := make([][]byte, count+1)
	for i := range pieces {
		size := int(binary.BigEndian.Uint32(sizes[4*i:]))
		if size > len(rest) {
			return nil, errors.New("the frame is cut short")
		}
		pieces[i], rest = rest[:size:size], rest[size:]
	}
	if len(rest) > 0 {
		return nil, errors.New("the frame has bytes behind its end")
	}
	if err := json.Unmarshal(pieces[0], header); err != nil {
		return nil, fmt.Errorf("the header of the frame: %w", err)
	}
	return pieces[1:], nil
}

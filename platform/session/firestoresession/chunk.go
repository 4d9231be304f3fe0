package firestoresession

import (
	"context"
	"fmt"
	"strconv"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"vibesdk-gcp/platform/session"
)

// chunkBytes is how much of a part one document holds. A document takes 1 MiB with its name and field names.
const chunkBytes = 900_000

func chunksOf(size int) int { return (size + chunkBytes - 1) / chunkBytes }

// chunkIDs names the chunks of one part of one commit. The tag is random, so a chunk belongs to one commit for ever.
func chunkIDs(id string, name session.PartName, p place) []string {
	ids := make([]string, p.Chunks)
	for i := range ids {
		ids[i] = escape(id) + ":" + p.Tag + ":" + escape(string(name)) + ":" + strconv.Itoa(i)
	}
	return ids
}

func (d *Driver) chunkName(id string) string { return d.name(chunkCollection, id) }

func (d *Driver) chunkWrite(id string, data []byte) *pb.Write {
	return &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: d.chunkName(id), Fields: fields{fieldData: bytesValue(data)}}}}
}

func (d *Driver) chunkDelete(id string) *pb.Write {
	return &pb.Write{Operation: &pb.Write_Delete{Delete: d.chunkName(id)}}
}

// readChunks returns the data of those parts that are in chunks. One call streams them all, and at most MaxRecord.
func (d *Driver) readChunks(ctx context.Context, id string, parts map[session.PartName]place, readTime *timestamppb.Timestamp) (map[session.PartName][]byte, error) {
	var names []string
	for name, p := range parts {
		for _, chunk := range chunkIDs(id, name, p) {
			names = append(names, d.chunkName(chunk))
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	docs, _, err := d.get(ctx, names, nil, readTime)
	if err != nil {
		return nil, err
	}
	read := map[session.PartName][]byte{}
	for name, p := range parts {
		data := make([]byte, 0, min(p.Stored, session.MaxRecord))
		for _, chunk := range chunkIDs(id, name, p) {
			doc := docs[d.chunkName(chunk)]
			if doc == nil {
				return nil, fmt.Errorf("stored part %q: chunk %q is missing", name, chunk)
			}
			data = append(data, doc.GetFields()[fieldData].GetBytesValue()...)
		}
		read[name] = data
	}
	return read, nil
}

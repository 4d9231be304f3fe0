package redislimit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"vibesdk-gcp/platform/ratelimit"
)

var _ ratelimit.Lister = (*Backend)(nil)

// Dump implements [ratelimit.Backend].
func (b *Backend) Dump(ctx context.Context, key string) (ratelimit.Counts, error) {
	pipe := b.client.TxPipeline() // both are on one shard
	fields, ids := pipe.HGetAll(ctx, b.o.hash(key)), pipe.ZRangeWithScores(ctx, b.o.ids(key), 0, -1)
	if _, err := pipe.Exec(ctx); err != nil {
		return ratelimit.Counts{}, failed("dump", err)
	}
	c, err := countsOf(key, fields.Val())
	if err != nil {
		return ratelimit.Counts{}, failed("dump", err)
	}
	for _, id := range ids.Val() {
		name, ok := id.Member.(string)
		if !ok {
			return ratelimit.Counts{}, failed("dump", errMalformed)
		}
		c.Adjusted = append(c.Adjusted, ratelimit.Adjusted{ID: name, Until: int64(id.Score)})
	}
	return c, nil
}

// countsOf reads the fields of a key's hash.
func countsOf(key string, fields map[string]string) (ratelimit.Counts, error) {
	state := ratelimit.NewState(0, nil)
	for name, data := range fields {
		if name == "h" {
			continue
		}
		if err := state.PutRow(name, []byte(data)); err != nil {
			return ratelimit.Counts{}, err
		}
	}
	if head, ok := fields["h"]; ok { // last: the leaf in it is newer than the field of its name
		if err := putHead(state, []byte(head)); err != nil {
			return ratelimit.Counts{}, err
		}
	}
	return state.Counts(key), nil
}

// putHead puts a stored head, and the leaf in it, which stored.lua describes.
func putHead(s *ratelimit.State, data []byte) error {
	const leaf, place = 4, 1 + 4*8 // the flag, and where the leaf's index stands
	if len(data) == 0 || data[0]&leaf == 0 {
		return s.PutRow("", data)
	}
	if len(data) < place+8 {
		return errMalformed
	}
	number := func(i int) int64 { return int64(math.Float64frombits(binary.LittleEndian.Uint64(data[1+8*i:]))) }
	id := ratelimit.CellID{Size: number(2), Index: number(4)}
	if err := s.PutRow(id.String(), data[place+8:]); err != nil {
		return err
	}
	return s.PutRow("", append([]byte{data[0] &^ leaf}, data[1:place]...))
}

// Restore implements [ratelimit.Backend].
func (b *Backend) Restore(ctx context.Context, c ratelimit.Counts) (bool, error) {
	state := ratelimit.NewState(b.o.Keep, nil)
	if err := state.Restore(c); err != nil {
		return false, failed("restore", err)
	}
	args := []any{"restore", c.Clock, state.Horizon() + state.Horizon()/16, len(c.Adjusted)}
	for _, a := range c.Adjusted {
		args = append(args, a.Until, a.ID)
	}
	if len(c.Sizes) > 0 {
		for _, row := range state.Changes() {
			name := row.Name
			if name == "" {
				name = "h"
			}
			args = append(args, name, row.Data)
		}
	}
	reply, err := b.script.Run(ctx, b.client, []string{b.o.hash(c.Key), b.o.ids(c.Key)}, args...).Int()
	return reply == 1, failed("restore", err)
}

// Keys implements [ratelimit.Lister]. On a cluster it goes from one primary to the next; the cursor is the address of a server and
// the cursor there. A server that is gone is begun with anew.
func (b *Backend) Keys(ctx context.Context, cursor string, limit int) (keys []string, next string, err error) {
	servers, err := b.servers(ctx)
	if err != nil {
		return nil, "", failed("list keys", err)
	}
	addresses := slices.Sorted(func(yield func(string) bool) {
		for address := range servers {
			if !yield(address) {
				return
			}
		}
	})
	at, place := 0, uint64(0)
	if i := strings.LastIndex(cursor, " "); i >= 0 {
		at, _ = slices.BinarySearch(addresses, cursor[:i])
		if at == len(addresses) || addresses[at] != cursor[:i] {
			at = 0
		} else if place, err = strconv.ParseUint(cursor[i+1:], 10, 64); err != nil {
			return nil, "", fmt.Errorf("list keys: %w: cursor is none of this backend", ratelimit.ErrInvalid)
		}
	}
	names, place, err := servers[addresses[at]].Scan(ctx, place, escape(b.o.Prefix)+"*", int64(limit)).Result()
	if err != nil {
		return nil, "", failed("list keys", err)
	}
	for _, name := range names {
		if key, ok := b.o.key(name); ok {
			keys = append(keys, key)
		}
	}
	switch {
	case place > 0:
		next = addresses[at] + " " + strconv.FormatUint(place, 10)
	case at+1 < len(addresses):
		next = addresses[at+1] + " 0"
	}
	return keys, next, nil
}

// servers are the client's own server, or the primaries of the cluster, by address.
func (b *Backend) servers(ctx context.Context) (map[string]redis.Cmdable, error) {
	switch client := b.client.(type) {
	case *redis.ClusterClient:
		var mu sync.Mutex
		servers := map[string]redis.Cmdable{}
		err := client.ForEachMaster(ctx, func(_ context.Context, server *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			servers[server.Options().Addr] = server
			return nil
		})
		if err == nil && len(servers) == 0 {
			err = errors.New("the cluster has no primary")
		}
		return servers, err
	default:
		return map[string]redis.Cmdable{"": client}, nil
	}
}

// key is the key that a hash or a set of ids belongs to.
func (o Options) key(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, o.Prefix)
	if !ok {
		return "", false
	}
	rest = strings.TrimPrefix(rest, "id:")
	rest, ok = strings.CutPrefix(rest, "{")
	if !ok {
		return "", false
	}
	_, key, ok := strings.Cut(rest, "}")
	return key, ok && key != ""
}

// escape makes a pattern that matches the text alone.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}

package redislimit

import (
	"bufio"
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"vibesdk-gcp/internal/checkup"
)

// checkFix is how both settings of memory are changed.
const checkFix = "CONFIG SET maxmemory-policy noeviction, and so in its configuration; on Memorystore gcloud redis instances update --update-redis-config"

// Check looks at the memory of each server: that counts are not evicted, which forgets what was charged, and that there is room.
// It changes nothing.
func (b *Backend) Check(ctx context.Context) []checkup.Finding {
	var mu sync.Mutex
	var found []checkup.Finding
	look := func(ctx context.Context, c *redis.Client) error {
		f := checkup.About("Redis " + c.Options().Addr)
		said, err := c.Info(ctx, "memory").Result()
		if err != nil {
			f.Fail("check REDIS_URL and the network between", "does not answer: %v", err)
		} else {
			checkMemory(f, said)
		}
		mu.Lock()
		defer mu.Unlock()
		found = append(found, f.Else("evicts nothing, and has room")...)
		return nil
	}
	if cluster, ok := b.client.(*redis.ClusterClient); ok {
		if err := cluster.ForEachMaster(ctx, look); err != nil {
			f := checkup.About("Redis cluster")
			f.Fail("check REDIS_URL and the network between", "does not answer: %v", err)
			return f.Else("")
		}
	} else if single, ok := b.client.(*redis.Client); ok {
		_ = look(ctx, single) // it reports what fails
	}
	return found
}

// checkMemory judges what INFO says of memory.
func checkMemory(f *checkup.Findings, said string) {
	have := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(said)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			have[name] = value
		}
	}
	used, err := strconv.ParseInt(have["used_memory"], 10, 64)
	if err != nil {
		f.Skip("says nothing of its memory")
		return
	}
	if policy := have["maxmemory_policy"]; policy != "noeviction" {
		f.Fail(checkFix, "its maxmemory-policy is %s: when it is full, limits forget what was charged", policy)
	}
	limit, err := strconv.ParseInt(have["maxmemory"], 10, 64)
	if err != nil || limit <= 0 {
		f.Warn("set maxmemory below the memory of its machine", "has no maxmemory: it grows until the system ends it")
		return
	}
	f.Quota("give it more memory, or shorten the windows of limits: when it is full, limits do what their onFailure says", "bytes", used, limit)
}

package redislimit

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// maxRun bounds the calls of one run of the script, during which Redis does nothing else: about a millisecond.
const maxRun = 64

// scripted is a run of the script that the client must not repeat after it may have been sent.
type scripted struct{ *redis.Cmd }

// NoRetry tells the client's cluster side, which repeats pipelines on broken connections otherwise.
func (scripted) NoRetry() bool { return true }

// pipeline does calls in one round trip. Its time is its own: the callers leave when theirs is over.
func (b *Backend) pipeline(batch []*call) {
	var unknown []*run
	runs := b.runs(batch)
	for i, err := range b.send(runs, "evalsha", b.script.Hash()) {
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			unknown = append(unknown, runs[i])
		}
	}
	if unknown != nil {
		b.send(unknown, "eval", source)
	}
}

// runs gathers the calls that can share a run: on one server all that take, on a cluster those of one hash tag. Calls over the same
// keys then cost one read and one write together.
func (b *Backend) runs(batch []*call) []*run {
	var runs []*run
	open := map[string]*run{}
	for _, c := range batch {
		tag, shared := b.shard(c)
		r := open[tag]
		if !shared || r == nil || len(r.calls) == maxRun {
			r = &run{}
			runs = append(runs, r)
			if shared {
				open[tag] = r
			}
		}
		r.calls = append(r.calls, c)
	}
	return runs
}

// shard names what a call may share a run with; false when with nothing, as with keys of several shards, whose refusal must not
// hit others.
func (b *Backend) shard(c *call) (string, bool) {
	if c.items == nil {
		return "", false
	}
	if !b.cluster {
		return "", true
	}
	first := hashTag(c.keys[0])
	for _, key := range c.keys[1:] {
		if hashTag(key) != first {
			return "", false
		}
	}
	return first, true
}

// hashTag is the part of a hash's name that decides its shard.
func hashTag(key string) string {
	_, rest, _ := strings.Cut(key, "{")
	tag, _, _ := strings.Cut(rest, "}")
	return tag
}

// send has runs made and gives the calls their replies. It returns the error of each run.
func (b *Backend) send(runs []*run, command, script string) []error {
	ctx, cancel := context.WithTimeout(context.Background(), b.o.Timeout+b.o.DialTimeout)
	defer cancel()
	pipe := b.client.Pipeline()
	cmds := make([]scripted, len(runs))
	for i, r := range runs {
		cmds[i] = scripted{redis.NewCmd(ctx, r.command(command, script, b.o.Keep)...)}
		_ = pipe.Process(ctx, cmds[i]) // only queues
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	errs := make([]error, len(runs))
	for i, r := range runs {
		reply, err := cmds[i].Result()
		errs[i] = err
		b.touched.Add(r.deliver(reply, err))
	}
	return errs
}

package redislimit

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// maxRun bounds the calls of one run of the script, during which Redis does nothing else: about a millisecond.
const maxRun = 64

// scripted is a run of the script that the client must not repeat after it may have been sent.
type scripted struct{ *redis.Cmd }

// NoRetry tells the client's cluster side, which repeats pipelines on broken connections otherwise.
func (scripted) NoRetry() bool { return true }

// run is one run of the script: calls of "take" that share it, or a call of another kind.
type run struct {
	calls []*call
	keys  []string
	args  []any
}

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
		r.calls, r.keys, r.args = append(r.calls, c), append(r.keys, c.keys...), append(r.args, c.args...)
	}
	for _, r := range runs {
		if r.calls[0].take {
			r.args = slices.Concat([]any{"take", len(r.calls)}, r.args)
		}
	}
	return runs
}

// shard names what a call may share a run with; false when with nothing, as with keys of several shards, whose refusal must not
// hit others.
func (b *Backend) shard(c *call) (string, bool) {
	if !c.take {
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
		args := make([]any, 0, 3+len(r.keys)+len(r.args))
		args = append(args, command, script, len(r.keys))
		for _, key := range r.keys {
			args = append(args, key)
		}
		cmds[i] = scripted{redis.NewCmd(ctx, append(args, r.args...)...)}
		_ = pipe.Process(ctx, cmds[i]) // only queues
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	errs := make([]error, len(runs))
	for i, r := range runs {
		reply, err := cmds[i].Result()
		errs[i] = err
		r.deliver(reply, err)
	}
	return errs
}

func (r *run) deliver(reply any, err error) {
	if !r.calls[0].take {
		r.calls[0].reply, r.calls[0].err = reply, err
		return
	}
	list, _ := reply.([]any)
	if err == nil && len(list) != len(r.calls) {
		err = errMalformed
	}
	for i, c := range r.calls {
		c.err = err
		if err != nil {
			continue
		}
		c.reply = list[i]
		if answer, ok := list[i].([]any); ok && len(answer) == 1 && answer[0] == "SIZES" {
			c.err = errSizes
		}
	}
}

var (
	errMalformed = errors.New("redis gave an answer that is not the script's")
	errSizes     = errors.New("SIZES")
)

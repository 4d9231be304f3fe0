package redislimit

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// scripted is a run of the script that the client must not repeat after it may have been sent.
type scripted struct{ *redis.Cmd }

// NoRetry tells the client's cluster side, which repeats pipelines on broken connections otherwise.
func (scripted) NoRetry() bool { return true }

// pipeline runs calls in one round trip. Its time is its own: the callers leave when theirs is over.
func (b *Backend) pipeline(batch []*call) {
	b.send(batch, "evalsha", b.script.Hash())
	var unknown []*call
	for _, c := range batch {
		if redis.HasErrorPrefix(c.err, "NOSCRIPT") {
			unknown = append(unknown, c)
		}
	}
	if unknown != nil {
		b.send(unknown, "eval", source)
	}
}

func (b *Backend) send(batch []*call, command, script string) {
	ctx, cancel := context.WithTimeout(context.Background(), b.o.Timeout+b.o.DialTimeout)
	defer cancel()
	pipe := b.client.Pipeline()
	cmds := make([]scripted, len(batch))
	for i, c := range batch {
		args := make([]any, 0, 3+len(c.keys)+len(c.args))
		args = append(args, command, script, len(c.keys))
		for _, key := range c.keys {
			args = append(args, key)
		}
		cmds[i] = scripted{redis.NewCmd(ctx, append(args, c.args...)...)}
		_ = pipe.Process(ctx, cmds[i]) // only queues
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, c := range batch {
		c.reply, c.err = cmds[i].Result()
	}
}

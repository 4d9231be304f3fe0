package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vibesdk-gcp/gateway/client"
)

func (c *cli) sessionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "session", Aliases: []string{"sessions", "ss"}, Short: "Sessions: the durable state of agents",
		Long: `Sessions: the durable state of agents.

A VALUE is JSON text, - for standard input, or @file for a file. A write waits for its outcome; with --if-version it is
refused, with exit status 4, unless the session is at that version.`,
	}
	cmd.AddCommand(
		c.listSessionsCommand(), c.getSessionCommand(), c.putCommand(), c.patchCommand(), c.appendCommand(), c.initCommand(),
		c.watchCommand(), c.historyCommand(), c.cloneCommand(), c.destroyCommand(), c.exportCommand(), c.importCommand(),
		c.scheduleCommand(), c.queueCommand(),
	)
	return cmd
}

func (c *cli) sessions() (*client.Sessions, error) {
	conn, err := c.client()
	if err != nil {
		return nil, err
	}
	return conn.Sessions(), nil
}

// value reads an argument that is JSON text or says where it is.
func (c *cli) value(arg string) ([]byte, error) {
	data, err := c.raw(arg)
	if err != nil {
		return nil, err
	}
	if !json.Valid(data) {
		return nil, fmt.Errorf("%s is not JSON text; a file is named with @file", oneLine(arg, 40))
	}
	return data, nil
}

func (c *cli) raw(arg string) ([]byte, error) {
	if arg == "-" {
		return io.ReadAll(c.in)
	}
	if file, ok := strings.CutPrefix(arg, "@"); ok {
		return os.ReadFile(file)
	}
	return []byte(arg), nil
}

// writing holds the flags that all writes have.
type writing struct {
	ifVersion int64
	id        string
	async     bool
	timeout   time.Duration
}

func (o *writing) flags(cmd *cobra.Command) *cobra.Command {
	flags := cmd.Flags()
	flags.Int64Var(&o.ifVersion, "if-version", -1, "write only if the session is at this version; 0: only if it is not there")
	flags.StringVar(&o.id, "mutation-id", "", "id of the write: the same id twice is one write")
	flags.BoolVar(&o.async, "async", false, "return when the write is on its way")
	flags.DurationVar(&o.timeout, "timeout", 30*time.Second, "wait this long for the outcome")
	return cmd
}

// write makes a write to a session and prints its outcome.
func (c *cli) write(cmd *cobra.Command, id string, o writing, do func(context.Context, *client.Sessions, client.WriteOptions) (client.MutationResult, error)) error {
	if o.ifVersion < -1 {
		return errors.New("--if-version must be 0 or more")
	}
	if o.timeout <= 0 {
		return errors.New("--timeout must be more than 0")
	}
	sessions, err := c.sessions()
	if err != nil {
		return err
	}
	options := client.WriteOptions{MutationID: o.id, Async: o.async}
	if o.ifVersion >= 0 {
		options.IfVersion = &o.ifVersion
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
	defer cancel()
	result, err := do(ctx, sessions, options)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) && result.Code == client.Pending {
			return fmt.Errorf("mutation %s has no outcome after %s and may still be applied: does the role statewriter run?", result.MutationID, o.timeout)
		}
		return err
	}
	return c.printResult(id, result)
}

func (c *cli) putCommand() *cobra.Command {
	var o writing
	var part string
	cmd := &cobra.Command{
		Use: "put ID VALUE", Short: "Replace the state of a session, or another part", Args: cobra.ExactArgs(2),
		Example: "  vibectl session put chat-1 '{\"phase\":\"planning\"}'\n  vibectl session put chat-1 @state.json --if-version 7",
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := c.value(args[1])
			if err != nil {
				return err
			}
			return c.write(cmd, args[0], o, func(ctx context.Context, s *client.Sessions, w client.WriteOptions) (client.MutationResult, error) {
				return s.Put(ctx, args[0], part, data, w)
			})
		},
	}
	partFlag(cmd, &part)
	return o.flags(cmd)
}

func partFlag(cmd *cobra.Command, part *string) {
	cmd.Flags().StringVar(part, "part", client.PartState, "state, full_conversations, compact_conversations or mcp_servers")
}

func (c *cli) patchCommand() *cobra.Command {
	var o writing
	var part string
	cmd := &cobra.Command{
		Use: "patch ID VALUE", Short: "Change the state of a session, or another part, by a patch", Args: cobra.ExactArgs(2),
		Long: `Change the state of a session, or another part, by a patch.

A list is JSON Patch (RFC 6902), all of it or nothing; anything else is a merge patch (RFC 7396).`,
		Example: "  vibectl session patch chat-1 '{\"phase\":\"building\"}'\n  vibectl session patch chat-1 '[{\"op\":\"add\",\"path\":\"/files/-\",\"value\":\"a.ts\"}]'",
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := c.value(args[1])
			if err != nil {
				return err
			}
			return c.write(cmd, args[0], o, func(ctx context.Context, s *client.Sessions, w client.WriteOptions) (client.MutationResult, error) {
				if strings.HasPrefix(strings.TrimLeft(string(data), " \t\r\n"), "[") {
					return s.Patch(ctx, args[0], part, data, w)
				}
				return s.Merge(ctx, args[0], part, data, w)
			})
		},
	}
	partFlag(cmd, &part)
	return o.flags(cmd)
}

func (c *cli) appendCommand() *cobra.Command {
	var o writing
	var part, path string
	cmd := &cobra.Command{
		Use: "append ID VALUE", Short: "Add a value at the end of a list", Args: cobra.ExactArgs(2),
		Example: "  vibectl session append chat-1 '\"a.ts\"' --path /files\n  vibectl session append chat-1 @message.json --part full_conversations",
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := c.value(args[1])
			if err != nil {
				return err
			}
			return c.write(cmd, args[0], o, func(ctx context.Context, s *client.Sessions, w client.WriteOptions) (client.MutationResult, error) {
				return s.Append(ctx, args[0], part, path, data, w)
			})
		},
	}
	partFlag(cmd, &part)
	cmd.Flags().StringVar(&path, "path", "", "JSON Pointer of the list (default: the whole part)")
	return o.flags(cmd)
}

func (c *cli) initCommand() *cobra.Command {
	var o writing
	cmd := &cobra.Command{
		Use: "init ID [VALUE]", Short: "Set the state of a session for the first time", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			data := []byte("{}")
			if len(args) == 2 {
				var err error
				if data, err = c.value(args[1]); err != nil {
					return err
				}
			}
			return c.write(cmd, args[0], o, func(ctx context.Context, s *client.Sessions, w client.WriteOptions) (client.MutationResult, error) {
				return s.Initialize(ctx, args[0], data, w)
			})
		},
	}
	return o.flags(cmd)
}

func (c *cli) cloneCommand() *cobra.Command {
	var o writing
	cmd := &cobra.Command{
		Use: "clone FROM ID", Short: "Make a session that begins with the state of another", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.write(cmd, args[1], o, func(ctx context.Context, s *client.Sessions, w client.WriteOptions) (client.MutationResult, error) {
				return s.Clone(ctx, args[1], args[0], w)
			})
		},
	}
	return o.flags(cmd)
}

func (c *cli) destroyCommand() *cobra.Command {
	var o writing
	cmd := &cobra.Command{
		Use: "destroy ID", Short: "Remove a session and all it holds", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.write(cmd, args[0], o, func(ctx context.Context, s *client.Sessions, w client.WriteOptions) (client.MutationResult, error) {
				return s.Destroy(ctx, args[0], w)
			})
		},
	}
	return o.flags(cmd)
}

func (c *cli) importCommand() *cobra.Command {
	var o writing
	cmd := &cobra.Command{
		Use: "import ID VALUE", Short: "Make a session of an export of a Durable Object", Args: cobra.ExactArgs(2),
		Example: "  vibectl session import chat-1 @export.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := c.value(args[1])
			if err != nil {
				return err
			}
			return c.write(cmd, args[0], o, func(ctx context.Context, s *client.Sessions, w client.WriteOptions) (client.MutationResult, error) {
				return s.Import(ctx, args[0], data, w)
			})
		},
	}
	return o.flags(cmd)
}

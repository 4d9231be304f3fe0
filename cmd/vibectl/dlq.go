package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"vibesdk-gcp/cmd/internal/dlq"
	"vibesdk-gcp/gateway/client"
)

// errNotAllReplayed is the status of a replay that left letters, for scripts.
const errNotAllReplayed exitError = 3

func (c *cli) dlqCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dlq", Aliases: []string{"dead-letters", "dead-letter"}, Short: "Dead letters: messages that were given up",
		Long: `Dead letters: messages that were given up.

A letter is open until it is replayed, or parked: set aside with a note. A replay publishes the message again with its own id, so that
one that was applied after all changes nothing, and keeps the order of each key. What fails again is open again.`,
	}
	cmd.AddCommand(
		c.listLettersCommand(), c.countLettersCommand(), c.showLetterCommand(), c.editLetterCommand(), c.replayLettersCommand(),
		c.parkLettersCommand(), c.releaseLettersCommand(), c.purgeLettersCommand(),
	)
	return cmd
}

func (c *cli) letters() (*client.DeadLetters, error) {
	conn, err := c.client()
	if err != nil {
		return nil, err
	}
	return conn.DeadLetters(), nil
}

func (c *cli) listLettersCommand() *cobra.Command {
	var filter dlq.Filter
	var newest bool
	var limit int
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List dead letters, the oldest first", Args: cobra.NoArgs,
		Example: "  vibectl dlq list --topic state-mutations --reason \"too large\" --since 24h\n  vibectl dlq list --state open,parked,replayed --newest",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return errors.New("--limit must be 1 or more")
			}
			q, err := filter.Query(time.Now())
			if err != nil {
				return err
			}
			q.Newest = newest
			letters, err := c.letters()
			if err != nil {
				return err
			}
			list, more := []client.DeadLetter{}, false
			for letter, err := range letters.List(cmd.Context(), q) {
				if err != nil {
					return err
				}
				if more = len(list) == limit; more {
					break
				}
				list = append(list, letter)
			}
			return c.printLetters(list, more, time.Now())
		},
	}
	filter.Register(cmd.Flags(), client.LetterOpen, client.LetterParked)
	cmd.Flags().BoolVar(&newest, "newest", false, "the newest first")
	cmd.Flags().IntVar(&limit, "limit", 100, "letters at most")
	return cmd
}

func (c *cli) countLettersCommand() *cobra.Command {
	var filter dlq.Filter
	cmd := &cobra.Command{
		Use: "count", Short: "Count dead letters by subscription and state", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := filter.Query(time.Now())
			if err != nil {
				return err
			}
			letters, err := c.letters()
			if err != nil {
				return err
			}
			counts, err := letters.Count(cmd.Context(), q)
			if err != nil {
				return err
			}
			return c.printLetterCounts(counts, time.Now())
		},
	}
	filter.Register(cmd.Flags())
	return cmd
}

func (c *cli) showLetterCommand() *cobra.Command {
	var payload bool
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show one dead letter with its payload", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			letters, err := c.letters()
			if err != nil {
				return err
			}
			letter, err := letters.Get(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if !payload {
				return c.printLetter(letter)
			}
			data, err := letter.Payload()
			if err != nil {
				return err
			}
			_, err = c.out.Write(data)
			return err
		},
	}
	cmd.Flags().BoolVar(&payload, "payload", false, "print the payload and nothing else, as it is")
	return cmd
}

func (c *cli) editLetterCommand() *cobra.Command {
	var data, newID string
	var version int64
	cmd := &cobra.Command{
		Use: "edit ID", Short: "Change the payload of a dead letter", Args: cobra.ExactArgs(1),
		Long: `Change the payload of a dead letter. It must be one that could be published to the letter's topic. The message keeps its id unless
--new-id gives it another: then consumers take it for another message.`,
		Example: "  vibectl dlq show ID --payload > payload.json\n  vibectl dlq edit ID --data @payload.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			e := client.DeadLetterEdit{NewMessageID: newID, Version: version}
			if cmd.Flags().Changed("data") {
				var err error
				if e.Payload, err = c.raw(data); err != nil {
					return err
				}
			}
			if newID == "new" {
				id, err := uuid.NewV7()
				if err != nil {
					return err
				}
				e.NewMessageID = id.String()
			}
			return c.changeLetters(args, "edited", func(letters *client.DeadLetters, id string) (client.DeadLetter, error) {
				return letters.Edit(cmd.Context(), id, e)
			})
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "the new payload: text, - for standard input, or @file")
	cmd.Flags().StringVar(&newID, "new-id", "", "another message id; \"new\" makes one up")
	cmd.Flags().Int64Var(&version, "if-version", 0, "edit only if the letter is at this version")
	return cmd
}

func (c *cli) replayLettersCommand() *cobra.Command {
	var filter dlq.Filter
	var pace dlq.Pace
	var all bool
	cmd := &cobra.Command{
		Use: "replay [ID...]", Short: "Publish dead letters again, with their own ids and in their order",
		Long: `Publish dead letters again, with their own ids and in their order. It can be stopped and run again at any time. The exit status is 3
when some letters were refused or changed meanwhile.`,
		Example: "  vibectl dlq replay --subscription statewriter --since 2h --dry-run\n  vibectl dlq replay --all --rate 50",
		RunE: func(cmd *cobra.Command, args []string) error {
			if filter.Empty() && len(args) == 0 && !all {
				return errors.New("nothing chooses letters: name some, give a filter, or --all to replay every open one")
			}
			q, err := filter.Query(time.Now())
			if err != nil {
				return err
			}
			q.IDs = args
			conn, err := c.client()
			if err != nil {
				return err
			}
			err = dlq.Replay(cmd.Context(), conn, q, pace, c.out, c.format == "json")
			if errors.Is(err, dlq.ErrNotAll) {
				return errNotAllReplayed
			}
			return err
		},
	}
	filter.Register(cmd.Flags(), client.LetterOpen)
	pace.Register(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "replay every open letter")
	return cmd
}

func (c *cli) parkLettersCommand() *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use: "park ID...", Short: "Set dead letters aside, so that they are not replayed", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.changeLetters(args, "parked", func(letters *client.DeadLetters, id string) (client.DeadLetter, error) {
				return letters.Park(cmd.Context(), id, note)
			})
		},
	}
	cmd.Flags().StringVar(&note, "note", "", "why, for whoever looks next")
	return cmd
}

func (c *cli) releaseLettersCommand() *cobra.Command {
	return &cobra.Command{
		Use: "release ID...", Aliases: []string{"unpark"}, Short: "Open dead letters that were parked", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.changeLetters(args, "open", func(letters *client.DeadLetters, id string) (client.DeadLetter, error) {
				return letters.Release(cmd.Context(), id)
			})
		},
	}
}

// changeLetters changes letters one by one, all of them whatever one says.
func (c *cli) changeLetters(ids []string, what string, change func(*client.DeadLetters, string) (client.DeadLetter, error)) error {
	letters, err := c.letters()
	if err != nil {
		return err
	}
	changed := []client.DeadLetter{}
	var failed []error
	for _, id := range ids {
		letter, err := change(letters, id)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", id, err))
			continue
		}
		changed = append(changed, letter)
		if c.format != "json" {
			fmt.Fprintf(c.out, "%s is %s\n", id, what)
		}
	}
	if c.format == "json" {
		failed = append(failed, c.printJSON(changed))
	}
	return errors.Join(failed...)
}

func (c *cli) purgeLettersCommand() *cobra.Command {
	var filter dlq.Filter
	var yes, dryRun bool
	cmd := &cobra.Command{
		Use: "purge", Short: "Delete dead letters for good", Args: cobra.NoArgs,
		Long:    `Delete dead letters for good: by default those that were replayed. It asks before it deletes; --yes answers.`,
		Example: "  vibectl dlq purge --older-than 720h\n  vibectl dlq purge --state parked,open --subscription janitor --yes",
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := filter.Query(time.Now())
			if err != nil {
				return err
			}
			if q.Until.IsZero() {
				q.Until = time.Now() // what comes while the question waits was not asked about
			}
			letters, err := c.letters()
			if err != nil {
				return err
			}
			count, err := letters.Purge(cmd.Context(), q, true)
			if err != nil {
				return err
			}
			if !dryRun && count > 0 && !yes {
				if !c.confirm(fmt.Sprintf("Delete %d dead letters for good?", count)) {
					return errors.New("nothing was deleted")
				}
			}
			if !dryRun && count > 0 {
				if count, err = letters.Purge(cmd.Context(), q, false); err != nil {
					return err
				}
			}
			return c.printPurged(count, dryRun)
		},
	}
	filter.Register(cmd.Flags(), client.LetterReplayed)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only count")
	return cmd
}

// confirm asks a person. No answer is no.
func (c *cli) confirm(question string) bool {
	fmt.Fprintf(c.errOut, "%s [y/N] ", question)
	line, _ := bufio.NewReader(c.in).ReadString('\n') // the end of the input is no answer
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true
	default:
		return false
	}
}

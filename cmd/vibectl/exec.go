package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (c *cli) execCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:     "exec ID -- COMMAND...",
		Short:   "Run a command in the folder of a running app, and exit as it does",
		Example: "  vibectl sandbox exec sbx-… -- ls -l\n  vibectl sandbox exec sbx-… 'cd src && wc -l *.ts'",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			sandboxes, err := c.sandboxes()
			if err != nil {
				return err
			}
			results, err := sandboxes.Exec(cmd.Context(), args[0], []string{commandLine(args[1:])}, timeout)
			if err != nil {
				return err
			}
			if c.format == "json" {
				return c.printJSON(results)
			}
			for _, r := range results {
				if _, err := io.WriteString(c.out, r.Output); err != nil {
					return err
				}
				fmt.Fprint(cmd.ErrOrStderr(), r.Error)
				if r.ExitCode != 0 {
					return exitError(r.ExitCode)
				}
			}
			return nil
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "end the command after this long, at most 10m")
	return cmd
}

// commandLine joins words for a shell. One word alone is a command line already; of several each is meant as it is.
func commandLine(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quote(word)
	}
	return strings.Join(quoted, " ")
}

const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+./,:@%"

func quote(word string) string {
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func (c *cli) errorsCommand() *cobra.Command {
	var clearing bool
	cmd := &cobra.Command{
		Use: "errors ID", Short: "Show the errors that an app printed", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sandboxes, err := c.sandboxes()
			if err != nil {
				return err
			}
			list, err := sandboxes.Errors(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if clearing {
				if err := sandboxes.ClearErrors(cmd.Context(), args[0]); err != nil {
					return err
				}
			}
			if c.format == "json" {
				return c.printJSON(list)
			}
			if len(list) == 0 {
				_, err := fmt.Fprintln(c.out, "no errors")
				return err
			}
			for _, e := range list {
				fmt.Fprintf(c.out, "%s  ×%d  %s\n", at(e.LastAt), e.Count, oneLine(e.Message, 200))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&clearing, "clear", false, "forget them after showing")
	return cmd
}

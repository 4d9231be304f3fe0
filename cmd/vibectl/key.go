package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"vibesdk-gcp/gateway/auth"
)

// newKey is what is shown of a key that was made.
type newKey struct {
	// Key is shown this once: nothing that is kept leads back to it.
	Key string `json:"key"`
	// Line is the entry for the file of callers.
	Line string `json:"line"`
}

func (c *cli) keyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Aliases: []string{"keys"}, Short: "API keys: who may call the gateway"}
	cmd.AddCommand(c.createKeyCommand())
	return cmd
}

func (c *cli) createKeyCommand() *cobra.Command {
	var entry auth.Entry
	var lasts time.Duration
	var file string
	cmd := &cobra.Command{
		Use: "create --name NAME --scope SCOPE…", Short: "Make an API key and the line for API_KEYS_FILE", Args: cobra.NoArgs,
		Long: "Makes an API key and shows it once, with the line that lets the server know it. The line goes into the file that API_KEYS_FILE\n" +
			"of the server names, by --file or by hand; the server reads it within a second. Taking it out again ends the key.\n\n" +
			"Scopes: " + scopeList(),
		RunE: func(*cobra.Command, []string) error {
			key := auth.NewKey()
			entry.SHA256 = auth.Digest(key)
			if lasts < 0 {
				return errors.New("--expires-in must not be negative")
			}
			if lasts > 0 {
				entry.Expires = time.Now().Add(lasts).UTC().Truncate(time.Second)
			}
			if err := entry.Validate(); err != nil {
				return err
			}
			made := newKey{Key: key, Line: entry.Line()}
			if file != "" {
				if err := appendLine(file, made.Line); err != nil {
					return fmt.Errorf("--file: %w", err)
				}
			}
			if c.format == "json" {
				return c.printJSON(made)
			}
			fmt.Fprintf(c.out, "Key, shown this once:\n%s\n\nLine for API_KEYS_FILE:\n%s", made.Key, made.Line)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&entry.Name, "name", "", "name of the caller, as it stands in the access log")
	flags.StringSliceVar(&entry.Scopes, "scope", nil, "what the caller may do; several with commas or given again")
	flags.DurationVar(&lasts, "expires-in", 0, "end of the key, like 720h; default never")
	flags.StringVar(&file, "file", "", "append the line to this file, which is made if need be")
	return cmd
}

func scopeList() string {
	text := ""
	for i, s := range auth.Scopes() {
		if i > 0 {
			text += ", "
		}
		text += string(s)
	}
	return text
}

// appendLine adds a line to the file of callers, and leaves it as it was when the server would not take it then.
func appendLine(path, line string) error {
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if n := len(before); n > 0 && before[n-1] != '\n' {
		line = "\n" + line
	}
	if _, err := auth.Parse(append(before, line...)); err != nil {
		return fmt.Errorf("%s: with the new line: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	return errors.Join(err, f.Close())
}

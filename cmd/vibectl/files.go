package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func (c *cli) filesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "files ID [FOLDER]", Short: "List the files of a running app", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			sandboxes, err := c.sandboxes()
			if err != nil {
				return err
			}
			folder := ""
			if len(args) == 2 {
				folder = args[1]
			}
			list, err := sandboxes.ListFiles(cmd.Context(), args[0], folder)
			if err != nil {
				return err
			}
			if c.format == "json" {
				return c.printJSON(list)
			}
			w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', tabwriter.AlignRight)
			for _, f := range list.Files {
				name := f.Path
				if f.Dir {
					name += "/"
				}
				fmt.Fprintf(w, "%d\t  %s\n", f.Size, name)
			}
			if list.Truncated {
				fmt.Fprintln(w, "\t  … and more")
			}
			return w.Flush()
		},
	}
}

func (c *cli) readCommand() *cobra.Command {
	return &cobra.Command{
		Use: "read ID PATH", Aliases: []string{"cat"}, Short: "Print a file of a running app", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			sandboxes, err := c.sandboxes()
			if err != nil {
				return err
			}
			data, err := sandboxes.ReadFile(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			_, err = c.out.Write(data)
			return err
		},
	}
}

func (c *cli) writeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "write ID PATH [FILE]", Short: "Write a file of a running app, from FILE or standard input", Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := c.input(args[2:])
			if err != nil {
				return err
			}
			sandboxes, err := c.sandboxes()
			if err != nil {
				return err
			}
			if err := sandboxes.WriteFile(cmd.Context(), args[0], args[1], data); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.out, "wrote %s (%d bytes)\n", args[1], len(data))
			return err
		},
	}
}

func (c *cli) input(file []string) ([]byte, error) {
	if len(file) == 0 || file[0] == "-" {
		return io.ReadAll(c.in)
	}
	return os.ReadFile(file[0])
}

func (c *cli) removeCommand() *cobra.Command {
	var recursive bool
	cmd := &cobra.Command{
		Use: "rm ID PATH", Short: "Remove a file of a running app", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			sandboxes, err := c.sandboxes()
			if err != nil {
				return err
			}
			return sandboxes.DeleteFile(cmd.Context(), args[0], args[1], recursive)
		},
	}
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "remove a folder and all below")
	return cmd
}

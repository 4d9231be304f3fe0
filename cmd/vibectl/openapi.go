package main

import (
	"github.com/spf13/cobra"
)

func (c *cli) openAPICommand() *cobra.Command {
	return &cobra.Command{
		Use: "openapi", Short: "Show the OpenAPI document of the server", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conn, err := c.client()
			if err != nil {
				return err
			}
			document, err := conn.OpenAPI(cmd.Context())
			if err != nil {
				return err
			}
			return c.printJSON(document)
		},
	}
}

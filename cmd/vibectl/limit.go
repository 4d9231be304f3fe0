package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"vibesdk-gcp/gateway/client"
)

// errLimitRejected is the status of a charge that a limit rejected, for scripts.
const errLimitRejected exitError = 3

func (c *cli) limitCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "limit", Aliases: []string{"limits"}, Short: "Rate limits: what callers may use"}
	cmd.AddCommand(
		c.listLimitsCommand(), c.chargeCommand("increment", "Charge a limit", (*client.Limits).Take),
		c.chargeCommand("check", "Ask whether a charge would be admitted", (*client.Limits).Check), c.remainingCommand(), c.resetLimitCommand(),
	)
	return cmd
}

func (c *cli) limits() (*client.Limits, error) {
	conn, err := c.client()
	if err != nil {
		return nil, err
	}
	return conn.Limits(), nil
}

func (c *cli) listLimitsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the configured limits", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			limits, err := c.limits()
			if err != nil {
				return err
			}
			list, err := limits.List(cmd.Context())
			if err != nil {
				return err
			}
			return c.printLimits(list)
		},
	}
}

type chargeCall func(l *client.Limits, ctx context.Context, charges ...client.LimitCharge) (client.LimitResults, error)

func (c *cli) chargeCommand(name, short string, do chargeCall) *cobra.Command {
	var n float64
	var config string
	cmd := &cobra.Command{
		Use: name + " LIMIT IDENTIFIER [LIMIT IDENTIFIER]...", Short: short, Args: pairs,
		Long: short + ". Several are charged together, all or none. The exit status is 3 when one is rejected.",
		Example: "  vibectl limit " + name + " llmCalls user:42 -n 1.2\n  vibectl limit " + name + " llmCalls user:42 apiRateLimit ip:10.0.0.1\n" +
			"  vibectl limit " + name + " mine user:42 --config '{\"limit\":10,\"period\":60}'",
		RunE: func(cmd *cobra.Command, args []string) error {
			var charges []client.LimitCharge
			for pair := range slices.Chunk(args, 2) {
				charge, err := chargeOf(pair, n, config)
				if err != nil {
					return err
				}
				charges = append(charges, charge)
			}
			limits, err := c.limits()
			if err != nil {
				return err
			}
			out, err := do(limits, cmd.Context(), charges...)
			if err != nil {
				return err
			}
			if err := c.printLimitResults(out); err != nil {
				return err
			}
			if !out.Success {
				return errLimitRejected
			}
			return nil
		},
	}
	cmd.Flags().Float64VarP(&n, "cost", "n", 1, "cost of each charge")
	return configFlag(cmd, &config)
}

func (c *cli) remainingCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use: "remaining LIMIT IDENTIFIER", Short: "Show what a limit still admits", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			charge, err := chargeOf(args, 0, config)
			if err != nil {
				return err
			}
			limits, err := c.limits()
			if err != nil {
				return err
			}
			left, err := limits.Remaining(cmd.Context(), charge)
			if err != nil {
				return err
			}
			if c.format == "json" {
				return c.printJSON(left)
			}
			_, err = fmt.Fprintf(c.out, "%g%s\n", left.RemainingLimit, degraded(left.Degraded))
			return err
		},
	}
	return configFlag(cmd, &config)
}

func (c *cli) resetLimitCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reset LIMIT IDENTIFIER", Short: "Forget what was charged", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			limits, err := c.limits()
			if err != nil {
				return err
			}
			if err := limits.Reset(cmd.Context(), args[0], args[1]); err != nil {
				return err
			}
			if c.format == "json" {
				return c.printJSON(struct{}{})
			}
			_, err = fmt.Fprintf(c.out, "%s of %s is reset\n", args[0], args[1])
			return err
		},
	}
}

// pairs wants limits, each with its identifier.
func pairs(_ *cobra.Command, args []string) error {
	if len(args) == 0 || len(args)%2 != 0 {
		return fmt.Errorf("needs a LIMIT and an IDENTIFIER, or several such pairs: got %d arguments", len(args))
	}
	return nil
}

func configFlag(cmd *cobra.Command, config *string) *cobra.Command {
	cmd.Flags().StringVar(config, "config", "", "JSON of a limit that counts instead of the configured one")
	return cmd
}

func chargeOf(args []string, n float64, config string) (client.LimitCharge, error) {
	charge := client.LimitCharge{Limit: args[0], Identifier: args[1], N: n}
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return charge, fmt.Errorf("--cost %v is not a number", n)
	}
	if config == "" {
		return charge, nil
	}
	dec := json.NewDecoder(strings.NewReader(config))
	dec.DisallowUnknownFields() // a field with a slip in its name would be no limit at all
	err := dec.Decode(&charge.Config)
	if err == nil && (dec.More() || charge.Config == nil) {
		err = errors.New("it must be one object")
	}
	if err != nil {
		return charge, fmt.Errorf("--config is not JSON like {\"limit\":10,\"period\":60}: %w", err)
	}
	return charge, nil
}

func (c *cli) printLimits(list map[string]client.Limit) error {
	if c.format == "json" {
		return c.printJSON(list)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tLIMIT\tBURST\tPER DAY\tIN AN OUTAGE")
	for _, name := range slices.Sorted(maps.Keys(list)) {
		l := list[name]
		limit, burst, daily := fmt.Sprintf("%g per %s", l.Limit, inUnits(l.Period)), "-", "-"
		if l.CalendarDaily {
			limit = fmt.Sprintf("%g per day of UTC", l.Limit)
		}
		if l.Burst > 0 {
			window := 60.0
			if l.BurstWindow != nil && *l.BurstWindow > 0 {
				window = *l.BurstWindow
			}
			burst = fmt.Sprintf("%g per %s", l.Burst, inUnits(window))
		}
		if l.DailyLimit != nil {
			daily = fmt.Sprintf("%g", *l.DailyLimit)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", name, limit, burst, daily, l.OnFailure)
	}
	return w.Flush()
}

func (c *cli) printLimitResults(out client.LimitResults) error {
	switch {
	case c.format == "json" && len(out.Results) == 1:
		return c.printJSON(out.Results[0])
	case c.format == "json":
		return c.printJSON(out)
	}
	for _, r := range out.Results {
		line := limitResultText(r)
		if r.Success && !out.Success {
			line = "not charged, since another rejects"
		}
		if len(out.Results) > 1 {
			line = fmt.Sprintf("%s of %s: %s", r.Limit, r.Identifier, line)
		}
		if _, err := fmt.Fprintln(c.out, line); err != nil {
			return err
		}
	}
	return nil
}

func limitResultText(r client.LimitResult) string {
	text := fmt.Sprintf("admitted, %g left", r.RemainingLimit)
	if !r.Success {
		text = "rejected: " + r.ExceededLimit
		if r.LimitValue != nil {
			text += fmt.Sprintf(" limit of %g", *r.LimitValue)
		}
		if r.PeriodSeconds != nil {
			text += " per " + inUnits(*r.PeriodSeconds)
		}
		if r.RetryAfterSeconds > 0 {
			text += ", try again in " + inUnits(r.RetryAfterSeconds)
		}
	}
	return text + degraded(r.Degraded)
}

func degraded(is bool) string {
	if is {
		return " (the backend is down: counted by this server alone)"
	}
	return ""
}

// inUnits writes a time as in 90s, 1m30s, 24h.
func inUnits(s float64) string {
	d := time.Duration(s * float64(time.Second)).Round(time.Millisecond)
	if d >= time.Hour && d%time.Hour == 0 {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	if d >= time.Minute && d%time.Minute == 0 {
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

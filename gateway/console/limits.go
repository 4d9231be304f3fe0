package console

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/gateway/client"
)

// limitsView is the configured limits, and what one of them still admits for somebody.
type limitsView struct {
	Limits []limitRow
	// Limit and Identifier are who was asked about; Asked tells that somebody was.
	Limit, Identifier string
	Asked             bool
	Remaining         client.LimitRemaining
	Writes            bool
}

// limitRow is a configured limit with its name.
type limitRow struct {
	Name string
	client.Limit
}

func (v *visit) limits() error {
	ctx, query := v.r.Context(), v.r.URL.Query()
	configured, err := v.api.Limits().List(ctx)
	if err != nil {
		return err
	}
	view := limitsView{
		Limit: query.Get("limit"), Identifier: strings.TrimSpace(query.Get("identifier")), Writes: v.may(auth.LimitsWrite),
	}
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		view.Limits = append(view.Limits, limitRow{name, configured[name]})
	}
	if view.Limit != "" && view.Identifier != "" {
		view.Asked = true
		view.Remaining, err = v.api.Limits().Remaining(ctx, client.LimitCharge{Limit: view.Limit, Identifier: view.Identifier})
		if err != nil {
			return err
		}
	}
	return v.show("/limits", "limits", "Limits", view)
}

func (v *visit) resetLimit() error {
	if err := parseForm(v.w, v.r, smallForm); err != nil {
		return err
	}
	limit, identifier := v.r.PostForm.Get("limit"), v.r.PostForm.Get("identifier")
	if limit == "" || identifier == "" || v.r.PostForm.Get("confirm") == "" {
		return &pageError{http.StatusUnprocessableEntity, "Nothing was reset", "The form needs a limit, an identifier and your confirmation."}
	}
	if err := v.api.Limits().Reset(v.r.Context(), limit, identifier); err != nil {
		return err
	}
	return v.done("reset", "limits")
}

package gateway

import (
	"net/http"

	"vibesdk-gcp/gateway/auth"
)

// limitRoutes are about rate limits.
func (g *Gateway) limitRoutes() []route {
	fails := []int{http.StatusNotFound, http.StatusConflict, http.StatusNotImplemented}
	body := optionalJSON(limitRequest{})
	one := func(action string, scope auth.Scope, summary string, out map[int]content, more ...int) route {
		return route{"POST", "/v1/limits/{type}/{identifier}:" + action, scope, g.actOnLimit(action), summary, spec{
			in: body, maxBody: maxLimitBody, out: out, fails: also(fails, more...),
		}}
	}
	several := func(action string, scope auth.Scope, summary string, out map[int]content, more ...int) route {
		return route{"POST", "/v1/limits:" + action, scope, g.actOnLimits(action), summary, spec{
			in: body, maxBody: maxLimitBody, out: out, fails: also(fails, more...),
		}}
	}
	const limited = http.StatusTooManyRequests
	return []route{
		{"GET", "/v1/limits", auth.LimitsRead, g.listLimits, "List the configured limits", spec{out: ok(LimitList{}), fails: []int{http.StatusNotImplemented}}},
		one("increment", auth.LimitsWrite, "Charge to a limit", ok(LimitAnswer{}), limited),
		one("check", auth.LimitsRead, "Ask whether a charge would be admitted", ok(LimitAnswer{}), limited),
		one("remaining", auth.LimitsRead, "Ask what a limit still admits", ok(LimitRemaining{})),
		one("reset", auth.LimitsWrite, "Forget what was charged", noContent()),
		several("increment", auth.LimitsWrite, "Charge to several limits, all or none", ok(LimitResults{}), limited),
		several("check", auth.LimitsRead, "Ask whether charges would be admitted", ok(LimitResults{}), limited),
		several("settle", auth.LimitsWrite, "Charge what a reservation came to", noContent()),
		several("refund", auth.LimitsWrite, "Give a reservation back", noContent()),
	}
}

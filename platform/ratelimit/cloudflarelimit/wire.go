package cloudflarelimit

import "vibesdk-gcp/platform/ratelimit"

// request is the body of every call; each uses some of the fields. limits.ts of the bridge reads it.
type request struct {
	Key        string      `json:"key,omitempty"`
	Charges    []charge    `json:"charges,omitempty"`
	Correction *correction `json:"correction,omitempty"`
	Counts     *counts     `json:"counts,omitempty"`
	Dry        bool        `json:"dry,omitempty"`
	Keep       int64       `json:"keep,omitempty"`
}

// counts are [ratelimit.Counts] whose lists are never null.
type counts struct {
	ratelimit.Counts

	Sizes    []ratelimit.SizeUse  `json:"sizes"`
	Buckets  []ratelimit.Bucket   `json:"buckets"`
	Adjusted []ratelimit.Adjusted `json:"adjusted"`
}

func countsOf(c ratelimit.Counts) *counts {
	return &counts{
		Counts: c, Sizes: append([]ratelimit.SizeUse{}, c.Sizes...), Buckets: append([]ratelimit.Bucket{}, c.Buckets...),
		Adjusted: append([]ratelimit.Adjusted{}, c.Adjusted...),
	}
}

type charge struct {
	Key  string  `json:"key"`
	N    float64 `json:"n"`
	Rule rule    `json:"rule"`
}

type correction struct {
	ID     string  `json:"id"`
	Key    string  `json:"key"`
	Rule   rule    `json:"rule"`
	Bucket int64   `json:"bucket"`
	Delta  float64 `json:"delta"`
}

// rule is a [ratelimit.Rule]: times in milliseconds, 0 for no burst or daily limit.
type rule struct {
	Size        int64   `json:"size"`
	Main        int64   `json:"main"`
	Calendar    bool    `json:"calendar"`
	Limit       float64 `json:"limit"`
	BurstWindow int64   `json:"burstWindow"`
	Burst       float64 `json:"burst"`
	Daily       float64 `json:"daily"`
}

type decision struct {
	Exceeded ratelimit.Exceeded `json:"exceeded"`
	Main     float64            `json:"main"`
	Daily    float64            `json:"daily"`
	RetryAt  int64              `json:"retryAt"`
}

func ruleOf(r ratelimit.Rule) rule {
	w := rule{
		Size: r.Size, Main: r.Main, Calendar: r.Config.CalendarDaily, Limit: r.Config.Limit,
		BurstWindow: r.BurstWindow, Burst: r.Config.Burst,
	}
	if r.Config.DailyLimit != nil {
		w.Daily = *r.Config.DailyLimit
	}
	return w
}

package ratelimit

// TakeAll is [Backend.Take] on the states of the items' keys, which the caller has locked. With own the time is that of the backend's
// own clock. Nothing needs to be stored unless all answers are admitted and dry is not set.
func TakeAll(now int64, own bool, states []*State, items []Item, dry bool) ([]Answer, error) {
	if own {
		for _, s := range states {
			now = s.Clock(now)
		}
	}
	answers := make([]Answer, len(items))
	for i, item := range items {
		var err error
		if answers[i], err = states[i].Decide(now, item.Rule); err != nil {
			return nil, err
		}
	}
	if dry || Rejected(answers) {
		return answers, nil
	}
	for i, item := range items {
		if own {
			states[i].Tick(now)
		}
		if err := states[i].Charge(now, item.Rule, item.N); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// Rejected reports whether one of the answers is a rejection.
func Rejected(answers []Answer) bool {
	for _, a := range answers {
		if a.Exceeded != "" {
			return true
		}
	}
	return false
}

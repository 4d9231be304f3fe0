package ratelimit

// retryAt is the earliest time, not before now, at which no window of the rule rejects if nothing is charged until
// then, or RetryNever.
func (s *State) retryAt(now int64, r Rule) (int64, error) {
	if r.Config.Limit <= 0 {
		return RetryNever, nil
	}
	at, b := now, r.Bucket(now)
	// With negative charges a count may grow as buckets leave, so a window that was fine may reject again.
	for settled := false; !settled; {
		settled = true
		for _, w := range r.Windows() {
			next, err := s.admits(at, r.Size, b, w)
			if err != nil {
				return 0, err
			}
			if next > at {
				at, settled = next, false
			}
		}
		settled = settled || !s.head.negative
	}
	return at, nil
}

// admits is the earliest time from at on at which the window's count is below its limit. The buckets end with b.
func (s *State) admits(at, size, b int64, w Window) (int64, error) {
	if !w.Calendar {
		first, err := s.fits(size, w.First(at, size), b, w.Limit)
		return w.Leaves(at, first, size), err
	}
	for {
		count, err := s.count(size, w.First(at, size), b, w.Limit)
		if err != nil || count < w.Limit {
			return at, err
		}
		at = (at/dayMillis + 1) * dayMillis
	}
}

// fits is the smallest index from a on such that the buckets from there to b count less than the limit.
func (s *State) fits(size, a, b int64, limit float64) (int64, error) {
	f := fitting{s: s, size: size, a: a, b: b, limit: limit, first: b + 1}
	for i := b >> (fanBits * (topLevel + 1)); i >= a>>(fanBits*(topLevel+1)) && !f.crossed; i-- {
		if err := f.descend(CellID{size, topLevel, i}); err != nil {
			return 0, err
		}
	}
	if f.crossed {
		return f.first, nil
	}
	if reaches, err := f.reaches(a); err != nil || reaches {
		return f.first, err
	}
	return a, nil
}

// fitting walks buckets from the youngest to the oldest, by whole cells where the limit cannot be within them.
type fitting struct {
	s          *State
	size, a, b int64
	limit      float64
	// sum is that of the buckets walked, first the smallest index found that fits.
	sum   float64
	first int64
	// crossed: no older index fits.
	crossed bool
}

func (f *fitting) descend(id CellID) error {
	c, err := f.s.cell(id)
	if err != nil || c == nil {
		return err
	}
	for i := len(c.slots) - 1; i >= 0 && !f.crossed; i-- {
		child := id.Index<<fanBits + int64(c.slots[i])
		first, last := span(id.Level, child)
		switch {
		case last < f.a || first > f.b:
		case id.Level == 0:
			if err := f.walk(child, c.sums[i]); err != nil {
				return err
			}
		case first >= f.a && last <= f.b && f.passes(c.sums[i]):
			f.sum += c.sums[i]
		default:
			if err := f.descend(CellID{id.Size, id.Level - 1, child}); err != nil {
				return err
			}
		}
	}
	return nil
}

// walk takes one bucket more.
func (f *fitting) walk(bucket int64, n float64) error {
	if f.s.head.negative {
		reaches, err := f.reaches(bucket + 1)
		if err != nil {
			return err
		}
		if !reaches {
			f.first = bucket + 1
		}
		f.sum += n
		return nil
	}
	f.sum += n
	reaches, err := f.reaches(bucket)
	if reaches {
		f.first, f.crossed = bucket+1, true
	}
	return err
}

// passes reports whether all buckets that add up to n can be walked without looking at each.
func (f *fitting) passes(n float64) bool {
	sum := f.sum + n
	return !f.s.head.negative && sum < f.limit && !near(sum, f.limit)
}

// reaches reports whether the buckets from first on, which were walked, count as much as the limit.
func (f *fitting) reaches(first int64) (bool, error) {
	if !f.s.head.fractional || !near(f.sum, f.limit) {
		return f.sum >= f.limit, nil
	}
	count, err := f.s.count(f.size, first, f.b, f.limit)
	return count >= f.limit, err
}

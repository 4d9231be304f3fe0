package ratelimit

import (
	"math"
	"slices"
	"time"
)

// State is the counts of one key, or the part of them that was loaded. It is the arithmetic of every backend written
// in Go; redislimit has the same in Lua. It is not safe for concurrent use.
type State struct {
	head head
	keep int64 // least horizon
	// cells has nil for what is known to be absent.
	cells map[CellID]*Cell
	// load adds to cells, for every id, the stored cell or nil. Nil when all is in cells already.
	load func(ids []CellID) error

	dirty     map[CellID]struct{}
	headDirty bool
	touched   int
}

// NewState is a key that nothing was charged to. Its horizon is at least keep. With a loader it is one whose cells
// are stored elsewhere: load must call [State.PutRow] for every id that is found.
func NewState(keep time.Duration, load func(s *State, ids []CellID) error) *State {
	s := &State{keep: keep.Milliseconds(), cells: map[CellID]*Cell{}, dirty: map[CellID]struct{}{}}
	if load != nil {
		s.load = func(ids []CellID) error { return load(s, ids) }
	}
	return s
}

// PutRow takes a stored row of the key; a name that is no row's is an error.
func (s *State) PutRow(name string, data []byte) error {
	if name == "" {
		return s.head.decode(data)
	}
	id, err := parseCellID(name)
	if err != nil {
		return err
	}
	c := &Cell{}
	if err := c.Decode(data); err != nil {
		return err
	}
	s.cells[id] = c
	return nil
}

// PutAbsent says that the cell is not stored, unless it was put.
func (s *State) PutAbsent(id CellID) {
	if _, known := s.cells[id]; !known {
		s.cells[id] = nil
	}
}

// Clear forgets the key. Nothing is loaded for it any more.
func (s *State) Clear() {
	*s = State{keep: s.keep, touched: s.touched, cells: map[CellID]*Cell{}, dirty: map[CellID]struct{}{}}
}

// Touched is how many cells were read or written since the state was made.
func (s *State) Touched() int { return s.touched }

// Clock is the time to use when the backend's own clock says now: never earlier than what it said before.
func (s *State) Clock(now int64) int64 { return max(now, s.head.clock) }

// need makes the cells known.
func (s *State) need(ids ...CellID) error {
	missing := ids[:0:0]
	for _, id := range ids {
		if _, known := s.cells[id]; !known && !slices.Contains(missing, id) {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 || s.load == nil {
		return nil
	}
	if err := s.load(missing); err != nil {
		return err
	}
	for _, id := range missing {
		if _, known := s.cells[id]; !known {
			s.cells[id] = nil
		}
	}
	return nil
}

func (s *State) cell(id CellID) (*Cell, error) {
	s.touched++
	if err := s.need(id); err != nil {
		return nil, err
	}
	return s.cells[id], nil
}

// sum adds the buckets from a to b, in any order.
func (s *State) sum(size, a, b int64) (float64, error) {
	var total float64
	for _, p := range cover(size, a, b) {
		c, err := s.cell(p.id)
		if err != nil {
			return 0, err
		}
		total += c.sum(p.lo, p.hi)
	}
	return total, nil
}

// count is the sum of the buckets from a to b, to the last bit that of adding them in ascending order where that decides whether
// it reaches the limit.
func (s *State) count(size, a, b int64, limit float64) (float64, error) {
	total, err := s.sum(size, a, b)
	if err != nil || !s.head.fractional || !near(total, limit) {
		return total, err
	}
	total = 0
	err = s.each(size, a, b, func(_ int64, n float64) bool {
		total += n
		return true
	})
	return total, err
}

// near reports whether adding in another order might put a sum on the other side of its limit.
func near(sum, limit float64) bool { return math.Abs(sum-limit) <= 1e-9*max(1, limit) }

// each visits the buckets from a to b that were charged, in ascending order, until visit returns false.
func (s *State) each(size, a, b int64, visit func(bucket int64, n float64) bool) error {
	for i := a >> (fanBits * (topLevel + 1)); i <= b>>(fanBits*(topLevel+1)); i++ {
		if more, err := s.eachBelow(CellID{size, topLevel, i}, a, b, visit); err != nil || !more {
			return err
		}
	}
	return nil
}

func (s *State) eachBelow(id CellID, a, b int64, visit func(bucket int64, n float64) bool) (more bool, err error) {
	c, err := s.cell(id)
	if err != nil || c == nil {
		return true, err
	}
	if id.Level > 0 {
		if err := s.need(childrenWithin(id, c, a, b)...); err != nil {
			return false, err
		}
	}
	for i, slot := range c.slots {
		child := id.Index<<fanBits + int64(slot)
		if first, last := span(id.Level, child); last < a || first > b {
			continue
		}
		if id.Level == 0 {
			more = visit(child, c.sums[i])
		} else {
			more, err = s.eachBelow(CellID{id.Size, id.Level - 1, child}, a, b, visit)
		}
		if err != nil || !more {
			return more, err
		}
	}
	return true, nil
}

// childrenWithin lists the children of a cell that hold buckets from a to b, so that they are loaded at once.
func childrenWithin(id CellID, c *Cell, a, b int64) []CellID {
	ids := make([]CellID, 0, len(c.slots))
	for _, slot := range c.slots {
		child := id.Index<<fanBits + int64(slot)
		if first, last := span(id.Level, child); last >= a && first <= b {
			ids = append(ids, CellID{id.Size, id.Level - 1, child})
		}
	}
	return ids
}

// span is the first and last bucket under a child of a cell of that level.
func span(level int, child int64) (first, last int64) {
	first = child << (fanBits * level)
	return first, first + 1<<(fanBits*level) - 1
}

// set gives a bucket a count and mends the sums above it. A sum is added up again from its children: what is
// added and later taken away leaves no rest.
func (s *State) set(size, bucket int64, sum float64) error {
	ids := path(size, bucket)
	if err := s.need(ids...); err != nil {
		return err
	}
	child := bucket
	for _, id := range ids {
		c := s.cells[id]
		if c == nil {
			c = &Cell{}
			s.cells[id] = c
		}
		s.touched++
		c.set(uint8(child&(fan-1)), sum)
		s.dirty[id] = struct{}{}
		sum, child = c.sum(0, fan-1), id.Index
	}
	return nil
}

// bucket is the count of one bucket whose cell is loaded.
func (s *State) bucket(size, bucket int64) float64 {
	c := s.cells[CellID{size, 0, bucket >> fanBits}]
	if c == nil {
		return 0
	}
	return c.at(uint8(bucket & (fan - 1)))
}

// Decide answers for an item as of now, in milliseconds, and changes nothing but what is loaded.
func (s *State) Decide(now int64, r Rule) (Answer, error) {
	if s.head.find(r.Size) != nil {
		return s.decide(now, r)
	}
	seen, err := s.preview(now, r.Size)
	if err != nil {
		return Answer{}, err
	}
	defer func() { s.touched += seen.touched }()
	return seen.decide(now, r)
}

// decide is Decide for a size that the key has.
func (s *State) decide(now int64, r Rule) (Answer, error) {
	a := Answer{Now: now}
	b := r.Bucket(now)
	for _, w := range r.Windows() {
		count, err := s.count(r.Size, w.First(now, r.Size), b, w.Limit)
		if err != nil {
			return Answer{}, err
		}
		switch w.Kind {
		case ExceededMain:
			a.Main = count
		case ExceededDaily:
			a.Daily = count
		case ExceededBurst: // is not reported
		}
		if a.Exceeded == "" && count >= w.Limit {
			a.Exceeded = w.Kind
		}
	}
	if a.Exceeded != "" {
		at, err := s.retryAt(now, r)
		if err != nil {
			return Answer{}, err
		}
		a.RetryAt = at
	}
	return a, nil
}

// Charge adds n to the bucket of now.
func (s *State) Charge(now int64, r Rule, n float64) error {
	if err := s.see(now, r.Size); err != nil {
		return err
	}
	return s.write(now, r, r.Bucket(now), n)
}

// Adjust adds delta to a bucket, taking at most what it holds. A bucket beyond the horizon is left alone.
func (s *State) Adjust(now int64, r Rule, bucket int64, delta float64) error {
	if bucket*r.Size < now-r.Horizon() {
		return nil // what it could correct is in no window any more
	}
	if err := s.see(now, r.Size); err != nil {
		return err
	}
	if err := s.need(CellID{r.Size, 0, bucket >> fanBits}); err != nil {
		return err
	}
	held := s.bucket(r.Size, bucket)
	if delta < 0 {
		delta = max(delta, min(0, -held))
	}
	if delta == 0 {
		return nil
	}
	return s.write(now, r, bucket, delta)
}

// Tick remembers a time of the backend's own clock.
func (s *State) Tick(now int64) {
	if now > s.head.clock {
		s.head.clock, s.headDirty = now, true
	}
}

// write adds to a bucket in the tree of every size whose grid it is on.
func (s *State) write(now int64, r Rule, bucket int64, n float64) error {
	s.mark(now, r, n)
	for _, other := range s.head.series {
		start := bucket * r.Size
		if start%other.size != 0 {
			continue
		}
		at := start / other.size
		if err := s.need(CellID{other.size, 0, at >> fanBits}); err != nil {
			return err
		}
		if err := s.set(other.size, at, s.bucket(other.size, at)+n); err != nil {
			return err
		}
	}
	return nil
}

// mark keeps the head true.
func (s *State) mark(now int64, r Rule, n float64) {
	h := &s.head
	before := *h
	h.fractional = h.fractional || n != math.Trunc(n)
	h.negative = h.negative || n < 0
	h.horizon = max(h.horizon, r.Horizon(), s.keep)
	used := h.find(r.Size)
	if now-used.used > h.horizon/16 {
		used.used, s.headDirty = now, true
	}
	if h.fractional != before.fractional || h.negative != before.negative || h.horizon != before.horizon {
		s.headDirty = true
	}
}

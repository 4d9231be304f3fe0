package ratelimit

import (
	"fmt"
	"slices"
)

// preview is the state as see would leave it. A question must not cost the key one of its bucket sizes.
func (s *State) preview(now, size int64) (*State, error) {
	p := &State{head: s.head, keep: s.keep, cells: make(map[CellID]*Cell, len(s.cells)), dirty: map[CellID]struct{}{}}
	p.head.series = slices.Clone(s.head.series)
	take := func(id CellID) {
		c := s.cells[id]
		if c != nil && id.Size == size { // which see sets
			c = &Cell{slices.Clone(c.slots), slices.Clone(c.sums)}
		}
		p.cells[id] = c
	}
	for id := range s.cells {
		take(id)
	}
	if s.load != nil {
		p.load = func(ids []CellID) error {
			if err := s.need(ids...); err != nil {
				return err
			}
			for _, id := range ids {
				take(id)
			}
			return nil
		}
	}
	return p, p.see(now, size)
}

// see gives the key a tree of this size, from the buckets of the other sizes that are on its grid.
func (s *State) see(now, size int64) error {
	if s.head.find(size) != nil {
		return nil
	}
	s.head.series = slices.DeleteFunc(s.head.series, func(other series) bool { return !s.head.live(other, now) })
	if len(s.head.series) == maxSeries {
		return fmt.Errorf("%w: bucketSize is the key's %dth within its horizon, the most are %d", ErrInvalid, maxSeries+1, maxSeries)
	}
	buckets := map[int64]float64{}
	for _, other := range s.head.series {
		first := max(0, now-s.head.horizon-other.size) / other.size
		last := (now + s.head.horizon) / other.size
		if err := s.each(other.size, first, last, func(bucket int64, n float64) bool {
			if start := bucket * other.size; start%size == 0 {
				buckets[start/size] = n
			}
			return true
		}); err != nil {
			return err
		}
	}
	s.head.series = append(s.head.series, series{size: size, used: now})
	s.headDirty = true
	// Cells of an earlier series of this size may still be stored, so counts are set and not added.
	for bucket, n := range buckets {
		if err := s.set(size, bucket, n); err != nil {
			return err
		}
	}
	return nil
}

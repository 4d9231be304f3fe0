package ratelimit

import "slices"

// Plan lists the cells that a charge under a rule reads and writes, as far as can be told without the head.
func (r Rule) Plan(now int64) []CellID {
	b := r.Bucket(now)
	ids := path(r.Size, b)
	for _, w := range r.Windows() {
		for _, part := range cover(r.Size, w.First(now, r.Size), b) {
			if !slices.Contains(ids, part.id) {
				ids = append(ids, part.id)
			}
		}
	}
	return ids
}

// path lists the cells above a bucket, lowest first.
func path(size, bucket int64) []CellID {
	ids := make([]CellID, 0, topLevel+1)
	for level := range topLevel + 1 {
		bucket >>= fanBits
		ids = append(ids, CellID{size, level, bucket})
	}
	return ids
}

// part is some neighbouring slots of a cell.
type part struct {
	id     CellID
	lo, hi int64
}

// cover lists the parts that add up to the buckets from a to b.
func cover(size, a, b int64) []part {
	var parts []part
	for level := 0; a <= b; level++ {
		left, right := a>>fanBits, b>>fanBits
		if left == right || level == topLevel {
			for i := left; i <= right; i++ {
				parts = append(parts, part{CellID{size, level, i}, max(a-i<<fanBits, 0), min(b-i<<fanBits, fan-1)})
			}
			break
		}
		parts = append(parts, part{CellID{size, level, left}, a & (fan - 1), fan - 1},
			part{CellID{size, level, right}, 0, b & (fan - 1)})
		a, b = left+1, right-1
	}
	return parts
}

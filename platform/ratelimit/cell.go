package ratelimit

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The tree of sums: a cell has 32 children, and the cells of the top level stand side by side.
const (
	fanBits  = 5
	fan      = 1 << fanBits
	topLevel = 2
)

// CellID names a cell of a key: bucket size in milliseconds, level (0 holds buckets), and index, which is the bucket's index
// divided by 32 once for each level and once more.
type CellID struct {
	Size  int64
	Level int
	Index int64
}

// String is the name under which backends store the cell.
func (id CellID) String() string {
	b := strconv.AppendInt(make([]byte, 0, 32), id.Size, 10)
	b = strconv.AppendInt(append(b, ':'), int64(id.Level), 10)
	return string(strconv.AppendInt(append(b, ':'), id.Index, 10))
}

// parseCellID reads what String wrote.
func parseCellID(name string) (CellID, error) {
	size, rest, _ := strings.Cut(name, ":")
	level, index, _ := strings.Cut(rest, ":")
	var id CellID
	var errs [3]error
	id.Size, errs[0] = strconv.ParseInt(size, 10, 64)
	id.Level, errs[1] = strconv.Atoi(level)
	id.Index, errs[2] = strconv.ParseInt(index, 10, 64)
	if errors.Join(errs[:]...) != nil || id.Size < 1 || id.Level < 0 || id.Level > topLevel || id.Index < 0 {
		return CellID{}, errors.New("stored cell has a name that is none")
	}
	return id, nil
}

// End is when the youngest bucket of the cell ends, in milliseconds since 1970.
func (id CellID) End() int64 { return (id.Index + 1) << (fanBits * (id.Level + 1)) * id.Size }

// Cell holds the counts of up to 32 buckets, or the sums of up to 32 cells of the level below. Slots that nothing was charged to are absent.
type Cell struct {
	slots []uint8 // ascending
	sums  []float64
}

// Decode replaces the cell by a stored one.
func (c *Cell) Decode(data []byte) error {
	n := len(data) / 9
	if len(data) != n*9 || n > fan {
		return errors.New("stored cell is cut off")
	}
	c.slots = append(c.slots[:0], data[:n]...)
	c.sums = c.sums[:0]
	for i := range n {
		c.sums = append(c.sums, math.Float64frombits(binary.LittleEndian.Uint64(data[n+8*i:])))
		if c.slots[i] >= fan || i > 0 && c.slots[i] <= c.slots[i-1] {
			return errors.New("stored cell has slots out of order")
		}
	}
	return nil
}

// Encode is the stored form: the slots, a byte each, then their sums, 8 bytes each in little endian.
func (c *Cell) Encode() []byte {
	data := append(make([]byte, 0, 9*len(c.slots)), c.slots...)
	for _, sum := range c.sums {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(sum))
	}
	return data
}

// at is the sum in a slot, 0 when there is none.
func (c *Cell) at(slot uint8) float64 {
	if i, ok := slices.BinarySearch(c.slots, slot); ok {
		return c.sums[i]
	}
	return 0
}

func (c *Cell) set(slot uint8, sum float64) {
	i, ok := slices.BinarySearch(c.slots, slot)
	if !ok {
		c.slots = slices.Insert(c.slots, i, slot)
		c.sums = slices.Insert(c.sums, i, sum)
	}
	c.sums[i] = sum
}

// sum adds the slots from lo to hi.
func (c *Cell) sum(lo, hi int64) float64 {
	var total float64
	if c != nil {
		for i, slot := range c.slots {
			if int64(slot) >= lo && int64(slot) <= hi {
				total += c.sums[i]
			}
		}
	}
	return total
}

package ratelimit

import (
	"encoding/binary"
	"errors"
	"math"
)

// maxSeries bounds the bucket sizes in use for one key.
const maxSeries = 8

// head is what a key remembers beside its cells.
type head struct {
	// fractional: a charge was no integer, so the order of addition matters. negative: a charge was below 0, so
	// counts may grow as buckets leave the window.
	fractional, negative bool
	// horizon is the longest Rule.Horizon that charged the key, clock the latest time of the backend's own clock.
	horizon, clock int64
	series         []series
}

// series is a bucket size whose tree is kept.
type series struct {
	size int64
	// used is when a rule of this size charged last, to a sixteenth of the horizon.
	used int64
}

// live reports whether buckets that only this series holds may lie within the horizon.
func (h *head) live(s series, now int64) bool {
	return now <= s.used+h.horizon+h.horizon/16+s.size
}

func (h *head) find(size int64) *series {
	for i := range h.series {
		if h.series[i].size == size {
			return &h.series[i]
		}
	}
	return nil
}

// encode writes a byte of flags and then doubles, which Lua can read as well.
func (h *head) encode() []byte {
	var flags byte
	if h.fractional {
		flags |= 1
	}
	if h.negative {
		flags |= 2
	}
	data := []byte{flags}
	number := func(n int64) { data = binary.LittleEndian.AppendUint64(data, math.Float64bits(float64(n))) }
	number(h.horizon)
	number(h.clock)
	for _, s := range h.series {
		number(s.size)
		number(s.used)
	}
	return data
}

func (h *head) decode(data []byte) error {
	if len(data)%16 != 1 || len(data) < 17 || len(data) > 17+16*maxSeries {
		return errors.New("stored head is cut off")
	}
	number := func(i int) int64 { return int64(math.Float64frombits(binary.LittleEndian.Uint64(data[1+8*i:]))) }
	*h = head{fractional: data[0]&1 != 0, negative: data[0]&2 != 0, horizon: number(0), clock: number(1)}
	for i := 2; i < len(data)/8; i += 2 {
		h.series = append(h.series, series{size: number(i), used: number(i + 1)})
	}
	return nil
}

package redislimit

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"vibesdk-gcp/platform/ratelimit"
)

// run is one run of the script: calls of "take" that share it, or one call of another kind. limit.lua has the form of what
// is sent and of what is answered.
type run struct{ calls []*call }

const (
	ownClock   = -1 // in place of a time: the server's
	sizes      = 255
	answerSize = 1 + 4*8
)

var (
	errMalformed = errors.New("redis gave an answer that is not the script's")
	errSizes     = errors.New("SIZES")
)

// windows has the names of the script's numbers.
var windows = [...]ratelimit.Exceeded{"", ratelimit.ExceededMain, ratelimit.ExceededBurst, ratelimit.ExceededDaily}

// command words the run for the client.
func (r *run) command(command, script string, keep time.Duration) []any {
	if first := r.calls[0]; first.items == nil {
		words := []any{command, script, len(first.keys)}
		for _, key := range first.keys {
			words = append(words, key)
		}
		return append(words, first.args...)
	}
	words := append(make([]any, 0, 5+len(r.calls)), command, script, 0)
	keys, rules := places[string]{}, places[packedRule]{}
	var packed []byte // the rules
	calls := make([]byte, 0, 32*len(r.calls))
	for _, c := range r.calls {
		calls = append(double(calls, c.now), flag(c.dry), byte(len(c.items)))
		for i, item := range c.items {
			rule := pack(item.Rule)
			place, isNew := rules.of(rule)
			if isNew {
				packed = append(packed, rule[:]...)
			}
			key, isNew := keys.of(c.keys[i])
			if isNew {
				words = append(words, c.keys[i])
			}
			calls = double(calls, item.N)
			calls = binary.LittleEndian.AppendUint16(calls, place)
			calls = binary.LittleEndian.AppendUint16(calls, key)
		}
	}
	words[2] = len(keys)
	data := double(make([]byte, 0, 12+len(packed)+len(calls)), float64(keep.Milliseconds()))
	data = binary.LittleEndian.AppendUint16(data, uint16(len(rules)))
	data = binary.LittleEndian.AppendUint16(data, uint16(len(r.calls)))
	return append(words, "take", append(append(data, packed...), calls...))
}

// places numbers things from 1 in the order in which they come.
type places[T comparable] map[T]uint16

func (p places[T]) of(thing T) (place uint16, isNew bool) {
	place, known := p[thing]
	if !known {
		place = uint16(len(p) + 1)
		p[thing] = place
	}
	return place, !known
}

// packedRule is a rule in the form of the script, by which equal ones are found.
type packedRule [6*8 + 1]byte

func pack(r ratelimit.Rule) (packed packedRule) {
	daily := 0.0
	if r.Config.DailyLimit != nil {
		daily = *r.Config.DailyLimit
	}
	data := double(double(packed[:0], float64(r.Size)), float64(r.Main))
	data = append(data, flag(r.Config.CalendarDaily))
	for _, f := range [...]float64{r.Config.Limit, float64(r.BurstWindow), r.Config.Burst, daily} {
		data = double(data, f)
	}
	return packed
}

func double(data []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(data, math.Float64bits(f))
}

func flag(on bool) byte {
	if on {
		return 1
	}
	return 0
}

// deliver gives the calls what came back, and returns how many cells the run touched.
func (r *run) deliver(reply any, err error) (touched int64) {
	take := r.calls[0].items != nil
	var data string
	if err == nil && take {
		if data, err = r.check(reply); err == nil {
			touched, data = int64(readDouble(data)), data[8:]
		}
	}
	for _, c := range r.calls {
		if c.err = err; err != nil || !take {
			continue
		}
		c.answers = make([]ratelimit.Answer, len(c.items))
		for i := range c.answers {
			if data[0] == sizes {
				c.err = errSizes
			} else {
				c.answers[i] = ratelimit.Answer{
					Exceeded: windows[data[0]], Now: int64(readDouble(data[1:])),
					Main: readDouble(data[9:]), Daily: readDouble(data[17:]), RetryAt: int64(readDouble(data[25:])),
				}
			}
			data = data[answerSize:]
		}
	}
	return touched
}

// check refuses what the script cannot have answered.
func (r *run) check(reply any) (string, error) {
	items := 0
	for _, c := range r.calls {
		items += len(c.items)
	}
	data, ok := reply.(string)
	if !ok || len(data) != 8+items*answerSize {
		return "", errMalformed
	}
	for at := 8; at < len(data); at += answerSize {
		if kind := data[at]; int(kind) >= len(windows) && kind != sizes {
			return "", errMalformed
		}
	}
	return data, nil
}

func readDouble(data string) float64 {
	_ = data[7]
	var bits uint64
	for i := range 8 {
		bits |= uint64(data[i]) << (8 * i)
	}
	return math.Float64frombits(bits)
}

package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
)

// errInjected is what a call that was chosen fails with. Drivers return errors that nobody knows as well.
var errInjected = errors.New("injected fault")

// Dice decide which calls fail. They are safe for concurrent use.
type Dice struct {
	mu    sync.Mutex
	ratio float64
	rand  *rand.Rand
}

// ParseDice reads ratio:seed, as 0.1:42: how often, from 0 to 1, and where the random choices begin.
func ParseDice(text string) (*Dice, error) {
	ratio, seed, _ := strings.Cut(text, ":")
	r, err := strconv.ParseFloat(ratio, 64)
	if err != nil || !(r >= 0 && r <= 1) { // NaN too
		return nil, fmt.Errorf("ratio %q is not from 0 to 1", ratio)
	}
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("seed %q is not a whole number", seed)
	}
	return &Dice{ratio: r, rand: rand.New(rand.NewPCG(n, 0))}, nil //nolint:gosec // repeatable, not secret
}

// roll returns a number from 0 to faces-1 when the next call is chosen, and -1 when it is not.
func (d *Dice) roll(faces int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rand.Float64() >= d.ratio {
		return -1
	}
	return d.rand.IntN(faces)
}

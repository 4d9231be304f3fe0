package jsondoc

import (
	"bytes"
	"strconv"
	"strings"
)

// equal compares values as RFC 6902 does: members in any order, numbers by value, strings by their characters.
func equal(a, b *node) (bool, error) {
	if a.state == whole && b.state == whole && bytes.Equal(a.text, b.text) {
		return true, nil
	}
	if kindOf(a) != kindOf(b) {
		return false, nil
	}
	switch a.first() {
	case '{', '[':
		if err := a.split(); err != nil {
			return false, err
		}
		if err := b.split(); err != nil {
			return false, err
		}
		if a.first() == '[' {
			return equalArrays(a, b)
		}
		return equalObjects(a, b)
	case '"':
		return unquote(a.text) == unquote(b.text), nil
	case 't', 'f', 'n':
		return true, nil
	default:
		return equalNumbers(string(a.text), string(b.text)), nil
	}
}

// kindOf is the first byte of a value, the same for all numbers.
func kindOf(n *node) byte {
	if c := n.first(); c != '-' && (c < '0' || c > '9') {
		return c
	}
	return '0'
}

func equalArrays(a, b *node) (bool, error) {
	if len(a.items) != len(b.items) {
		return false, nil
	}
	for i := range a.items {
		if same, err := equal(a.child(i), b.child(i)); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

func equalObjects(a, b *node) (bool, error) {
	if a.keys() != b.keys() {
		return false, nil
	}
	for i := range a.items {
		if a.items[i].gone {
			continue
		}
		key := a.keyOf(i)
		if a.find(key) != i {
			continue
		}
		j := b.find(key)
		if j < 0 {
			return false, nil
		}
		if same, err := equal(a.child(i), b.child(j)); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// keys counts the different keys of an object.
func (n *node) keys() int {
	count := 0
	for i := range n.items {
		if !n.items[i].gone && n.find(n.keyOf(i)) == i {
			count++
		}
	}
	return count
}

// equalNumbers compares the values of two numbers exactly, without calculating them: 1e999999999 is a number too.
// Exponents of more than 15 digits are equal only when they are spelled the same.
func equalNumbers(a, b string) bool {
	x, ok := parseDecimal(a)
	y, fine := parseDecimal(b)
	return a == b || ok && fine && x == y
}

// decimal is 0.digits × 10^exponent without zeros at either end of the digits, and thus unique for each value.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

func parseDecimal(text string) (decimal, bool) {
	var d decimal
	text, d.negative = strings.CutPrefix(text, "-")
	mantissa, exponent := text, ""
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, exponent = text[:i], text[i+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d.digits = strings.TrimRight(whole+fraction, "0")
	trimmed := strings.TrimLeft(d.digits, "0")
	if trimmed == "" {
		return decimal{}, true
	}
	d.exponent = len(whole) - (len(d.digits) - len(trimmed))
	d.digits = trimmed
	if exponent != "" {
		sign := 1
		if exponent[0] == '-' {
			sign = -1
		}
		exponent = strings.TrimLeft(strings.TrimLeft(exponent, "+-"), "0")
		if len(exponent) > 15 {
			return decimal{}, false
		}
		e, _ := strconv.Atoi("0" + exponent)
		d.exponent += sign * e
	}
	return d, true
}

// Equal reports whether two texts are the same value. What is not JSON equals nothing.
func Equal(a, b []byte) bool {
	if Check(a) != nil || Check(b) != nil {
		return false
	}
	x, errX := newValue(a)
	y, errY := newValue(b)
	if errX != nil || errY != nil {
		return false
	}
	same, err := equal(x, y)
	return same && err == nil
}

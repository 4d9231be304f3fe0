package jsondoc

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// Check returns nil when text is one JSON value in UTF-8 that nests no deeper than MaxDepth, and otherwise an error that
// wraps ErrSyntax or ErrDepth and names the position.
func Check(text []byte) error {
	if !utf8.Valid(text) {
		return fmt.Errorf("%w: invalid UTF-8", ErrSyntax)
	}
	_, err := depth(text)
	return err
}

// depth is how many containers are inside each other in a text, 0 for a scalar.
func depth(text []byte) (int, error) {
	s := scanner{text: text}
	end, err := s.value(space(text, 0), 0)
	if err != nil {
		return 0, err
	}
	if end = space(text, end); end != len(text) {
		return 0, s.fault(end)
	}
	return s.deepest, nil
}

// scanner finds the ends of values, and on the way everything that is not JSON.
type scanner struct {
	text    []byte
	deepest int
}

func (s *scanner) fault(at int) error {
	if at >= len(s.text) {
		return fmt.Errorf("%w: ends early", ErrSyntax)
	}
	return fmt.Errorf("%w: unexpected character at byte %d", ErrSyntax, at)
}

// space is the position of the first byte from i on that is not white space.
func space(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r') {
		i++
	}
	return i
}

// value returns the end of the value that begins at i, inside so many containers.
func (s *scanner) value(i, level int) (int, error) {
	if i >= len(s.text) {
		return 0, s.fault(i)
	}
	switch s.text[i] {
	case '{':
		return s.object(i, level+1)
	case '[':
		return s.array(i, level+1)
	case '"':
		return s.str(i)
	case 't':
		return s.word(i, "true")
	case 'f':
		return s.word(i, "false")
	case 'n':
		return s.word(i, "null")
	default:
		return s.number(i)
	}
}

func (s *scanner) enter(i, level int) error {
	if level > MaxDepth {
		return fmt.Errorf("%w: more than %d levels at byte %d", ErrDepth, MaxDepth, i)
	}
	s.deepest = max(s.deepest, level)
	return nil
}

func (s *scanner) object(i, level int) (int, error) {
	if err := s.enter(i, level); err != nil {
		return 0, err
	}
	i = space(s.text, i+1)
	if i < len(s.text) && s.text[i] == '}' {
		return i + 1, nil
	}
	for {
		m, err := s.member(i, level)
		if err != nil {
			return 0, err
		}
		i = int(m.end)
		if s.text[i] == '}' {
			return i + 1, nil
		}
		i++
	}
}

// member reads one member of an object that begins at i, behind the brace or comma. Its end is a brace or comma.
func (s *scanner) member(i, level int) (item, error) {
	m := item{start: uint32(i)}
	i = space(s.text, i)
	m.key = uint32(i)
	i, err := s.str(i)
	if err != nil {
		return m, err
	}
	m.keyEnd = uint32(i)
	if i = space(s.text, i); i >= len(s.text) || s.text[i] != ':' {
		return m, s.fault(i)
	}
	err = s.itemValue(&m, i+1, level, '}')
	return m, err
}

func (s *scanner) array(i, level int) (int, error) {
	if err := s.enter(i, level); err != nil {
		return 0, err
	}
	i = space(s.text, i+1)
	if i < len(s.text) && s.text[i] == ']' {
		return i + 1, nil
	}
	for {
		m, err := s.element(i, level)
		if err != nil {
			return 0, err
		}
		i = int(m.end)
		if s.text[i] == ']' {
			return i + 1, nil
		}
		i++
	}
}

// element is member for arrays.
func (s *scanner) element(i, level int) (item, error) {
	m := item{start: uint32(i)}
	err := s.itemValue(&m, i, level, ']')
	return m, err
}

func (s *scanner) itemValue(m *item, i, level int, closing byte) error {
	i = space(s.text, i)
	m.value = uint32(i)
	i, err := s.value(i, level)
	if err != nil {
		return err
	}
	m.valueEnd = uint32(i)
	i = space(s.text, i)
	m.end = uint32(i)
	if i >= len(s.text) || s.text[i] != closing && s.text[i] != ',' {
		return s.fault(i)
	}
	return nil
}

// special marks the bytes at which reading a string has to stop and think.
var special = func() (t [256]bool) {
	for c := range 0x20 {
		t[c] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

func (s *scanner) str(i int) (int, error) {
	if i >= len(s.text) || s.text[i] != '"' {
		return 0, s.fault(i)
	}
	text := s.text
	for i++; i < len(text); i++ {
		c := text[i]
		if !special[c] {
			continue
		}
		switch c {
		case '"':
			return i + 1, nil
		case '\\':
			i++
			if i >= len(text) {
				return 0, s.fault(i)
			}
			switch text[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					i++
					if i >= len(text) || unhex(text[i]) < 0 {
						return 0, s.fault(i)
					}
				}
			default:
				return 0, s.fault(i)
			}
		default:
			return 0, s.fault(i)
		}
	}
	return 0, s.fault(i)
}

func (s *scanner) word(i int, word string) (int, error) {
	if !bytes.HasPrefix(s.text[i:], []byte(word)) {
		return 0, s.fault(i)
	}
	return i + len(word), nil
}

func (s *scanner) number(i int) (int, error) {
	if s.text[i] == '-' {
		i++
	}
	whole := s.digits(i)
	if whole == i || s.text[i] == '0' && whole > i+1 {
		return 0, s.fault(i)
	}
	i = whole
	if i < len(s.text) && s.text[i] == '.' {
		end := s.digits(i + 1)
		if end == i+1 {
			return 0, s.fault(end)
		}
		i = end
	}
	if i < len(s.text) && (s.text[i] == 'e' || s.text[i] == 'E') {
		i++
		if i < len(s.text) && (s.text[i] == '+' || s.text[i] == '-') {
			i++
		}
		end := s.digits(i)
		if end == i {
			return 0, s.fault(end)
		}
		i = end
	}
	return i, nil
}

func (s *scanner) digits(i int) int {
	for i < len(s.text) && s.text[i] >= '0' && s.text[i] <= '9' {
		i++
	}
	return i
}

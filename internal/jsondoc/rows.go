package jsondoc

import (
	"bytes"
	"fmt"
)

// Array calls fn with each element of an array, in order. The text of an element is that of the array, without white space
// around it. An error wraps ErrSyntax or ErrDepth, or is fn's, which ends the walk.
func Array(text []byte, fn func(value []byte) error) error {
	return each(text, '[', func(it *item) error { return fn(text[it.value:it.valueEnd]) })
}

// Object calls fn with each member of an object, in order, also with those whose key comes again. For the rest see [Array].
func Object(text []byte, fn func(key string, value []byte) error) error {
	return each(text, '{', func(it *item) error { return fn(unquote(text[it.key:it.keyEnd]), text[it.value:it.valueEnd]) })
}

func each(text []byte, opening byte, fn func(*item) error) error {
	from := space(text, 0)
	if from == len(text) || text[from] != opening {
		return fmt.Errorf("%w: no %c…%c at byte %d", ErrSyntax, opening, opening+2, from)
	}
	s := scanner{text: text}
	i := space(text, from+1)
	if i < len(text) && text[i] == opening+2 {
		return s.end(i + 1)
	}
	for {
		read := s.member
		if opening == '[' {
			read = s.element
		}
		it, err := read(i, 1)
		if err != nil {
			return err
		}
		if err := fn(&it); err != nil {
			return err
		}
		i = int(it.end) + 1
		if text[it.end] != ',' {
			return s.end(i)
		}
	}
}

// Rows reads an array of objects in one pass: it calls member for each member, and row with the text of each object behind its last
// member. Nothing is allocated for keys without escapes; key and value may share memory with text. For errors see [Array].
func Rows(text []byte, member func(key, value []byte) error, row func(text []byte) error) error {
	s := scanner{text: text}
	i := space(text, 0)
	if i == len(text) || text[i] != '[' {
		return fmt.Errorf("%w: no array at byte %d", ErrSyntax, i)
	}
	if i = space(text, i+1); i < len(text) && text[i] == ']' {
		return s.end(i + 1)
	}
	for {
		from := space(text, i)
		to, err := s.row(from, member)
		if err != nil {
			return err
		}
		if err := row(text[from:to]); err != nil {
			return err
		}
		if i = space(text, to); i < len(text) && text[i] == ']' {
			return s.end(i + 1)
		}
		if i == len(text) || text[i] != ',' {
			return s.fault(i)
		}
		i++
	}
}

// row reads an object and returns its end.
func (s *scanner) row(i int, member func(key, value []byte) error) (int, error) {
	if i == len(s.text) || s.text[i] != '{' {
		return 0, s.fault(i)
	}
	if end := space(s.text, i+1); end < len(s.text) && s.text[end] == '}' {
		return end + 1, nil
	}
	for {
		it, err := s.member(i+1, 2)
		if err != nil {
			return 0, err
		}
		key := s.text[it.key+1 : it.keyEnd-1]
		if bytes.IndexByte(key, '\\') >= 0 {
			key = []byte(unquote(s.text[it.key:it.keyEnd]))
		}
		if err := member(key, s.text[it.value:it.valueEnd]); err != nil {
			return 0, err
		}
		if i = int(it.end); s.text[i] == '}' {
			return i + 1, nil
		}
	}
}

// end checks that nothing but white space follows.
func (s *scanner) end(i int) error {
	if i = space(s.text, i); i != len(s.text) {
		return s.fault(i)
	}
	return nil
}

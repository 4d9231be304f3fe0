package jsondoc

import "fmt"

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

// end checks that nothing but white space follows.
func (s *scanner) end(i int) error {
	if i = space(s.text, i); i != len(s.text) {
		return s.fault(i)
	}
	return nil
}

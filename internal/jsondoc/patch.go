package jsondoc

import (
	"errors"
	"fmt"
	"strings"
)

// operation is one of an RFC 6902 patch.
type operation struct {
	op, path, from string
	tokens, source []string
	value          *node
}

// Patch applies an RFC 6902 patch that was checked. The error names the operation by its position. ErrNotFound when a path
// leads nowhere, ErrInvalid when an operation is malformed, makes no sense there, or is a test that fails. Numbers
// are equal when they have the same value, whatever its spelling.
func (d *Doc) Patch(patch []byte) error {
	list, err := newValue(patch)
	if err != nil {
		return err
	}
	if list.first() != '[' {
		return fmt.Errorf("%w: a patch is an array of operations", ErrInvalid)
	}
	if err := list.split(); err != nil {
		return err
	}
	for i := range list.items {
		o, err := readOperation(list.child(i))
		if err == nil {
			err = d.operate(o)
		}
		if err != nil {
			return fmt.Errorf("operation %d: %w", i, err)
		}
		// An operation that is done needs its nodes no longer, but what it added does.
		list.items[i].node = nil
	}
	return nil
}

func readOperation(n *node) (o operation, err error) {
	if n.first() != '{' {
		return o, fmt.Errorf("%w: not an object", ErrInvalid)
	}
	if err := n.split(); err != nil {
		return o, err
	}
	if o.op, err = stringMember(n, "op"); err != nil {
		return o, err
	}
	if o.path, err = stringMember(n, "path"); err != nil {
		return o, err
	}
	if o.tokens, err = parsePointer(o.path); err != nil {
		return o, err
	}
	switch o.op {
	case "add", "replace", "test":
		i := n.find("value")
		if i < 0 {
			return o, fmt.Errorf("%w: %s without value", ErrInvalid, o.op)
		}
		it := n.items[i]
		o.value = newNode(n.text[it.value:it.valueEnd])
	case "move", "copy":
		if o.from, err = stringMember(n, "from"); err != nil {
			return o, err
		}
		if o.source, err = parsePointer(o.from); err != nil {
			return o, err
		}
	case "remove":
	default:
		return o, fmt.Errorf("%w: op is none of add, remove, replace, move, copy, test", ErrInvalid)
	}
	return o, nil
}

func stringMember(n *node, key string) (string, error) {
	i := n.find(key)
	if i < 0 || n.childFirst(i) != '"' {
		return "", fmt.Errorf("%w: %s is not a string", ErrInvalid, key)
	}
	return unquote(n.text[n.items[i].value:n.items[i].valueEnd]), nil
}

func (d *Doc) operate(o operation) error {
	switch o.op {
	case "add":
		if err := fits(o.value, len(o.tokens)); err != nil {
			return err
		}
		return d.addAt(o.path, o.tokens, o.value)
	case "remove":
		return d.removeAt(o.path, o.tokens)
	case "replace":
		if err := fits(o.value, len(o.tokens)); err != nil {
			return err
		}
		return d.replaceAt(o.path, o.tokens, o.value)
	case "test":
		return d.test(o)
	default:
		return d.transfer(o)
	}
}

// fits checks that a value so deep inside keeps to MaxDepth.
func fits(value *node, level int) error {
	if !value.container() || level+len(value.text)/2 <= MaxDepth {
		return nil
	}
	deep, err := depth(value.text)
	if err == nil && deep+level > MaxDepth {
		err = fmt.Errorf("%w: more than %d levels", ErrDepth, MaxDepth)
	}
	return err
}

func (d *Doc) addAt(path string, tokens []string, value *node) error {
	if len(tokens) == 0 {
		d.setRoot(value)
		return nil
	}
	in, last, err := d.parent(path, tokens)
	if err != nil {
		return err
	}
	if in.first() == '{' {
		d.set(in, last, Quote(last), value)
		return nil
	}
	at := len(in.items)
	if last != "-" {
		if at, err = element(last, at+1); err != nil {
			return fmt.Errorf("%w: %s", err, show(path))
		}
	}
	return d.insert(in, at, value)
}

func (d *Doc) removeAt(path string, tokens []string) error {
	if len(tokens) == 0 {
		return fmt.Errorf("%w: the whole value cannot be removed", ErrInvalid)
	}
	in, i, err := d.slot(path, tokens)
	if err != nil {
		return err
	}
	if in.first() == '{' {
		d.remove(in, tokens[len(tokens)-1], i)
		return nil
	}
	return d.take(in, i)
}

func (d *Doc) replaceAt(path string, tokens []string, value *node) error {
	if len(tokens) == 0 {
		d.setRoot(value)
		return nil
	}
	in, i, err := d.slot(path, tokens)
	if err != nil {
		return err
	}
	d.replace(in, i, value)
	return nil
}

func (d *Doc) test(o operation) error {
	at, err := d.walk(o.path, o.tokens)
	if err != nil {
		return err
	}
	same, err := equal(at, o.value)
	if err == nil && !same {
		err = fmt.Errorf("%w: test of %s failed", ErrInvalid, show(o.path))
	}
	return err
}

// transfer is move and copy.
func (d *Doc) transfer(o operation) error {
	from, err := d.walk(o.from, o.source)
	if err != nil {
		return err
	}
	if o.op == "move" {
		if o.path == o.from {
			return nil
		}
		if strings.HasPrefix(o.path, o.from+"/") {
			return fmt.Errorf("%w: %s cannot move into itself", ErrInvalid, show(o.from))
		}
	}
	if o.op == "copy" || len(o.tokens) > len(o.source) {
		// Copied and read once more, which costs more than moving.
		if err := d.worked(4 * from.size); err != nil {
			return err
		}
		text := from.bytes()
		if err := fits(newNode(text), len(o.tokens)); err != nil {
			return err
		}
		if o.op == "copy" {
			return d.addAt(o.path, o.tokens, newNode(text))
		}
	}
	if err := d.removeAt(o.from, o.source); err != nil {
		return err
	}
	return d.addAt(o.path, o.tokens, from)
}

// parent finds the container that a path ends in, taken apart, and the last token.
func (d *Doc) parent(path string, tokens []string) (*node, string, error) {
	in, err := d.walk(path, tokens[:len(tokens)-1])
	if err != nil {
		return nil, "", err
	}
	if !in.container() {
		return nil, "", fmt.Errorf("%w: %s", ErrNotFound, show(path))
	}
	return in, tokens[len(tokens)-1], in.split()
}

// slot finds the item that a path names.
func (d *Doc) slot(path string, tokens []string) (*node, int, error) {
	in, last, err := d.parent(path, tokens)
	if err != nil {
		return nil, 0, err
	}
	i, err := position(in, last)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrInvalid) {
		err = fmt.Errorf("%w: %s", err, show(path))
	}
	return in, i, err
}

package jsondoc

import "fmt"

// Doc is a JSON text in the making. It is not safe for concurrent use.
type Doc struct {
	// before and after are the white space around the value.
	before, after []byte
	root          *node
	undo          []func()
	work          int
}

// New begins a document with a text that was checked when it was made: only what gets in the way of changes is read here. The
// document keeps text and does not change it. An error wraps ErrSyntax.
func New(text []byte) (*Doc, error) {
	from := space(text, 0)
	to := len(text)
	for to > from && space(text[to-1:to], 0) == 1 {
		to--
	}
	n := newNode(text[from:to])
	if len(n.text) == 0 {
		return nil, fmt.Errorf("%w: ends early", ErrSyntax)
	}
	if n.container() {
		// '}' and ']' are two behind their opening in ASCII.
		if len(n.text) < 2 || n.text[len(n.text)-1] != n.text[0]+2 {
			return nil, fmt.Errorf("%w: ends early", ErrSyntax)
		}
	} else if err := Check(n.text); err != nil {
		return nil, err
	}
	return &Doc{before: text[:from], after: text[to:], root: n}, nil
}

// Len is how many bytes Bytes returns, in constant time.
func (d *Doc) Len() int { return len(d.before) + d.root.size + len(d.after) }

// Bytes writes the document. The text is not shared with the document.
func (d *Doc) Bytes() []byte {
	out := append(make([]byte, 0, d.Len()), d.before...)
	return append(d.root.write(out), d.after...)
}

// Kind is the first byte of the value: '{', '[', '"', 't', 'f', 'n', '-' or a digit.
func (d *Doc) Kind() byte { return d.root.first() }

// Changed reports whether something was changed and not rolled back since the last Commit.
func (d *Doc) Changed() bool { return len(d.undo) > 0 }

// Commit makes the changes final.
func (d *Doc) Commit() {
	clear(d.undo)
	d.undo, d.work = d.undo[:0], 0
}

// Rollback takes back all changes since the last Commit.
func (d *Doc) Rollback() {
	for i := len(d.undo) - 1; i >= 0; i-- {
		d.undo[i]()
	}
	d.Commit()
}

// worked adds to what the changes since the last Commit have cost.
func (d *Doc) worked(n int) error {
	if d.work += n; d.work > MaxWork {
		return ErrWork
	}
	return nil
}

// Get returns the value at a path, which may share memory with the document. ErrNotFound, ErrInvalid when the path is no JSON
// Pointer.
func (d *Doc) Get(path string) ([]byte, error) {
	at, err := d.lookup(path)
	if err != nil {
		return nil, err
	}
	return at.bytes(), nil
}

// Append adds a value at the end of the array at path. value must have been checked. ErrNotFound when there is nothing at
// path, ErrInvalid when it is no array or the path is no JSON Pointer.
func (d *Doc) Append(path string, value []byte) error {
	n, err := newValue(value)
	if err != nil {
		return err
	}
	tokens, err := parsePointer(path)
	if err != nil {
		return err
	}
	at, err := d.walk(path, tokens)
	if err != nil {
		return err
	}
	if at.first() != '[' {
		return fmt.Errorf("%w: no array at %s", ErrInvalid, show(path))
	}
	if err := fits(n, len(tokens)+1); err != nil {
		return err
	}
	d.push(at, n)
	return nil
}

// Set adds a member to the object at path, or replaces its value by a scalar or an empty container. The errors are those
// of Append.
func (d *Doc) Set(path, key string, value []byte) error {
	n, err := newValue(value)
	if err != nil {
		return err
	}
	at, err := d.object(path)
	if err != nil {
		return err
	}
	d.set(at, key, Quote(key), n)
	return nil
}

// Delete removes all members with a key from the object at path, if there are any.
func (d *Doc) Delete(path, key string) error {
	at, err := d.object(path)
	if err != nil {
		return err
	}
	if i := at.find(key); i >= 0 {
		d.remove(at, key, i)
	}
	return nil
}

func (d *Doc) object(path string) (*node, error) {
	at, err := d.lookup(path)
	if err != nil {
		return nil, err
	}
	if at.first() != '{' {
		return nil, fmt.Errorf("%w: no object at %s", ErrInvalid, show(path))
	}
	return at, at.split()
}

// newValue is a checked text as a node.
func newValue(text []byte) (*node, error) {
	d, err := New(text)
	if err != nil {
		return nil, err
	}
	return d.root, nil
}

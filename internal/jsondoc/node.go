package jsondoc

import (
	"bytes"
	"math"
)

type state uint8

const (
	// whole: the text says it all.
	whole state = iota
	// grown: an array whose text was not taken apart; items are those added at its end.
	grown
	// split: a container that consists of its items.
	split
)

// node is one value of a document.
type node struct {
	// text is the value as it was read, without white space around it.
	text   []byte
	parent *node
	state  state
	items  []item
	// live is how many items were not removed. In a grown array all of its text counts as one.
	live int
	// size is how many bytes the value has when written. The nodes above count them as well.
	size int
	// index finds the last member with a key. Only wide objects have one, from the first search on.
	index map[string]int
	// twins is set when keys of an indexed object are not unique.
	twins bool
}

// item is a member or an element. What was read consists of positions in the text of its container; it may have a
// node in place of its value. What was added has a node, and its key in lead.
type item struct {
	start, key, keyEnd, value, valueEnd, end uint32

	node *node
	lead *lead
	gone bool
}

// lead is the key of an added member.
type lead struct {
	key string
	// text is the key as it is written, and the colon.
	text []byte
}

// wide is from how many members on an index pays.
const wide = 16

func newNode(text []byte) *node { return &node{text: text, size: len(text)} }

// first is the byte that tells what kind of value it is.
func (n *node) first() byte { return n.text[0] }

func (n *node) container() bool { return n.text[0] == '{' || n.text[0] == '[' }

// inside is the text between brackets.
func (n *node) inside() []byte { return n.text[1 : len(n.text)-1] }

func (n *node) blank() bool { return space(n.text, 1) == len(n.text)-1 }

// grow makes the value longer, and so all that it is in.
func (n *node) grow(by int) {
	for ; n != nil; n = n.parent {
		n.size += by
	}
}

// frame is how many bytes stand between the brackets and are not part of an item: commas, or the white space of an empty container.
func (n *node) frame() int {
	switch {
	case n.live > 0:
		return n.live - 1
	case n.blank():
		return len(n.text) - 2
	default:
		return 0
	}
}

// length is how many bytes an item of n has, without commas.
func (it *item) length() int {
	if it.lead != nil {
		return len(it.lead.text) + it.node.size
	}
	if it.node != nil {
		return int(it.end-it.start) - int(it.valueEnd-it.value) + it.node.size
	}
	return int(it.end - it.start)
}

// split takes a container apart. What it is written as stays the same.
func (n *node) split() error {
	if n.state == split {
		return nil
	}
	if uint64(len(n.text)) > math.MaxUint32 {
		return ErrWork
	}
	var items []item
	if !n.blank() {
		s := scanner{text: n.text}
		for i := 1; ; {
			read := s.member
			if n.first() == '[' {
				read = s.element
			}
			it, err := read(i, 1)
			if err != nil {
				return err
			}
			items = append(items, it)
			if i = int(it.end) + 1; i == len(n.text) {
				break
			}
			if n.text[it.end] != ',' {
				return s.fault(int(it.end))
			}
		}
	}
	n.items = append(items, n.items...)
	n.live, n.state = len(n.items), split
	return nil
}

// child is the value of an item as a node of its own.
func (n *node) child(i int) *node {
	it := &n.items[i]
	if it.node == nil {
		it.node = newNode(n.text[it.value:it.valueEnd])
		it.node.parent = n
	}
	return it.node
}

// childFirst is the first byte of an item's value.
func (n *node) childFirst(i int) byte {
	if it := &n.items[i]; it.node == nil {
		return n.text[it.value]
	}
	return n.items[i].node.first()
}

// hasKey compares the key of a member.
func (n *node) hasKey(i int, key string) bool {
	it := &n.items[i]
	if it.lead != nil {
		return it.lead.key == key
	}
	quoted := n.text[it.key:it.keyEnd]
	if bytes.IndexByte(quoted, '\\') >= 0 {
		return unquote(quoted) == key
	}
	return string(quoted[1:len(quoted)-1]) == key
}

func (n *node) keyOf(i int) string {
	it := &n.items[i]
	if it.lead != nil {
		return it.lead.key
	}
	return unquote(n.text[it.key:it.keyEnd])
}

// find returns the position of the member that counts for a key, and -1 when there is none. n must be split.
func (n *node) find(key string) int {
	if n.index == nil && len(n.items) > wide {
		n.index = make(map[string]int, len(n.items))
		for i := range n.items {
			if k := n.keyOf(i); !n.items[i].gone {
				if _, taken := n.index[k]; taken {
					n.twins = true
				}
				n.index[k] = i
			} else {
				n.twins = true
			}
		}
	}
	if n.index != nil {
		if i, ok := n.index[key]; ok {
			return i
		}
		return -1
	}
	for i := len(n.items) - 1; i >= 0; i-- {
		if !n.items[i].gone && n.hasKey(i, key) {
			return i
		}
	}
	return -1
}

// write appends the value to out.
func (n *node) write(out []byte) []byte {
	if n.state == whole {
		return append(out, n.text...)
	}
	out = append(out, n.first())
	wrote := false
	switch {
	case n.state == grown && !n.blank():
		out = append(out, n.inside()...)
		wrote = true
	case n.live == 0 && n.blank():
		out = append(out, n.inside()...)
	}
	for i := range n.items {
		it := &n.items[i]
		if it.gone {
			continue
		}
		if wrote {
			out = append(out, ',')
		}
		wrote = true
		switch {
		case it.lead != nil:
			out = it.node.write(append(out, it.lead.text...))
		case it.node != nil:
			out = it.node.write(append(out, n.text[it.start:it.value]...))
			out = append(out, n.text[it.valueEnd:it.end]...)
		default:
			out = append(out, n.text[it.start:it.end]...)
		}
	}
	return append(out, n.text[len(n.text)-1])
}

// bytes is the value as text; it may share memory with the document.
func (n *node) bytes() []byte {
	if n.state == whole {
		return n.text
	}
	return n.write(make([]byte, 0, n.size))
}

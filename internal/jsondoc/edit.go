package jsondoc

import "slices"

// This file has the primitive changes. Each keeps sizes and indexes right and leaves what takes it back.

func (d *Doc) later(back func()) { d.undo = append(d.undo, back) }

// setRoot replaces the whole value.
func (d *Doc) setRoot(n *node) {
	old, parent := d.root, n.parent
	n.parent = nil
	d.root = n
	d.later(func() { d.root, n.parent = old, parent })
}

// replace gives an item another value.
func (d *Doc) replace(in *node, i int, value *node) {
	it := &in.items[i]
	before, old, parent := it.length(), it.node, value.parent
	value.parent = in
	it.node = value
	by := it.length() - before
	in.grow(by)
	d.later(func() {
		in.grow(-by)
		in.items[i].node = old
		value.parent = parent
	})
}

// add puts a new member at the end of an object.
func (d *Doc) add(in *node, key string, quoted []byte, value *node) {
	parent := value.parent
	value.parent = in
	before := in.frame()
	in.items = append(in.items, item{node: value, lead: &lead{key: key, text: append(quoted[:len(quoted):len(quoted)], ':')}})
	i := len(in.items) - 1
	in.live++
	if in.index != nil {
		in.index[key] = i
	}
	by := in.items[i].length() + in.frame() - before
	in.grow(by)
	d.later(func() {
		in.items = in.items[:i]
		in.live--
		if in.index != nil {
			delete(in.index, key)
		}
		in.grow(-by)
		value.parent = parent
	})
}

// set adds a member or replaces the one that counts.
func (d *Doc) set(in *node, key string, quoted []byte, value *node) {
	if i := in.find(key); i >= 0 {
		d.replace(in, i, value)
		return
	}
	d.add(in, key, quoted, value)
}

// remove removes all members with a key, the last of which is at position i.
func (d *Doc) remove(in *node, key string, i int) {
	gone := []int{i}
	if in.index == nil || in.twins {
		for j := range i {
			if !in.items[j].gone && in.hasKey(j, key) {
				gone = append(gone, j)
			}
		}
	}
	by := in.frame()
	for _, j := range gone {
		in.items[j].gone = true
		by += in.items[j].length()
	}
	in.live -= len(gone)
	by -= in.frame()
	if in.index != nil {
		delete(in.index, key)
	}
	in.grow(-by)
	d.later(func() {
		for _, j := range gone {
			in.items[j].gone = false
		}
		in.live += len(gone)
		if in.index != nil {
			in.index[key] = i
		}
		in.grow(by)
	})
}

// push adds an element at the end of an array, which need not be split.
func (d *Doc) push(in *node, value *node) {
	if in.state == whole {
		in.state = grown
		in.live = 1
		if in.blank() {
			in.live = 0
		}
	}
	d.insertItem(in, len(in.items), item{node: value, lead: &noLead})
}

// noLead is that of elements, which have no key.
var noLead lead

// insert puts an element before position i of a split array.
func (d *Doc) insert(in *node, i int, value *node) error {
	if err := d.worked((len(in.items) - i) * itemBytes); err != nil {
		return err
	}
	d.insertItem(in, i, item{node: value, lead: &noLead})
	return nil
}

// itemBytes is about what moving an item costs.
const itemBytes = 48

func (d *Doc) insertItem(in *node, i int, it item) {
	parent := it.node.parent
	it.node.parent = in
	before := in.frame()
	in.items = slices.Insert(in.items, i, it)
	in.live++
	by := it.length() + in.frame() - before
	in.grow(by)
	d.later(func() {
		// Splitting the array in between has put its other elements before those that were pushed.
		at := i
		if in.state == split {
			at = slices.IndexFunc(in.items, func(e item) bool { return e.node == it.node })
		}
		in.items = slices.Delete(in.items, at, at+1)
		in.live--
		in.grow(-by)
		it.node.parent = parent
	})
}

// take removes the element at position i of a split array.
func (d *Doc) take(in *node, i int) error {
	if err := d.worked((len(in.items) - i) * itemBytes); err != nil {
		return err
	}
	it, before := in.items[i], in.frame()
	in.items = slices.Delete(in.items, i, i+1)
	in.live--
	by := it.length() + before - in.frame()
	in.grow(-by)
	d.later(func() {
		in.items = slices.Insert(in.items, i, it)
		in.live++
		in.grow(by)
	})
	return nil
}

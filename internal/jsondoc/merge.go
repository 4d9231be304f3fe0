package jsondoc

import "bytes"

// Merge applies an RFC 7396 merge patch that was checked. Members of the patch that come twice count once, the last one.
func (d *Doc) Merge(patch []byte) error {
	n, err := newValue(patch)
	if err != nil {
		return err
	}
	if n.first() == '{' && d.root.first() == '{' {
		return d.mergeInto(d.root, n)
	}
	if n, err = d.stripped(n); err != nil {
		return err
	}
	d.setRoot(n)
	return nil
}

// mergeInto applies a patch that is an object to an object.
func (d *Doc) mergeInto(target, patch *node) error {
	if err := target.split(); err != nil {
		return err
	}
	if err := patch.split(); err != nil {
		return err
	}
	for i := range patch.items {
		it := &patch.items[i]
		key := patch.keyOf(i)
		if patch.find(key) != i {
			continue
		}
		at := target.find(key)
		switch first := patch.childFirst(i); {
		case first == 'n':
			if at >= 0 {
				d.remove(target, key, at)
			}
			continue
		case first == '{' && at >= 0 && target.childFirst(at) == '{':
			if err := d.mergeInto(target.child(at), patch.child(i)); err != nil {
				return err
			}
			continue
		}
		value, err := d.stripped(newNode(patch.text[it.value:it.valueEnd]))
		if err != nil {
			return err
		}
		if at >= 0 {
			d.replace(target, at, value)
		} else {
			d.add(target, key, patch.text[it.key:it.keyEnd], value)
		}
	}
	return nil
}

// stripped is what a patch makes of nothing: objects lose their members that are null, arrays stay as they are.
func (d *Doc) stripped(patch *node) (*node, error) {
	if patch.first() != '{' || !bytes.Contains(patch.text, []byte("null")) {
		return patch, nil
	}
	made := newNode([]byte("{}"))
	return made, d.mergeInto(made, patch)
}

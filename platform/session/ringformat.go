package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// The stored form of a ring is the byte ringFormat, the mark from which the first run counts, and runs of entries that
// were decided at once:
//
//	mark   uvarint commit · varint time in µs since 1970 · uvarint version
//	run    uvarint number of entries · varint commit, time and version, each less that of the mark before
//	entry  8 bytes hash · 4 bytes sum · 1 byte kind · 1 byte code and flags · what the flags say:
//	       uvarint replay · uvarint length and bytes of ref · uvarint length and bytes of reason
//
// Numbers of fixed length are little-endian. Each applied entry of a run raises the version by one. After a run the
// mark stands at its last entry. An empty ring has no mark.
const ringFormat = 1

const (
	codeMask   = 0x0f
	hasReplay  = 0x10
	hasRef     = 0x20
	hasReason  = 0x40
	entryBytes = 8 + 4 + 1 + 1
	maxRunHead = 4 * binary.MaxVarintLen64
)

// ringMark is where the counters stand between two entries.
type ringMark struct{ commit, at, version int64 }

// MarshalBinary writes the ring: 14 bytes for each entry without ref and reason, and about 6 for each commit.
func (r Ring) MarshalBinary() ([]byte, error) {
	data := make([]byte, 0, 1+3*binary.MaxVarintLen64+len(r.body))
	data = append(data, ringFormat)
	if r.size == 0 {
		return data, nil
	}
	data = binary.AppendUvarint(data, uint64(r.base.commit))
	data = binary.AppendVarint(data, r.base.at)
	data = binary.AppendUvarint(data, uint64(r.base.version))
	return append(data, r.body...), nil
}

// UnmarshalBinary reads what MarshalBinary wrote. It keeps no reference to data and fails on anything else.
func (r *Ring) UnmarshalBinary(data []byte) error {
	if len(data) == 0 || data[0] != ringFormat {
		return errors.New("session ring: unknown format")
	}
	var read Ring
	c := cursor{rest: data[1:]}
	if len(c.rest) > 0 {
		read.base = ringMark{commit: int64(c.uvarint()), at: c.varint(), version: int64(c.uvarint())}
		if c.bad || len(c.rest) == 0 {
			return errors.New("session ring: cut short")
		}
	}
	read.body = append([]byte(nil), c.rest...)
	w := read.walk()
	for w.next() {
		read.size++
	}
	if w.bad || w.left > 0 {
		return fmt.Errorf("session ring: entry %d is damaged", read.size)
	}
	read.last = w.mark
	*r = read
	return nil
}

// appendRuns encodes entries behind a mark and returns the mark behind them.
func appendRuns(body []byte, last ringMark, entries []Entry) ([]byte, ringMark) {
	for len(entries) > 0 {
		start := entries[0].markBefore()
		end, n := start, 0
		for n < len(entries) && entries[n].markBefore() == end {
			end.version = entries[n].Version
			n++
		}
		body = appendRunHead(body, n, ringMark{start.commit - last.commit, start.at - last.at, start.version - last.version})
		for _, e := range entries[:n] {
			body = e.append(body)
		}
		entries, last = entries[n:], end
	}
	return body, last
}

func appendRunHead(body []byte, n int, step ringMark) []byte {
	body = binary.AppendUvarint(body, uint64(n))
	body = binary.AppendVarint(body, step.commit)
	body = binary.AppendVarint(body, step.at)
	return binary.AppendVarint(body, step.version)
}

func (e Entry) markBefore() ringMark {
	m := ringMark{commit: e.Commit, at: e.At.UnixMicro(), version: e.Version}
	if e.Code == Applied {
		m.version--
	}
	return m
}

func (e Entry) append(body []byte) []byte {
	e.Ref, e.Reason = clip(e.Ref, MaxID), clip(e.Reason, MaxReason)
	flags := byte(e.Code) & codeMask
	if e.Replay > 0 {
		flags |= hasReplay
	}
	if e.Ref != "" {
		flags |= hasRef
	}
	if e.Reason != "" {
		flags |= hasReason
	}
	body = binary.LittleEndian.AppendUint64(body, e.Hash)
	body = binary.LittleEndian.AppendUint32(body, e.Sum)
	body = append(body, byte(e.Kind), flags)
	if flags&hasReplay != 0 {
		body = binary.AppendUvarint(body, uint64(e.Replay))
	}
	for _, text := range []string{e.Ref, e.Reason} {
		if text != "" {
			body = append(binary.AppendUvarint(body, uint64(len(text))), text...)
		}
	}
	return body
}

// clip cuts text to at most n bytes, between two characters.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// ringWalk goes over the entries of a ring, oldest first. After next it stands behind the entry whose fields it has.
type ringWalk struct {
	cursor
	mark ringMark
	left int // entries of the present run that are still to come

	hash        uint64
	sum         uint32
	kind, flags byte
	replay      uint64
	ref, reason []byte
}

func (r Ring) walk() ringWalk { return ringWalk{cursor: cursor{rest: r.body}, mark: r.base} }

func (w *ringWalk) next() bool {
	if w.left == 0 {
		if len(w.rest) == 0 {
			return false
		}
		n := w.uvarint()
		w.mark.commit += w.varint()
		w.mark.at += w.varint()
		w.mark.version += w.varint()
		if w.bad || n == 0 || n > uint64(len(w.rest)/entryBytes) {
			w.bad = true
			return false
		}
		w.left = int(n)
	}
	fixed := w.take(entryBytes)
	if w.bad {
		return false
	}
	w.hash, w.sum = binary.LittleEndian.Uint64(fixed), binary.LittleEndian.Uint32(fixed[8:])
	w.kind, w.flags = fixed[12], fixed[13]
	w.replay, w.ref, w.reason = 0, nil, nil
	if w.flags&^codeMask != 0 {
		w.extras()
	}
	if w.bad {
		return false
	}
	w.left--
	if Code(w.flags&codeMask) == Applied {
		w.mark.version++
	}
	return true
}

func (w *ringWalk) extras() {
	if w.flags&^(codeMask|hasReplay|hasRef|hasReason) != 0 {
		w.bad = true
		return
	}
	if w.flags&hasReplay != 0 {
		w.replay = w.uvarint()
	}
	if w.flags&hasRef != 0 {
		w.ref = w.text(MaxID)
	}
	if w.flags&hasReason != 0 {
		w.reason = w.text(MaxReason)
	}
}

func (w *ringWalk) entry() Entry {
	return Entry{
		Hash: w.hash, Sum: w.sum, Kind: Kind(w.kind), Code: Code(w.flags & codeMask), Replay: int(w.replay),
		Commit: w.mark.commit, Version: w.mark.version, At: time.UnixMicro(w.mark.at).UTC(),
		Ref: string(w.ref), Reason: string(w.reason),
	}
}

// hasAny reports whether an entry has one of the hashes. It is the walk without all that is not needed for that.
func (r Ring) hasAny(want map[uint64]struct{}) bool {
	if len(want) == 0 {
		return false
	}
	// Nearly every entry is told apart by one byte.
	var low [256]bool
	for hash := range want {
		low[byte(hash)] = true
	}
	body := r.body // was checked when it was read
	varint := func(at int) int {
		for body[at] >= 0x80 {
			at++
		}
		return at + 1
	}
	text := func(at int) int {
		n, width := binary.Uvarint(body[at:])
		return at + width + int(n)
	}
	for at := 0; at < len(body); {
		n, width := binary.Uvarint(body[at:])
		at = varint(varint(varint(at + width)))
		for ; n > 0; n-- {
			if low[body[at]] {
				if _, ok := want[binary.LittleEndian.Uint64(body[at:])]; ok {
					return true
				}
			}
			flags := body[at+entryBytes-1]
			at += entryBytes
			if flags&^codeMask == 0 {
				continue
			}
			if flags&hasReplay != 0 {
				at = varint(at)
			}
			if flags&hasRef != 0 {
				at = text(at)
			}
			if flags&hasReason != 0 {
				at = text(at)
			}
		}
	}
	return false
}

// cursor reads from the front of rest. Once something was missing it is bad and gives zeros.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) uvarint() uint64 {
	n, width := binary.Uvarint(c.rest)
	if width <= 0 {
		c.bad, c.rest = true, nil
		return 0
	}
	c.rest = c.rest[width:]
	return n
}

func (c *cursor) varint() int64 {
	n, width := binary.Varint(c.rest)
	if width <= 0 {
		c.bad, c.rest = true, nil
		return 0
	}
	c.rest = c.rest[width:]
	return n
}

func (c *cursor) take(n int) []byte {
	if n > len(c.rest) {
		c.bad, c.rest = true, nil
		return nil
	}
	taken := c.rest[:n]
	c.rest = c.rest[n:]
	return taken
}

func (c *cursor) text(limit uint64) []byte {
	n := c.uvarint()
	if n == 0 || n > limit {
		c.bad = true
		return nil
	}
	return c.take(int(n))
}

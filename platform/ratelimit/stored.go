package ratelimit

// Row is what a backend stores of a key: its head, under the name "", or a cell under its CellID.
type Row struct {
	Name string
	Data []byte
	// Until is the last time, in milliseconds since 1970, at which the row may matter.
	Until int64
}

// Changes returns the rows to store since the last call.
func (s *State) Changes() []Row {
	rows := make([]Row, 0, len(s.dirty)+1)
	if s.headDirty {
		rows = append(rows, Row{Data: s.head.encode(), Until: s.until()})
	}
	for id := range s.dirty {
		rows = append(rows, Row{Name: id.String(), Data: s.cells[id].Encode(), Until: id.End() + s.head.horizon})
	}
	s.headDirty = false
	clear(s.dirty)
	return rows
}

// until is when a key that is left alone is forgotten. It lies a good way beyond the horizon, so that the head need not be written by each charge.
func (s *State) until() int64 {
	var latest int64
	for _, other := range s.head.series {
		latest = max(latest, other.used+s.head.horizon/16+other.size)
	}
	return latest + s.head.horizon
}

// Horizon is the longest horizon of the rules that charged the key, in milliseconds.
func (s *State) Horizon() int64 { return s.head.horizon }

// forget drops the cells that lie beyond the horizon.
func (s *State) forget(now int64) {
	for id := range s.cells {
		if id.End() < now-s.head.horizon {
			delete(s.cells, id)
		}
	}
}

func (s *State) cellCount() int { return len(s.cells) }

package sqlsession_test

import (
	"errors"
	"maps"
	"testing"

	"vibesdk-gcp/platform/session"
	"vibesdk-gcp/platform/session/sqlsession"
)

// TestCommitOnAnotherLifeConflicts: a record that was removed and begun again has the same commits as before.
func TestCommitOnAnotherLifeConflicts(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, address string) {
		d := sqlsession.New(migrated(t, address))
		old := next(t, d, &session.Record{Head: session.Head{ID: "a"}})
		if err := d.Remove(t.Context(), "a", 1); err != nil {
			t.Fatal(err)
		}
		again := next(t, d, &session.Record{Head: session.Head{ID: "a"}})
		changed := *old
		changed.Commit++
		if _, err := d.Commit(t.Context(), &changed); !errors.Is(err, session.ErrConflict) {
			t.Errorf("a commit on the removed record gave %v, want ErrConflict", err)
		}
		next(t, d, again)
	})
}

// TestPartsAreRemoved from records whose tag tells what they had, and from those without a tag.
func TestPartsAreRemoved(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, address string) {
		db := migrated(t, address)
		d := sqlsession.New(db)
		for _, tagged := range []bool{true, false} {
			for _, loaded := range []bool{true, false} {
				r := next(t, d, &session.Record{Head: session.Head{ID: "a"}, Parts: map[session.PartName]session.Part{
					"x": {Data: []byte("1")}, "y": {Data: []byte("2")}, "z": {Data: []byte("3")},
				}})
				if loaded {
					var err error
					if r, err = d.Load(t.Context(), "a", nil); err != nil {
						t.Fatal(err)
					}
				}
				changed := *r
				changed.Parts = maps.Clone(r.Parts)
				delete(changed.Parts, "y")
				if !tagged {
					changed.Tag = ""
				}
				r = next(t, d, &changed)
				got, err := d.Load(t.Context(), "a", nil)
				if err != nil || len(got.Parts) != 2 || string(got.Parts["x"].Data) != "1" || string(got.Parts["z"].Data) != "3" {
					t.Errorf("tagged %v, loaded %v: parts are %v, %v, want x and z", tagged, loaded, got.Parts, err)
				}
				if err := d.Remove(t.Context(), "a", r.Commit); err != nil {
					t.Fatal(err)
				}
				var left int
				if err := db.R.QueryRow("SELECT count(*) FROM session_parts").Scan(&left); err != nil || left != 0 {
					t.Errorf("a removed record left %d parts, %v", left, err)
				}
			}
		}
	})
}

// TestLoadTransfersWhatChanged, and nothing else.
func TestLoadTransfersWhatChanged(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, address string) {
		d := sqlsession.New(migrated(t, address))
		old := next(t, d, &session.Record{Head: session.Head{ID: "a"}, Parts: map[session.PartName]session.Part{
			"x": {Data: []byte("1")}, "y": {Data: []byte("2")}, "z": {Data: []byte("3")},
		}})
		changed := *old
		changed.Parts = maps.Clone(old.Parts)
		changed.Parts["y"] = session.Part{Data: []byte("4")}
		present := next(t, d, &changed)
		for name, c := range map[string]struct {
			known *session.Record
			want  int
		}{
			"nothing known":        {nil, 4},
			"one part is older":    {old, 2}, // the ring and the part
			"all of it":            {present, 0},
			"a commit and no tags": {&session.Record{Head: session.Head{ID: "a", Commit: 2}}, 4},
		} {
			if got, err := d.LoadBodies(t.Context(), "a", c.known); err != nil || got != c.want {
				t.Errorf("%s: %d bodies, %v, want %d", name, got, err, c.want)
			}
		}
	})
}

package crashpoint_test

import (
	"slices"
	"testing"

	"vibesdk-gcp/internal/crashpoint"
)

var (
	first  = crashpoint.New("crashpoint_test/first")
	second = crashpoint.New("crashpoint_test/second")
)

func TestNamesListsThePointsSorted(t *testing.T) {
	t.Parallel()
	want := []string{first.Name(), second.Name()}
	if got := crashpoint.Names(); !slices.Equal(got, want) {
		t.Errorf("Names() = %q, want %q", got, want)
	}
}

func TestNewRefusesMistakes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", first.Name()} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New(%q) did not panic", name)
				}
			}()
			crashpoint.New(name)
		}()
	}
}

func TestHitDoesNothingUnarmed(t *testing.T) {
	t.Parallel()
	first.Hit()
}

package chaos

import (
	"maps"
	"slices"
)

// limits holds what was admitted against the limits. The windows are longer than a run, so that all charges of a key are in one.
func (c *checker) limits(h *History, f Final) {
	type key struct{ limit, identifier string }
	byKey := map[key][]Charge{}
	for _, charge := range h.Charges {
		k := key{charge.Limit, charge.Identifier}
		byKey[k] = append(byKey[k], charge)
	}
	keys := slices.SortedFunc(maps.Keys(byKey), func(a, b key) int {
		return slices.Compare([]string{a.limit, a.identifier}, []string{b.limit, b.identifier})
	})
	for _, k := range keys {
		limit := f.Limits[k.limit]
		var admitted, guarded, unknown, forgotten, rejected float64
		for _, charge := range byKey[k] {
			switch {
			case charge.Degraded: // Redis may have counted it, and answered too late
				unknown++
				if charge.Outcome == Applied {
					guarded++
				}
				continue
			case charge.Outcome == Applied:
				admitted++
			case charge.Outcome == Rejected:
				rejected++
				continue
			default:
				unknown++
			}
			for _, killed := range f.RedisKilled {
				if !charge.Ended.Before(killed.Add(-f.RedisForgets)) && charge.Begun.Before(killed) {
					forgotten++
					break
				}
			}
		}
		if admitted > limit+forgotten {
			c.add(Over, "limit %s admitted %g to %s: more than %g, and %g that a killed Redis may have forgotten", k.limit, admitted, k.identifier, limit, forgotten)
		}
		if most := limit * float64(f.Gateways); guarded > most {
			c.add(Over, "limit %s: gateways admitted %g to %s by themselves, more than %g for each of %d", k.limit, guarded, k.identifier, limit, f.Gateways)
		}
		if rejected > 0 && admitted+unknown < limit {
			c.add(Over, "limit %s rejected %s, who was admitted %g of %g and at most %g more", k.limit, k.identifier, admitted, limit, unknown)
		}
	}
}

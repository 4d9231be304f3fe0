-- quick is the short way of most charges: a whole number, within every limit, in a bucket that was charged before, when the leaf in the
-- head is all that the windows read. It patches the stored head, and leaves the counts of the windows in a list. It is nil for a charge
-- that must go the long way.
local counted = {}

local function quick(found, p, own, now, n)
  if not found or byte(found) ~= 4 or n < 0 or n ~= floor(n) then return nil end
  local v = {read(leaf_format((#found - 41) / 9), found)}
  local slots, rule, way = (#v - 7) / 2, p.rule, p.way
  local horizon = v[HORIZON]
  if v[SERIES] ~= rule.size or v[6] ~= way.leaf or v[6 + slots] ~= way[2] then return nil end
  if rule.horizon > horizon or now - v[SERIES + 1] > floor(horizon / 16) or own and v[CLOCK] > now then return nil end
  local windows = rule.windows
  for w = 1, #windows do
    local lo, hi, sum = p.parts[w][2], p.parts[w][3], 0
    for i = 7, 6 + slots do
      if v[i] >= lo and v[i] <= hi then sum = sum + v[i + slots] end
    end
    if sum >= windows[w].limit then return nil end
    counted[w] = sum
  end
  touched = touched + #windows + 2
  local before = own and sub(found, 1, 9) .. pack('<d', now) .. sub(found, 18, -9) or sub(found, 1, -9)
  return before .. pack('<d', v[6 + 2 * slots] + n), horizon
end

local function first_bucket(w, now, size)
  if w.calendar then return floor(floor(now / DAY) * DAY / size) end
  return floor(max(0, now - w.length) / size)
end

-- fits is the smallest index from a on such that the buckets from there to b count less than the limit.
local function fits(s, size, a, b, limit)
  local sum, first, crossed = 0, b + 1, false
  local function reaches(from)
    if not s.fractional or not near(sum, limit) then return sum >= limit end
    return count(s, size, from, b, limit, cover(size, from, b)) >= limit
  end
  local function descend(level, i)
    local c = cell(s, name(size, level, i))
    if not c then return end
    local cells, span = size_of(c), SPAN[level]
    for at = cells, 1, -1 do
      if crossed then return end
      local child, n = i * FAN + c[at], c[cells + at]
      local youngest, oldest = (child + 1) * span - 1, child * span
      if youngest >= a and oldest <= b then
        if level == 0 then
          if s.negative and not reaches(child + 1) then first = child + 1 end
          sum = sum + n
          if not s.negative and reaches(child) then first, crossed = child + 1, true end
        elseif not s.negative and oldest >= a and youngest <= b and sum + n < limit and not near(sum + n, limit) then
          sum = sum + n
        else
          descend(level - 1, child)
        end
      end
    end
  end
  for i = index(b, TOP), index(a, TOP), -1 do
    if not crossed then descend(TOP, i) end
  end
  if not crossed and not reaches(a) then first = a end
  return first
end

local function count_at(s, at, size, b, w)
  local a = first_bucket(w, at, size)
  return count(s, size, a, b, w.limit, cover(size, a, b))
end

local function admits(s, at, size, b, w)
  if not w.calendar then return max(at, fits(s, size, first_bucket(w, at, size), b, w.limit) * size + w.length) end
  while count_at(s, at, size, b, w) >= w.limit do at = (floor(at / DAY) + 1) * DAY end
  return at
end

-- retry_at is when a charge that is rejected now would be admitted; -1 for never.
local function retry_at(s, now, size, b, windows)
  if windows[1].limit <= 0 then return -1 end
  seal(s)
  local at, settled = now, false
  while not settled do
    settled = true
    for _, w in ipairs(windows) do
      local next_at = at
      if count_at(s, at, size, b, w) >= w.limit then next_at = admits(s, at, size, b, w) end
      if next_at > at then at, settled = next_at, false end
    end
    settled = settled or not s.negative
  end
  return at
end

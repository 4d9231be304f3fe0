-- load fetches cells that are not known yet, in chunks that Lua can unpack.
local function load(s, names)
  local cells, missing = s.cells, nil
  for i = 1, #names do
    if cells[names[i]] == nil then
      cells[names[i]] = false
      missing = missing or {}
      missing[#missing + 1] = names[i]
    end
  end
  if not missing or s.absent then return end
  for from = 1, #missing, 1000 do
    local chunk = call('HMGET', s.key, unpack(missing, from, min(from + 999, #missing)))
    for i = 1, #chunk do cells[missing[from + i - 1]] = decode(chunk[i]) end
  end
end

local function cell(s, field)
  touched = touched + 1
  local c = s.cells[field]
  if c == nil then
    load(s, {field})
    c = s.cells[field]
  end
  return c
end

-- cover lists the cells, each with its first and last slot, that add up to the buckets from a to b.
local function cover(size, a, b)
  local list, level = {}, 0
  local function add(i, lo, hi)
    local n = #list
    list[n + 1], list[n + 2], list[n + 3] = name(size, level, i), lo, hi
  end
  while a <= b do
    local left, right = floor(a / FAN), floor(b / FAN)
    if left == right or level == TOP then
      for i = left, right do add(i, max(a - i * FAN, 0), min(b - i * FAN, FAN - 1)) end
      break
    end
    add(left, a - left * FAN, FAN - 1)
    add(right, 0, b - right * FAN)
    a, b, level = left + 1, right - 1, level + 1
  end
  return list
end

-- raise mends the sums above a leaf.
local function raise(s, way)
  load(s, {way[3], way[5]})
  local sum = cell_sum(s.cells[way[1]], 0, FAN - 1)
  for i = 3, #way, 2 do
    local field, slot = way[i], way[i + 1]
    local c = cell(s, field)
    if c then
      cell_set(c, slot, sum)
    else
      c = {slot, sum, 0}
      s.cells[field] = c
      s.prune = s.prune or i == 3 and not s.absent
    end
    mark(s, field, c)
    sum = cell_sum(c, 0, FAN - 1)
  end
end

-- seal makes the sums above the leaf in the head true, and will have the leaf stored as a cell like any other.
local function seal(s)
  if s.sealed then return end
  s.sealed = true
  mark(s, s.leaf[1], s.cells[s.leaf[1]])
  raise(s, s.leaf)
end

-- put gives a bucket a count. It leaves the sums above to raise.
local function put(s, way, sum)
  local field, slot = way[1], way[2]
  local c = cell(s, field)
  if c then
    cell_set(c, slot, sum)
  else
    c = {slot, sum, 0}
    s.cells[field] = c
  end
  return c
end

-- each visits the buckets from a to b that were charged, in ascending order.
local function each_below(s, size, level, i, a, b, visit)
  local c = cell(s, name(size, level, i))
  if not c then return end
  local n, span, children = size_of(c), SPAN[level], {}
  for at = 1, n do
    local child = i * FAN + c[at]
    if (child + 1) * span - 1 >= a and child * span <= b then children[#children + 1] = at end
  end
  if level > 0 then
    local names = {}
    for k, at in ipairs(children) do names[k] = name(size, level - 1, i * FAN + c[at]) end
    load(s, names)
  end
  for _, at in ipairs(children) do
    local child = i * FAN + c[at]
    if level == 0 then visit(child, c[n + at]) else each_below(s, size, level - 1, child, a, b, visit) end
  end
end

local function each(s, size, a, b, visit)
  seal(s)
  for i = index(a, TOP), index(b, TOP) do each_below(s, size, TOP, i, a, b, visit) end
end

local function near(sum, limit) return abs(sum - limit) <= 1e-9 * max(1, limit) end

-- count adds the buckets from a to b, which parts cover, in ascending order where the limit depends on it.
local function count(s, size, a, b, limit, parts)
  local total = 0
  for i = 1, #parts, 3 do total = total + cell_sum(cell(s, parts[i]), parts[i + 1], parts[i + 2]) end
  if s.fractional and near(total, limit) then
    total = 0
    each(s, size, a, b, function(_, n) total = total + n end)
  end
  return total
end

local function find(s, size)
  local head = s.head
  for i = SERIES, #head, 2 do
    if head[i] == size then return i end
  end
end

-- see gives the key a tree of this size, from the buckets of the other sizes that are on its grid.
local function see(s, now, size)
  if find(s, size) then return true end
  seal(s)
  s.leaf = false
  local horizon = s.head[HORIZON]
  local live = {s.head[1], horizon, s.head[CLOCK]}
  for i = SERIES, #s.head, 2 do
    local other, used = s.head[i], s.head[i + 1]
    if now <= used + horizon + floor(horizon / 16) + other then
      live[#live + 1] = other
      live[#live + 1] = used
    end
  end
  s.head = live
  if #live == SERIES - 1 + 2 * MAX_SERIES then return false end
  local buckets = {}
  for i = SERIES, #live, 2 do
    local other = live[i]
    each(s, other, floor(max(0, now - horizon - other) / other), floor((now + horizon) / other), function(bucket, n)
      if bucket * other % size == 0 then buckets[bucket * other / size] = n end
    end)
  end
  live[#live + 1] = size
  live[#live + 1] = now
  s.head_dirty, s.refresh = true, true
  s.asked = s.asked or {}
  s.asked[size] = true
  for bucket, n in pairs(buckets) do
    local way = path(size, bucket)
    mark(s, way[1], put(s, way, n))
    raise(s, way)
  end
  return true
end

-- write adds to a bucket in the tree of every size whose grid it is on.
local function write(s, now, size, horizon, bucket, way, n)
  local head = s.head
  if n ~= floor(n) and not s.fractional then s.fractional, s.head_dirty = true, true end
  if n < 0 and not s.negative then s.negative, s.head_dirty = true, true end
  if horizon > head[HORIZON] then head[HORIZON], s.head_dirty, s.refresh = horizon, true, true end
  local series = find(s, size)
  if s.asked and s.asked[size] then s.asked[size], head[series + 1] = nil, now end
  if now - head[series + 1] > floor(head[HORIZON] / 16) then head[series + 1], s.head_dirty, s.refresh = now, true, true end
  s.changed_at = now
  local open_leaf = s.leaf
  if #head == SERIES + 1 then
    if not open_leaf or open_leaf.leaf ~= way.leaf then seal(s) end
    put(s, way, cell_at(cell(s, way[1]), way[2]) + n)
    s.leaf, s.sealed, s.head_dirty = way, false, true
    return
  end
  if open_leaf then
    seal(s)
    s.leaf, s.head_dirty = false, true
  end
  local start = bucket * size
  for i = SERIES, #head, 2 do
    if start % head[i] == 0 then
      local other = i == series and way or path(head[i], start / head[i])
      mark(s, other[1], put(s, other, cell_at(cell(s, other[1]), other[2]) + n))
      raise(s, other)
    end
  end
end

-- unask gives up the sizes that calls of the run only asked with: a question must not cost the key one of its sizes.
local function unask(s)
  local head, kept = s.head, {unpack(s.head, 1, SERIES - 1)}
  for i = SERIES, #head, 2 do
    if not s.asked[head[i]] then
      insert(kept, head[i])
      insert(kept, head[i + 1])
    end
  end
  s.head, s.head_dirty = kept, true
  for field in pairs(s.dirty or {}) do
    if s.asked[tonumber(string.match(field, '^%d+'))] then s.dirty[field] = nil end
  end
end

-- prune drops the cells that lie beyond the horizon.
local function prune(s)
  local old = {}
  for _, field in ipairs(call('HKEYS', s.key)) do
    local size, level, i = string.match(field, '^(%d+):(%d):(%d+)$')
    if size and not (s.dirty and s.dirty[field]) then
      size, level, i = tonumber(size), tonumber(level), tonumber(i)
      if (i + 1) * SPAN[level + 1] * size < s.changed_at - s.head[HORIZON] then old[#old + 1] = field end
    end
  end
  for from = 1, #old, 1000 do call('HDEL', s.key, unpack(old, from, min(from + 999, #old))) end
end

local function expire(key, horizon) call('PEXPIRE', key, format('%.0f', horizon + floor(horizon / 16))) end

-- store writes what changed. A key lives on for a horizon and a sixteenth from when its head last noted a use, which it
-- does when a sixteenth has passed: so the expiry need not be set by each charge.
local function store(s)
  if s.asked and next(s.asked) then unask(s) end
  if s.dirty then
    local args = {'h', head_encode(s)}
    local n = 2
    for field, c in pairs(s.dirty) do
      args[n + 1], args[n + 2] = field, encode(c)
      n = n + 2
    end
    for from = 1, n, 2000 do call('HSET', s.key, unpack(args, from, min(from + 1999, n))) end
  elseif s.head_dirty then
    call('HSET', s.key, 'h', head_encode(s))
  end
  if s.prune then prune(s) end
  if s.refresh then expire(s.key, s.head[HORIZON]) end
end

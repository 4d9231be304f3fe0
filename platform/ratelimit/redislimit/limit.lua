-- One key's counts are one hash: field "h" is the head, "<size>:<level>:<index>" are the cells. Both have the stored form of
-- head.go and cell.go of the port, and this file has the arithmetic of its state.go and retry.go.
--
-- KEYS: "take": the hashes of the items of all calls. "adjust": the hash, and the marker that remembers the adjustment.
-- ARGV: "take", the number of calls, and for each call: its number of items, now or "", keep, "1" for a dry run, and for each item: n,
--       size, main, calendar, limit, burst window, burst, daily limit.
--       "adjust", now or "", keep, delta, bucket, size, horizon.
-- Times and sizes are milliseconds. "take" answers for each call the time, the cells touched, and for each item what it
-- exceeded, the main and daily count, and when to try again; or "SIZES".

local FAN, TOP, DAY, MAX_SERIES = 32, 2, 86400000, 8
local SPAN = {[0] = 1, FAN, FAN * FAN, FAN * FAN * FAN} -- buckets under a child of a level
local floor, max, min, abs = math.floor, math.max, math.min, math.abs
local touched = 0

local function index(bucket, level) return floor(bucket / SPAN[level + 1]) end
local function name(size, level, i) return string.format('%.0f:%d:%.0f', size, level, i) end


local function decode(data)
  if not data then return false end
  local n = #data / 9
  return {n = n, slots = {string.byte(data, 1, n)}, sums = {struct.unpack('<' .. string.rep('d', n), data, n + 1)}}
end

local function encode(cell)
  return string.char(unpack(cell.slots, 1, cell.n)) .. struct.pack('<' .. string.rep('d', cell.n), unpack(cell.sums, 1, cell.n))
end

local function cell_sum(cell, lo, hi)
  local total = 0
  if cell then
    local slots, sums = cell.slots, cell.sums
    for i = 1, cell.n do
      local slot = slots[i]
      if slot >= lo and slot <= hi then total = total + sums[i] end
    end
  end
  return total
end

local function cell_at(cell, slot)
  if cell then
    for i = cell.n, 1, -1 do
      if cell.slots[i] == slot then return cell.sums[i] end
    end
  end
  return 0
end

local function cell_set(cell, slot, sum)
  local i = cell.n
  while i > 0 and cell.slots[i] > slot do i = i - 1 end
  if i == 0 or cell.slots[i] ~= slot then
    i = i + 1
    table.insert(cell.slots, i, slot)
    table.insert(cell.sums, i, sum)
    cell.n = cell.n + 1
  end
  cell.sums[i] = sum
end

-- A state is one key: its head, the cells loaded (false: absent), and what to store.
local function head_decode(s, data)
  s.fractional, s.negative, s.horizon, s.clock, s.series = false, false, 0, 0, {}
  if not data then return end
  local flags = string.byte(data, 1)
  s.fractional, s.negative = flags % 2 == 1, flags >= 2
  s.horizon, s.clock = struct.unpack('<dd', data, 2)
  for at = 18, #data, 16 do
    local size, used = struct.unpack('<dd', data, at)
    s.series[#s.series + 1] = {size = size, used = used}
  end
end

local function head_encode(s)
  local data = {string.char((s.fractional and 1 or 0) + (s.negative and 2 or 0)), struct.pack('<dd', s.horizon, s.clock)}
  for _, other in ipairs(s.series) do data[#data + 1] = struct.pack('<dd', other.size, other.used) end
  return table.concat(data)
end

-- load fetches cells that are not known yet, in chunks that Lua can unpack.
local function load(s, names)
  local missing = {}
  for _, field in ipairs(names) do
    if s.cells[field] == nil then
      s.cells[field] = false
      missing[#missing + 1] = field
    end
  end
  for from = 1, #missing, 1000 do
    local chunk = redis.call('HMGET', s.key, unpack(missing, from, min(from + 999, #missing)))
    for i, data in ipairs(chunk) do s.cells[missing[from + i - 1]] = decode(data) end
  end
end

local function cell(s, field)
  touched = touched + 1
  if s.cells[field] == nil then load(s, {field}) end
  return s.cells[field]
end

-- cover calls visit with cells and slots that add up to the buckets from a to b.
local function cover(a, b, visit)
  local level = 0
  while a <= b do
    local left, right = floor(a / FAN), floor(b / FAN)
    if left == right or level == TOP then
      for i = left, right do visit(level, i, max(a - i * FAN, 0), min(b - i * FAN, FAN - 1)) end
      return
    end
    visit(level, left, a - left * FAN, FAN - 1)
    visit(level, right, 0, b - right * FAN)
    a, b, level = left + 1, right - 1, level + 1
  end
end

-- each visits the buckets from a to b that were charged, in ascending order.
local function each_below(s, size, level, i, a, b, visit)
  local c = cell(s, name(size, level, i))
  if not c then return end
  local span, children = SPAN[level], {}
  for at = 1, c.n do
    local child = i * FAN + c.slots[at]
    if (child + 1) * span - 1 >= a and child * span <= b then children[#children + 1] = at end
  end
  if level > 0 then
    local names = {}
    for n, at in ipairs(children) do names[n] = name(size, level - 1, i * FAN + c.slots[at]) end
    load(s, names)
  end
  for _, at in ipairs(children) do
    local child = i * FAN + c.slots[at]
    if level == 0 then visit(child, c.sums[at]) else each_below(s, size, level - 1, child, a, b, visit) end
  end
end

local function each(s, size, a, b, visit)
  for i = index(a, TOP), index(b, TOP) do each_below(s, size, TOP, i, a, b, visit) end
end

local function near(sum, limit) return abs(sum - limit) <= 1e-9 * max(1, limit) end

-- count adds in ascending order where the limit depends on it.
local function count(s, size, a, b, limit)
  local total = 0
  cover(a, b, function(level, i, lo, hi) total = total + cell_sum(cell(s, name(size, level, i)), lo, hi) end)
  if s.fractional and near(total, limit) then
    total = 0
    each(s, size, a, b, function(_, n) total = total + n end)
  end
  return total
end

local function set(s, size, bucket, sum)
  local names = {}
  for level = 0, TOP do names[level + 1] = name(size, level, index(bucket, level)) end
  load(s, names)
  local child = bucket
  for level = 0, TOP do
    local field = names[level + 1]
    local c = s.cells[field]
    if not c then
      c = {n = 0, slots = {}, sums = {}}
      s.cells[field] = c
      if level == 1 then s.prune = true end
    end
    touched = touched + 1
    local above = floor(child / FAN)
    cell_set(c, child - above * FAN, sum)
    s.dirty[field] = true
    sum, child = cell_sum(c, 0, FAN - 1), above
  end
end

local function bucket_count(s, size, bucket)
  local i = floor(bucket / FAN)
  local field = name(size, 0, i)
  load(s, {field})
  return cell_at(s.cells[field], bucket - i * FAN)
end

local function find(s, size)
  for _, other in ipairs(s.series) do
    if other.size == size then return other end
  end
end

-- see gives the key a tree of this size, from the buckets of the other sizes that are on its grid.
local function see(s, now, size)
  if find(s, size) then return true end
  local live = {}
  for _, other in ipairs(s.series) do
    if now <= other.used + s.horizon + floor(s.horizon / 16) + other.size then live[#live + 1] = other end
  end
  s.series = live
  if #live == MAX_SERIES then return false end
  local buckets = {}
  for _, other in ipairs(live) do
    local first, last = floor(max(0, now - s.horizon - other.size) / other.size), floor((now + s.horizon) / other.size)
    each(s, other.size, first, last, function(bucket, n)
      local start = bucket * other.size
      if start % size == 0 then buckets[start / size] = n end
    end)
  end
  live[#live + 1] = {size = size, used = now}
  s.head_dirty = true
  for bucket, n in pairs(buckets) do set(s, size, bucket, n) end
  return true
end

local function first_bucket(w, now, size)
  if w.calendar then return floor(floor(now / DAY) * DAY / size) end
  return floor(max(0, now - w.length) / size)
end

-- fits is the smallest index from a on such that the buckets from there to b count less than the limit.
local function fits(s, size, a, b, limit)
  local sum, first, crossed = 0, b + 1, false
  local function reaches(from)
    if not s.fractional or not near(sum, limit) then return sum >= limit end
    return count(s, size, from, b, limit) >= limit
  end
  local function descend(level, i)
    local c = cell(s, name(size, level, i))
    if not c then return end
    local span = SPAN[level]
    for at = c.n, 1, -1 do
      if crossed then return end
      local child, n = i * FAN + c.slots[at], c.sums[at]
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

local function admits(s, at, size, b, w)
  if not w.calendar then return max(at, fits(s, size, first_bucket(w, at, size), b, w.limit) * size + w.length) end
  while count(s, size, first_bucket(w, at, size), b, w.limit) >= w.limit do at = (floor(at / DAY) + 1) * DAY end
  return at
end

local function retry_at(s, now, item)
  if item.windows[1].limit <= 0 then return -1 end
  local at, settled = now, false
  while not settled do
    settled = true
    for _, w in ipairs(item.windows) do
      local next_at = at
      if count(s, item.size, first_bucket(w, at, item.size), item.bucket, w.limit) >= w.limit then
        next_at = admits(s, at, item.size, item.bucket, w)
      end
      if next_at > at then at, settled = next_at, false end
    end
    settled = settled or not s.negative
  end
  return at
end

local function open(key)
  return {key = key, cells = {}, dirty = {}, head_dirty = false}
end

-- write adds to a bucket in the tree of every size whose grid it is on.
local function write(s, now, size, horizon, keep, bucket, n)
  if n ~= floor(n) and not s.fractional then s.fractional, s.head_dirty = true, true end
  if n < 0 and not s.negative then s.negative, s.head_dirty = true, true end
  horizon = max(horizon, keep)
  if horizon > s.horizon then s.horizon, s.head_dirty = horizon, true end
  local used = find(s, size)
  if now - used.used > floor(s.horizon / 16) then used.used, s.head_dirty = now, true end
  local start = bucket * size
  for _, other in ipairs(s.series) do
    if start % other.size == 0 then
      local at = start / other.size
      set(s, other.size, at, bucket_count(s, other.size, at) + n)
    end
  end
end

-- prune drops the cells that lie beyond the horizon.
local function prune(s, now)
  local old = {}
  for _, field in ipairs(redis.call('HKEYS', s.key)) do
    local size, level, i = string.match(field, '^(%d+):(%d):(%d+)$')
    if size and not s.dirty[field] then
      size, level, i = tonumber(size), tonumber(level), tonumber(i)
      if (i + 1) * SPAN[level + 1] * size < now - s.horizon then old[#old + 1] = field end
    end
  end
  for from = 1, #old, 1000 do redis.call('HDEL', s.key, unpack(old, from, min(from + 999, #old))) end
end

local function store(s, now)
  local args = {}
  if s.head_dirty then args[1], args[2] = 'h', head_encode(s) end
  for field in pairs(s.dirty) do
    args[#args + 1] = field
    args[#args + 1] = encode(s.cells[field])
  end
  for from = 1, #args, 2000 do redis.call('HSET', s.key, unpack(args, from, min(from + 1999, #args))) end
  if s.prune then prune(s, now) end
  redis.call('PEXPIRE', s.key, string.format('%.0f', s.horizon + floor(s.horizon / 16)))
end

local function server_time()
  local time = redis.call('TIME')
  return time[1] * 1000 + floor(time[2] / 1000)
end

local function number(x) return string.format('%.17g', x) end

if ARGV[1] == 'adjust' then
  local now = ARGV[2] == '' and server_time() or tonumber(ARGV[2])
  local keep = tonumber(ARGV[3])
  local delta, bucket, size, horizon = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
  local life = string.format('%.0f', horizon)
  if not redis.call('SET', KEYS[2], '1', 'NX', 'PX', life) then return 0 end
  if bucket * size < now - horizon then return 0 end
  local s = open(KEYS[1])
  head_decode(s, redis.call('HGET', s.key, 'h'))
  if not see(s, now, size) then
    redis.call('DEL', KEYS[2])
    return redis.error_reply('SIZES')
  end
  if delta < 0 then delta = max(delta, min(0, -bucket_count(s, size, bucket))) end
  if delta == 0 then return 0 end
  write(s, now, size, horizon, keep, bucket, delta)
  store(s, now)
  return 1
end

-- state_of opens a key once for all calls of a run. The head and the cells that the clock foretells come in one go.
local states, opened = {}, {}

local function state_of(key, names)
  local s = states[key]
  if s then
    load(s, names)
    return s
  end
  s = open(key)
  states[key], opened[#opened + 1] = s, s
  local found = redis.call('HMGET', key, 'h', unpack(names))
  head_decode(s, found[1])
  for n, field in ipairs(names) do s.cells[field] = decode(found[n + 1]) end
  return s
end

-- take decides on one call, whose items have the keys from k on and the arguments from at on. Everything is decided
-- before anything changes.
local function take(k, at, count_of_keys, own, now, keep, dry)
  touched = 0
  local items = {}
  for i = 1, count_of_keys do
    local a = {}
    for n = 0, 7 do a[n + 1] = tonumber(ARGV[at + n]) end
    at = at + 8
    local item = {n = a[1], size = a[2], horizon = a[3] + a[2]}
    item.windows = {{kind = 'main', length = a[3], calendar = a[4] == 1, limit = a[5]}}
    if a[4] == 1 then item.horizon = DAY + a[2] end
    if a[7] ~= 0 then
      item.windows[#item.windows + 1] = {kind = 'burst', length = a[6], limit = a[7]}
      item.horizon = max(item.horizon, a[6] + a[2])
    end
    if a[8] ~= 0 then
      item.windows[#item.windows + 1] = {kind = 'daily', length = DAY, limit = a[8]}
      item.horizon = max(item.horizon, DAY + a[2])
    end
    items[i] = item
    local names, known = {}, {}
    local function want(level, index_)
      local field = name(item.size, level, index_)
      if not known[field] then
        known[field] = true
        names[#names + 1] = field
      end
    end
    local bucket = floor(now / item.size)
    for level = 0, TOP do want(level, index(bucket, level)) end
    for _, w in ipairs(item.windows) do cover(first_bucket(w, now, item.size), bucket, want) end
    item.state = state_of(KEYS[k + i - 1], names)
  end
  if own then
    for _, item in ipairs(items) do now = max(now, item.state.clock) end
  end

  local reply, rejected = {number(now), 0}, false
  for _, item in ipairs(items) do
    local s = item.state
    item.bucket = floor(now / item.size)
    if not see(s, now, item.size) then return {'SIZES'} end
    local exceeded, counts = '', {main = 0, daily = 0}
    for _, w in ipairs(item.windows) do
      counts[w.kind] = count(s, item.size, first_bucket(w, now, item.size), item.bucket, w.limit)
      if exceeded == '' and counts[w.kind] >= w.limit then exceeded = w.kind end
    end
    local retry = 0
    if exceeded ~= '' then rejected, retry = true, retry_at(s, now, item) end
    reply[#reply + 1] = exceeded
    reply[#reply + 1] = number(counts.main)
    reply[#reply + 1] = number(counts.daily)
    reply[#reply + 1] = number(retry)
  end
  if not rejected and not dry then
    for _, item in ipairs(items) do
      local s = item.state
      if own and now > s.clock then s.clock, s.head_dirty = now, true end
      write(s, now, item.size, item.horizon, keep, item.bucket, item.n)
      s.changed_at = now
    end
  end
  reply[2] = touched
  return reply
end

-- Calls are decided one after the other, as if each had come alone; what they changed is stored once.
local replies, at, k, clock = {}, 3, 1, nil
for c = 1, tonumber(ARGV[2]) do
  local keys, given = tonumber(ARGV[at]), ARGV[at + 1]
  local own = given == ''
  if own and not clock then clock = server_time() end
  replies[c] = take(k, at + 4, keys, own, own and clock or tonumber(given), tonumber(ARGV[at + 2]), ARGV[at + 3] == '1')
  at, k = at + 4 + 8 * keys, k + keys
end
for _, s in ipairs(opened) do
  if s.changed_at then store(s, s.changed_at) end
end
return replies

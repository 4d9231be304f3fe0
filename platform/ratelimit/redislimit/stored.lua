-- One key's counts are one hash: field "h" is the head, "<size>:<level>:<index>" are the cells. Both have the stored form of
-- head.go and cell.go of the port, and these files, which are one script, have the arithmetic of its state.go and retry.go.
--
-- While a key has one bucket size, the head carries the leaf cell that was charged last, its index and then the cell: most calls read
-- and write that one field. The sums above this leaf may be behind; they are mended when another leaf is charged, or
-- before anything reads them (see seal). The leaf in the head is the true one, also when a field has its name.
--
-- Times and sizes are milliseconds.

local FAN, TOP, DAY, MAX_SERIES = 32, 2, 86400000, 8
local SPAN = {[0] = 1, FAN, FAN * FAN, FAN * FAN * FAN} -- buckets under a child of a level
local HORIZON, CLOCK, SERIES = 2, 3, 4 -- places in a head: flags, horizon, clock, then the size and use of each series
local floor, max, min, abs, format, rep = math.floor, math.max, math.min, math.abs, string.format, string.rep
local byte, sub, insert, pack, read, call = string.byte, string.sub, table.insert, struct.pack, struct.unpack, redis.call
local touched = 0

local function index(bucket, level) return floor(bucket / SPAN[level + 1]) end
local function name(size, level, i) return format('%.0f:%d:%.0f', size, level, i) end

-- A cell is a list: n slots, their n sums, and one value more, so that its length tells n. Absent ones are false.
local cell_formats = {}

local function cell_format(n)
  local f = cell_formats[n]
  if not f then
    f = '<' .. rep('B', n) .. rep('d', n)
    cell_formats[n] = f
  end
  return f
end

local function decode(data) return data and {read(cell_format(#data / 9), data)} end
local function size_of(cell) return (#cell - 1) / 2 end

local function encode(cell)
  local n = size_of(cell)
  return pack(cell_format(n), unpack(cell, 1, 2 * n))
end

local function cell_sum(cell, lo, hi)
  local total = 0
  if cell then
    local n = size_of(cell)
    for i = 1, n do
      local slot = cell[i]
      if slot >= lo and slot <= hi then total = total + cell[n + i] end
    end
  end
  return total
end

local function cell_at(cell, slot)
  if cell then
    local n = size_of(cell)
    for i = n, 1, -1 do
      if cell[i] == slot then return cell[n + i] end
    end
  end
  return 0
end

local function cell_set(cell, slot, sum)
  local n = size_of(cell)
  local i = n
  while i > 0 and cell[i] > slot do i = i - 1 end
  if i > 0 and cell[i] == slot then
    cell[n + i] = sum
  else
    insert(cell, n + i + 1, sum)
    insert(cell, i + 1, slot)
  end
end

-- path lists the cells above a bucket, lowest first, each with its slot.
local function path(size, bucket)
  local list = {leaf = floor(bucket / FAN)}
  for level = 0, TOP do
    local above = floor(bucket / FAN)
    list[2 * level + 1], list[2 * level + 2] = name(size, level, above), bucket - above * FAN
    bucket = above
  end
  return list
end

-- A state is one key: its head, the cells loaded, the path of the leaf in the head, and what to store. limit.lua remembers the last
-- decision in it.
local head_formats, leaf_formats = {}, {}

local function head_format(numbers)
  local f = head_formats[numbers]
  if not f then
    f = '<B' .. rep('d', numbers)
    head_formats[numbers] = f
  end
  return f
end

-- leaf_format is that of a head with one series and a leaf of n slots.
local function leaf_format(n)
  local f = leaf_formats[n]
  if not f then
    f = '<Bddddd' .. rep('B', n) .. rep('d', n)
    leaf_formats[n] = f
  end
  return f
end

local function leaf_split(flags, horizon, clock, size, used, leaf, ...)
  return {flags, horizon, clock, size, used}, leaf, {...}
end

-- open makes the state of a key from its stored head. A path may be given that is likely the one of the leaf in it.
local function open(key, found, size, way)
  if not found then
    return {key = key, head = {0, 0, 0}, cells = {}, counts = {}, dirty = false, leaf = false, sealed = true, absent = true,
      changed_at = false, head_dirty = false, plan = false, pending = false, retry = false}
  end
  local flags, head, index, leaf = byte(found), nil, nil, nil
  local s = {key = key, head = false, cells = false, counts = {}, dirty = false, leaf = false, sealed = true,
    changed_at = false, head_dirty = false, plan = false, pending = false, retry = false}
  if flags >= 4 then
    head, index, leaf = leaf_split(read(leaf_format((#found - 41) / 9), found))
    if head[4] ~= size or index ~= way.leaf then way = path(head[4], index * FAN) end
    s.head, s.cells, s.leaf, s.sealed = head, {[way[1]] = leaf}, way, false
  else
    head = {read(head_format((#found - 1) / 8), found)}
    head[#head] = nil
    s.head, s.cells = head, {}
  end
  if flags % 4 ~= 0 then s.fractional, s.negative = flags % 2 == 1, flags % 4 >= 2 end
  return s
end

local function head_encode(s)
  local head, way = s.head, s.leaf
  head[1] = (s.fractional and 1 or 0) + (s.negative and 2 or 0)
  if not way then return pack(head_format(#head - 1), unpack(head)) end
  local leaf = s.cells[way[1]]
  local n = size_of(leaf)
  return pack(leaf_format(n), head[1] + 4, head[2], head[3], head[4], head[5], way.leaf, unpack(leaf, 1, 2 * n))
end

local function mark(s, field, c)
  if s.dirty then s.dirty[field] = c else s.dirty = {[field] = c} end
end

-- KEYS: "take": the hashes that the calls of the run are about, each once. "adjust" and "restore": the hash, and the sorted set of
--       the ids of its adjustments, each with the time until which it is remembered.
-- ARGV: "take" and, packed, keep and the numbers of rules and calls; each rule: size, main, calendar, limit, burst window, burst,
--       daily limit; each call: now or -1, 1 for a dry run, the number of items; each item: n, its rule and its key, counted from 1.
--       "adjust", now or "", keep, delta, bucket, size, horizon, id.
--       "restore", the clock, when the hash expires in, the number of adjustments, each as until and id, then the fields of the hash.
-- "take" answers, packed, the cells touched and for each item of each call: 0, or which window it exceeded (1 main, 2 burst,
-- 3 daily), or 255 for a bucket size too many; the time; the main and daily count; and when to try again.

local function server_time()
  local time = call('TIME')
  return time[1] * 1000 + floor(time[2] / 1000)
end

-- remember adds the id of an adjustment, and keeps all of them for a time in milliseconds at least.
local function remember(key, id, til, keep)
  local known = call('ZSCORE', key, id)
  if known and tonumber(known) >= til then return end
  call('ZADD', key, format('%.0f', til), id)
  if call('PTTL', key) < keep then call('PEXPIRE', key, format('%.0f', keep)) end
end

if ARGV[1] == 'adjust' then
  local now = ARGV[2] == '' and server_time() or tonumber(ARGV[2])
  local keep = tonumber(ARGV[3])
  local delta, bucket, size, horizon = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
  local id = ARGV[8]
  if call('ZSCORE', KEYS[2], id) then return 0 end
  call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. format('%.0f', now))
  remember(KEYS[2], id, now + horizon, horizon)
  if bucket * size < now - horizon then return 0 end
  local way = path(size, bucket)
  local s = open(KEYS[1], call('HGET', KEYS[1], 'h'), size, way)
  if not see(s, now, size) then
    call('ZREM', KEYS[2], id)
    return redis.error_reply('SIZES')
  end
  if delta < 0 then delta = max(delta, min(0, -cell_at(cell(s, way[1]), way[2]))) end
  if delta == 0 then return 0 end
  write(s, now, size, max(horizon, keep), bucket, way, delta)
  s.refresh = true
  store(s)
  return 1
end

if ARGV[1] == 'restore' then
  local clock, expiry, ids = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
  local now = server_time()
  for i = 5, 4 + 2 * ids, 2 do
    local til = tonumber(ARGV[i])
    remember(KEYS[2], ARGV[i + 1], til, max(til - now, tonumber(expiry)))
  end
  local found = call('HGET', KEYS[1], 'h')
  if found and open(KEYS[1], found, 0, path(1, 0)).head[CLOCK] > clock then return 0 end
  call('DEL', KEYS[1])
  local first = 5 + 2 * ids
  for from = first, #ARGV, 2000 do call('HSET', KEYS[1], unpack(ARGV, from, min(from + 1999, #ARGV))) end
  if first < #ARGV then call('PEXPIRE', KEYS[1], expiry) end
  return 1
end

local data = ARGV[2]
local keep, rule_count, call_count, at = read('<dHH', data)

-- plan_of is what a rule reads and writes at one time: the leaf of its bucket and the rest. Calls of one run mostly share it.
local function plan_of(rule, now)
  local p = rule.plans[now]
  if p then return p end
  local size = rule.size
  local bucket = floor(now / size)
  local way = path(size, bucket)
  local known, rest = {[way[1]] = true}, {}
  p = {rule = rule, now = now, bucket = bucket, way = way, rest = rest, leaf = {way[1]}, first = {}, parts = {}}
  for i, w in ipairs(rule.windows) do
    p.first[i] = first_bucket(w, now, size)
    p.parts[i] = cover(size, p.first[i], bucket)
    for j = 1, #p.parts[i], 3 do
      local field = p.parts[i][j]
      if not known[field] then
        known[field] = true
        rest[#rest + 1] = field
      end
    end
  end
  rule.plans[now] = p
  return p
end

local rules = {}
for i = 1, rule_count do
  local size, main, calendar, limit, burst_window, burst, daily
  size, main, calendar, limit, burst_window, burst, daily, at = read('<ddBdddd', data, at)
  local windows, longest = {{kind = 1, length = main, calendar = calendar == 1, limit = limit}}, calendar == 1 and DAY or main
  if burst ~= 0 then
    windows[2] = {kind = 2, length = burst_window, limit = burst}
    longest = max(longest, burst_window)
  end
  if daily ~= 0 then
    windows[#windows + 1] = {kind = 3, length = DAY, limit = daily}
    longest = max(longest, DAY)
  end
  rules[i] = {size = size, horizon = max(longest + size, keep), windows = windows, plans = {}, daily = daily ~= 0 and #windows}
end

-- Heads by key: as they were found, and as charges that went the short way left them, each with the time of the last one and the
-- horizon, if the expiry is to be set.
local heads, patched, patched_at, renewed = {}, {}, {}, {}

local function head_of(k)
  if patched[k] then return patched[k] end
  if heads[k] == nil then heads[k] = call('HGET', KEYS[k], 'h') end
  return heads[k]
end

-- state_of opens a key once for all calls of the run, with the cells that a plan reads besides the leaf.
local states, opened = {}, {}

local function state_of(k, plan)
  local s = states[k]
  if s then return s end
  local key, rest = KEYS[k], plan.rest
  if #rest == 0 or heads[k] ~= nil then
    s = open(key, head_of(k), plan.rule.size, plan.way)
  else
    local found = call('HMGET', key, 'h', unpack(rest))
    s = open(key, found[1], plan.rule.size, plan.way)
    local cells = s.cells
    for i = 1, #rest do
      if cells[rest[i]] == nil then cells[rest[i]] = decode(found[i + 1]) end
    end
  end
  if patched[k] then
    s.changed_at, s.head_dirty, s.refresh = patched_at[k], true, renewed[k]
    patched[k] = nil
  end
  states[k], opened[#opened + 1] = s, s
  return s
end

-- quickly charges a key by the short way, and returns whether that could be done.
local function quickly(k, p, own, now, n)
  if states[k] or #p.rest > 0 then return false end
  local head, horizon = quick(head_of(k), p, own, now, n)
  if not head then return false end
  patched[k], patched_at[k] = head, now
  if not own then renewed[k] = horizon end
  return true
end

-- settle puts into the cells what calls under the plan were charged together.
local function settle(s)
  local n = s.pending
  if n then
    local p = s.plan
    s.pending = false
    write(s, p.now, p.rule.size, p.rule.horizon, p.bucket, p.way, n)
  end
end

-- decide says which window rejects, 0 if none does, and leaves the counts in the state, where they stay true for the next
-- call under the same plan. It is nil when the bucket size is one too many.
local function decide(s, p)
  local rule, counts = p.rule, s.counts
  local windows, exceeded = rule.windows, 0
  if s.plan ~= p then
    settle(s)
    s.plan, s.retry = false, false
    if s.leaf and s.leaf[1] ~= p.way[1] then seal(s) end
    if #p.rest > 0 then load(s, p.rest) end
    if s.leaf ~= p.way then load(s, p.leaf) end
    if not see(s, p.now, rule.size) then return nil end
    for i = 1, #windows do counts[i] = count(s, rule.size, p.first[i], p.bucket, windows[i].limit, p.parts[i]) end
    s.plan = p
  end
  for i = 1, #windows do
    if counts[i] >= windows[i].limit then
      exceeded = windows[i].kind
      break
    end
  end
  if exceeded ~= 0 and not s.retry then
    settle(s)
    s.retry = retry_at(s, p.now, rule.size, p.bucket, windows)
  end
  return exceeded
end

-- charge adds to the counts. Whole numbers may be written later and together; fractions must be added one by one.
local function charge(s, n)
  s.retry = false
  if n < 0 and not s.negative then s.negative, s.head_dirty = true, true end
  if s.fractional or n ~= floor(n) then
    settle(s)
    s.pending = n
    settle(s)
    s.plan = false
    return
  end
  local counts = s.counts
  for i = 1, #s.plan.rule.windows do counts[i] = counts[i] + n end
  s.pending = (s.pending or 0) + n
end

-- Calls are decided one after the other, as if each had come alone; what they changed is stored once. Everything is decided
-- before anything of a call changes.
local replies, clock = {''}, nil
local S, R, N, K = {}, {}, {}, {}
for _ = 1, call_count do
  local now, dry, items
  now, dry, items, at = read('<dBB', data, at)
  local own, latest, first = now < 0, 0, #replies
  if own then
    clock = clock or server_time()
    now = clock
  end
  for i = 1, items do
    local r
    N[i], r, K[i], at = read('<dHH', data, at)
    R[i] = rules[r]
  end
  if items == 1 and dry == 0 and quickly(K[1], plan_of(R[1], now), own, now, N[1]) then
    local daily = R[1].daily
    replies[first + 1] = pack('<Bdddd', 0, now, counted[1], daily and counted[daily] or 0, 0)
  else
    for i = 1, items do
      S[i] = state_of(K[i], plan_of(R[i], now))
      latest = max(latest, S[i].head[CLOCK])
    end
    if own and latest > now then now = latest end
    local admitted = true
    for i = 1, items do
      local s, p = S[i], plan_of(R[i], now)
      local exceeded = decide(s, p)
      if not exceeded then
        for j = 1, items do replies[first + j] = pack('<Bdddd', 255, now, 0, 0, 0) end
        admitted = false
        break
      end
      local daily = p.rule.daily
      replies[first + i] = pack('<Bdddd', exceeded, now, s.counts[1], daily and s.counts[daily] or 0, s.retry or 0)
      admitted = admitted and exceeded == 0
    end
    if admitted and dry == 0 then
      for i = 1, items do
        local s = S[i]
        if now ~= clock then s.refresh = true end
        if own and now > s.head[CLOCK] then s.head[CLOCK], s.head_dirty = now, true end
        charge(s, N[i])
      end
    end
  end
end
for k, head in pairs(patched) do
  call('HSET', KEYS[k], 'h', head)
  if renewed[k] then expire(KEYS[k], renewed[k]) end
end
for _, s in ipairs(opened) do
  settle(s)
  if s.changed_at then store(s) end
end
replies[1] = pack('<d', touched)
return table.concat(replies)

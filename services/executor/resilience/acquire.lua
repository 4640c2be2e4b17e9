-- acquire: circuit, cooldown and permits, decided together, so that nothing is spent by an attempt that may not go.
--
-- KEYS[2] holds the permits of the scope, KEYS[3..] those of limits further out: lists of granted times, ascending.
-- ARGV[6] longest wait, ARGV[7] window, ARGV[8..] permits per window of KEYS[2..] (0: unlimited, no list).
--
-- Answers {0, repaired, wait, time, epoch, probe, failures},
--         {1, repaired, retry after, open since, cause}     the circuit is open, or half-open with a probe under way
--      or {2, repaired, wait, limit, cause}                 limit: index in KEYS, or 1 for the cooldown.

local longest, window = tonumber(ARGV[6]), tonumber(ARGV[7])
local COOLDOWN_LONGEST = 60 * 1000000

if not passable() then return circuit_open() end

local function rate_of(i) return tonumber(ARGV[i + 6]) end

local function length(key)
  local held = redis.pcall('LLEN', key)
  if type(held) == 'number' then return held end
  drop(key)
  return 0
end

local function granted(key, index)
  local time = instant(redis.call('LINDEX', key, index))
  if not time then drop(key) end
  return time
end

-- The scope's own list: first come, first served, so nothing is granted before what was granted last, and the
-- permit `rate` back must be a window ago.
local function after_own(key, rate, t)
  local held = length(key)
  if held == 0 then return t end
  local last = granted(key, -1)
  if not last then return t end
  t = math.max(t, last)
  if held < rate then return t end
  local first = granted(key, held - rate)
  if not first then return t end
  return math.max(t, first + window)
end

-- A list further out: others' waiters may hold later times already, and must not delay this one, which goes to the
-- earliest gap. Each run of `rate` permits within one window forbids the times that would make it rate + 1: from less
-- than a window before its end to less than a window after its start. These intervals ascend, so one pass will
-- do; and where the list ends before t, only the last interval can hold it.
local function after_others(key, rate, t)
  local held = length(key)
  if held < rate then return t end
  local last = granted(key, -1)
  if not last then return t end
  if last <= t then
    local first = granted(key, held - rate)
    return first and math.max(t, first + window) or t
  end
  local times = redis.call('LRANGE', key, 0, -1)
  for i = 1, held do
    times[i] = instant(times[i])
    if not times[i] then
      drop(key)
      return t
    end
  end
  for i = 1, held - rate + 1 do
    local first, final = times[i], times[i + rate - 1]
    if final - first < window and t > final - window and t < first + window then t = first + window end
  end
  return t
end

local t, limit = now, 0
if cooldown > t then t, limit = cooldown, 1 end
if rate_of(2) > 0 then
  local later = after_own(KEYS[2], rate_of(2), t)
  if later > t then t, limit = later, 2 end
end
-- A later time pleases the scope's own list still, but not every other list: ask again until none objects.
local moved = #KEYS > 2
while moved do
  moved = false
  for i = 3, #KEYS do
    if rate_of(i) > 0 then
      local later = after_others(KEYS[i], rate_of(i), t)
      if later > t then t, limit, moved = later, i, true end
    end
  end
end

local wait = t - now
if wait > longest or cooldown - now > COOLDOWN_LONGEST then
  renew()
  return {2, repaired, wait, limit, limit == 1 and redis.call('HGET', KEYS[1], 'w') or ''}
end

-- From here on everything is granted, and written.
local function write(key)
  local last = redis.call('EXISTS', key) == 1 and granted(key, -1) or 0
  if last <= t then
    if last > 0 and last + window <= now then redis.call('DEL', key) end
    redis.call('RPUSH', key, t)
    last = t
  else
    local times, i = redis.call('LRANGE', key, 0, -1), 1
    while (instant(times[i]) or 0) <= t do i = i + 1 end
    redis.call('LINSERT', key, 'BEFORE', times[i], t)
  end
  -- What is a window old binds nothing any more. Two go for each that comes, so that the list shrinks to what a window
  -- holds, and no call pays for all.
  for _ = 1, 2 do
    local first = instant(redis.call('LINDEX', key, 0)) or 0
    if first + window > now then break end
    redis.call('LPOP', key)
  end
  redis.call('PEXPIRE', key, math.ceil((last - now + window) / 1000))
end

for i = 2, #KEYS do
  if rate_of(i) > 0 then write(KEYS[i]) end
end

local probe = 0
if threshold > 0 then
  if state ~= CLOSED then
    -- Recovery has passed, or the last probe's lease: this attempt is the probe, and its epoch the only one that counts.
    probe, state, ends = 1, HALF_OPEN, t + lease
    redis.call('HSET', KEYS[1], 's', HALF_OPEN, 'e', next_epoch(), 'u', ends)
  elseif epoch == 0 then
    redis.call('HSET', KEYS[1], 'e', next_epoch())
  end
end
renew()
return {0, repaired, wait, t, threshold > 0 and epoch or 0, probe, failures}

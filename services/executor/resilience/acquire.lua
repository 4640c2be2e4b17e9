-- acquire: circuit, cooldown and permits, decided together, so that nothing is spent by an attempt that may not go.
--
-- A worker's attempts that ask at the same moment for the same come in one call, and are decided one after the other.
--
-- KEYS[2] holds the permits of the scope, KEYS[3..] those of limits further out: lists of granted times, ascending.
-- ARGV[6] window, ARGV[7..] permits per window of KEYS[2..] (0: unlimited, no list), then the longest wait of each
-- attempt.
--
-- Answers {attempts, repaired, decision, …}, a decision being
--    {0, wait, time, epoch, failures}
--    {0, wait, time, epoch, failures, cause, opened}   the same for the probe
--    {1, retry after, open for, cause, opened}         the circuit is open, or half-open with a probe under way
-- or {2, wait, limit, cause}                           limit: index in KEYS, or 1 for the cooldown.

local window = tonumber(ARGV[6])
local COOLDOWN_LONGEST = 60 * 1000000

-- Of each list with a limit: permits per window, length, last time (0 where it is empty), and the time `rate` back.
local rate, held, last, first = {}, {}, {}, {}

local function forget(i)
  drop(KEYS[i])
  held[i], last[i], first[i] = 0, 0, nil
end

-- The time at an index of a list; nil, and the list is empty, where it is none.
local function granted(i, index)
  local time = instant(call('LINDEX', KEYS[i], index))
  if not time then forget(i) end
  return time
end

for i = 2, #KEYS do
  rate[i] = tonumber(ARGV[i + 5])
  if rate[i] > 0 then
    held[i], last[i] = redis.pcall('LLEN', KEYS[i]), 0
    if type(held[i]) ~= 'number' then forget(i) end
    if held[i] > 0 then last[i] = granted(i, -1) or 0 end
  end
end

-- The permit `rate` back must be a window ago.
local function after_rate(i, t)
  if held[i] < rate[i] then return t end
  first[i] = granted(i, held[i] - rate[i])
  return first[i] and max(t, first[i] + window) or t
end

-- A list further out: others' waiters may hold later times already, and must not delay this one, which goes to the
-- earliest gap. Each run of `rate` permits within one window forbids the times that would make it rate + 1: from less
-- than a window before its end to less than a window after its start. These intervals ascend, so one pass will do;
-- and where the list ends before t, only the last interval can hold it.
local function gap(i, t)
  if held[i] < rate[i] then return t end
  if last[i] <= t then return after_rate(i, t) end
  local times = call('LRANGE', KEYS[i], 0, -1)
  for n = 1, held[i] do
    times[n] = instant(times[n])
    if not times[n] then
      forget(i)
      return t
    end
  end
  for n = 1, held[i] - rate[i] + 1 do
    local from, to = times[n], times[n + rate[i] - 1]
    if to - from < window and t > to - window and t < from + window then t = from + window end
  end
  return t
end

-- The earliest time that pleases all, and what put it there.
local function earliest()
  local t, limit = now, 0
  if cooldown > t then t, limit = cooldown, 1 end
  if rate[2] > 0 then
    -- The scope's own list: first come, first served, so nothing is granted before what was granted last.
    local later = after_rate(2, max(t, last[2]))
    if later > t then t, limit = later, 2 end
  end
  -- A later time pleases the scope's own list still, but not every other list: ask again until none objects.
  local moved = #KEYS > 2
  while moved do
    moved = false
    for i = 3, #KEYS do
      if rate[i] > 0 then
        local later = gap(i, t)
        if later > t then t, limit, moved = later, i, true end
      end
    end
  end
  return t, limit
end

local function write(i, t)
  local key = KEYS[i]
  if last[i] <= t then
    call('RPUSH', key, t)
    -- Kept until two windows from now, said once in each window: what comes later in the same one needs no more.
    if math.floor(last[i] / window) < math.floor(t / window) then
      call('PEXPIRE', key, math.ceil((t - now + 2 * window) / 1000))
    end
    last[i] = t
  else
    local times, n = call('LRANGE', key, 0, -1), 1
    while (instant(times[n]) or 0) <= t do n = n + 1 end
    call('LINSERT', key, 'BEFORE', times[n], t)
  end
  held[i] = held[i] + 1
  -- What is a window old binds nothing any more.
  if first[i] and first[i] + window <= now then
    call('LTRIM', key, held[i] - rate[i], -1)
    held[i], first[i] = rate[i], nil
  end
end

local function decide(longest)
  if threshold > 0 and state ~= CLOSED and now < ends then return {1, circuit_open()} end
  local t, limit = earliest()
  local wait = t - now
  if wait > longest or cooldown - now > COOLDOWN_LONGEST then
    return {2, wait, limit, limit == 1 and cause_of('w') or ''}
  end
  -- From here on everything is granted, and written.
  for i = 2, #KEYS do
    if rate[i] > 0 then write(i, t) end
  end
  if threshold > 0 then
    if state ~= CLOSED then
      -- Recovery has passed, or the last probe's lease: this is the probe, and its epoch the only one that counts.
      state, ends = HALF_OPEN, t + lease
      call('HSET', KEYS[1], 's', HALF_OPEN, 'e', next_epoch(), 'u', ends)
      return {0, wait, t, epoch, failures, cause_of('k'), since}
    elseif epoch == 0 then
      call('HSET', KEYS[1], 'e', next_epoch())
    end
  end
  return {0, wait, t, threshold > 0 and epoch or 0, failures}
end

local decisions = {}
for n = #KEYS + 6, #ARGV do decisions[#decisions + 1] = decide(tonumber(ARGV[n])) end
renew()
return answer(#decisions, repaired, unpack(decisions))

-- What acquire, confirm and report share: the time, the circuit as it stands, and its repair.
--
-- KEYS[1] is the circuit, a hash. A field that is missing counts as 0:
--   s  0 closed, 1 open, 2 half-open
--   e  epoch: the time of the last change, strictly rising; 0 where nothing is known
--   f  failures in a row, while closed
--   u  open: when a probe may go; half-open: when the probe's lease ends
--   o  when the circuit left closed
--   k  what opened it
--   d  when the cooldown ends
--   w  what set the cooldown
-- Times and durations are microseconds (below 2^53, so that Lua's numbers hold them exactly), but for `keep`.
--
-- ARGV[1..5] of each script: threshold, recovery, lease, keep (milliseconds that an idle scope is remembered beyond
-- what its circuit needs), and the epoch of successes that the worker had not told yet (0: there are none).

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local threshold, recovery, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local keep, told = tonumber(ARGV[4]), tonumber(ARGV[5])
local CLOSED, OPEN, HALF_OPEN = 0, 1, 2

-- Nothing here reaches further than a day ahead. What does, or is no whole number, was not written by these scripts:
-- the key is dropped, which is a loss of state as after a FLUSHALL, and the worker is told, for its log.
local HORIZON = now + 86400 * 1000000
local repaired = ''

local function drop(key)
  redis.call('DEL', key)
  repaired = repaired .. key .. ' '
end

local function instant(text)
  local time = tonumber(text)
  if time and time >= 0 and time <= HORIZON and time == math.floor(time) then return time end
  return nil
end

local state, epoch, failures, ends, since, cooldown = 0, 0, 0, 0, 0, 0

local function read_circuit()
  local raw = redis.pcall('HMGET', KEYS[1], 's', 'e', 'f', 'u', 'o', 'd')
  if raw.err then return false end
  for i = 1, 6 do
    raw[i] = instant(raw[i] or 0)
    if not raw[i] then return false end
  end
  if raw[1] > HALF_OPEN or (raw[2] == 0 and (raw[1] > 0 or raw[3] > 0)) then return false end
  state, epoch, failures, ends, since, cooldown = raw[1], raw[2], raw[3], raw[4], raw[5], raw[6]
  return true
end

if not read_circuit() then drop(KEYS[1]) end

-- Two changes within one microsecond, or a clock that went back after a failover, still get a higher epoch.
local function next_epoch()
  epoch = math.max(now, epoch + 1)
  return epoch
end

local function tell_success(of_epoch)
  if state == CLOSED and failures > 0 and of_epoch == epoch then
    redis.call('HDEL', KEYS[1], 'f')
    failures = 0
  end
end

-- A run of successes resets the count once, so the worker's untold ones need only one epoch. They came before
-- whatever it says now.
if told > 0 and threshold > 0 then tell_success(told) end

-- A circuit that is forgotten is closed: it must outlive its recovery, its probe's lease and its cooldown.
local function renew()
  local needed = math.max(recovery + lease, ends - now) + math.max(cooldown - now, 0)
  redis.call('PEXPIRE', KEYS[1], keep + math.ceil(needed / 1000))
end

-- Closed, as far as an attempt is concerned that asks now: not open, and no probe of someone else's under way.
local function passable()
  return threshold == 0 or state == CLOSED or now >= ends
end

local function circuit_open()
  renew()
  return {1, repaired, ends - now, now - since, redis.call('HGET', KEYS[1], 'k') or ''}
end

-- What acquire, confirm and report share: the time, the circuit as it stands, and its repair.
--
-- KEYS[1] is the circuit, a hash. A field that is missing counts as 0:
--   s  0 closed, 1 open, 2 half-open
--   e  epoch: the time of the last change, strictly rising; 0 where nothing is known
--   f  failures in a row, while closed
--   u  open: when a probe may go; half-open: when the probe's lease ends
--   o  when the circuit left closed, which is also the epoch of that change
--   k  what opened it
--   d  when the cooldown ends
--   w  what set the cooldown
--   x  when the key expires
-- Times and durations are microseconds (below 2^53, so that Lua's numbers hold them exactly), but for `keep`.
--
-- ARGV[1..5] of each script: threshold, recovery, lease, keep (milliseconds that an idle scope is remembered beyond
-- what its circuit needs), and the epoch of successes that the worker had not told yet (0: there are none).

local call, max = redis.call, math.max
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local threshold, recovery, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local keep, told = ARGV[4] * 1000, tonumber(ARGV[5])
local CLOSED, OPEN, HALF_OPEN = 0, 1, 2

-- Nothing here reaches further than a day ahead. What does, or is no whole number, was not written by these scripts:
-- the key is dropped, which is a loss of state as after a FLUSHALL, and the worker is told, for its log.
local HORIZON = now + 86400 * 1000000
local repaired = ''

local function drop(key)
  call('DEL', key)
  repaired = repaired .. key .. ' '
end

local function instant(text)
  local time = tonumber(text)
  if time and time >= 0 and time <= HORIZON and time % 1 == 0 then return time end
  return nil
end

local state, epoch, failures, ends, since, cooldown, expires = 0, 0, 0, 0, 0, 0, 0

local raw = redis.pcall('HMGET', KEYS[1], 's', 'e', 'f', 'u', 'o', 'd', 'x')
local sound = not raw.err
for i = 1, sound and 7 or 0 do
  if raw[i] then
    raw[i] = instant(raw[i])
    sound = sound and raw[i]
  else
    raw[i] = 0
  end
end
if sound and raw[1] <= HALF_OPEN and (raw[2] > 0 or raw[1] + raw[3] == 0) then
  state, epoch, failures, ends, since, cooldown, expires = unpack(raw)
else
  drop(KEYS[1])
end

-- Two changes within one microsecond, or a clock that went back after a failover, still get a higher epoch.
local function next_epoch()
  epoch = max(now, epoch + 1)
  return epoch
end

local function tell_success(of_epoch)
  if state == CLOSED and failures > 0 and of_epoch == epoch then
    call('HDEL', KEYS[1], 'f')
    failures = 0
  end
end

-- A run of successes resets the count once, so the worker's untold ones need only one epoch. They came before
-- whatever it says now.
if told > 0 and threshold > 0 then tell_success(told) end

-- A circuit that is forgotten is closed: it must outlive its recovery, its probe's lease and its cooldown, by `keep`.
-- It is kept for half as long again, so that few calls need to say so.
local function renew()
  if epoch + cooldown == 0 then return end
  local needed = now + keep + max(recovery + lease, ends - now) + max(cooldown - now, 0)
  if expires >= needed then return end
  call('HSET', KEYS[1], 'x', needed + keep / 2)
  call('PEXPIRE', KEYS[1], math.ceil((needed + keep / 2 - now) / 1000))
end

local function cause_of(field)
  local cause = call('HGET', KEYS[1], field) or ''
  return (cause:gsub('[^%w%p ]', '?'))
end

-- Answers are packed: for Redis a list costs as much as the rest of the script.
local function answer(...) return cmsgpack.pack({...}) end

-- Retry after, open for, cause, and the epoch of the change that opened it.
local function circuit_open()
  renew()
  return ends - now, max(now - since, 0), cause_of('k'), since
end

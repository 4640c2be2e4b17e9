-- merge: permits that a worker has granted by itself go into the shared log of their limit.
--
-- KEYS[1] is the log, a list of granted times, ascending.
-- ARGV[1] is the window, ARGV[2..] how long ago each permit was due, negative where it is still to come; all in
-- microseconds. Only durations come in, since no clock counts but Redis's own.
--
-- Answers {length, repaired}.

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local window = tonumber(ARGV[1])
local times, repaired = {}, ''

-- What is older than a window binds nothing any more.
local function take(time)
  if time > now - window then times[#times + 1] = time end
end

local held = redis.pcall('LRANGE', KEYS[1], 0, -1)
for _, text in ipairs(held) do
  local time = tonumber(text)
  if time then take(time) else repaired = KEYS[1] end
end
if held.err then repaired = KEYS[1] end
for i = 2, #ARGV do take(now - ARGV[i]) end

redis.call('DEL', KEYS[1])
if #times == 0 then return cmsgpack.pack({0, repaired}) end
table.sort(times)
for i = 1, #times, 1000 do redis.call('RPUSH', KEYS[1], unpack(times, i, math.min(i + 999, #times))) end
redis.call('PEXPIRE', KEYS[1], math.ceil((times[#times] - now + 2 * window) / 1000))
return cmsgpack.pack({#times, repaired})

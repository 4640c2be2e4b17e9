-- lost: whether workers have gone without Redis lately. What they sent meanwhile the logs may not have yet, and never get
-- from one that was killed; so for a while those that start then hold to their own share as well.
--
-- KEYS[1] is a hash; its field u says until when.
-- ARGV[1] from now on at least so long, in microseconds; 0 only asks.
--
-- Answers {what is left of it, repaired}.

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local hold, repaired = tonumber(ARGV[1]), ''

local ends = redis.pcall('HGET', KEYS[1], 'u')
if ends then
  ends = type(ends) == 'string' and tonumber(ends)
  if not ends or ends ~= ends or ends > now + 86400 * 1000000 then
    redis.call('DEL', KEYS[1])
    ends, repaired = 0, KEYS[1]
  end
else
  ends = 0
end

if hold > 0 and now + hold > ends then
  ends = now + hold
  redis.call('HSET', KEYS[1], 'u', ends)
  redis.call('PEXPIRE', KEYS[1], math.ceil(hold / 1000))
end
return cmsgpack.pack({math.max(ends - now, 0), repaired})

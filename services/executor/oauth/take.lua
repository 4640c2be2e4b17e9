-- What there is for a client: its token, the refusal of its endpoint, or the lock on asking for a token.
-- KEYS: token, refusal, lock, fence. ARGV: id of a token that will not do, oldest generation that will,
-- holder of the lock to be, its lease in ms.
local oldest = tonumber(ARGV[2])
local token = redis.call('GET', KEYS[1])
if token then
  local id, generation = string.match(token, '^(%S+) (%d+) ')
  if id and id ~= ARGV[1] and tonumber(generation) >= oldest then
    return {'token', token, redis.call('PTTL', KEYS[1])}
  end
end
local refusal = redis.call('GET', KEYS[2])
if refusal then
  local generation = string.match(refusal, '^%S+ (%d+) ')
  if generation and tonumber(generation) >= oldest then
    return {'refusal', refusal, redis.call('PTTL', KEYS[2])}
  end
end
-- The holder may ask twice, where its first answer was lost.
if redis.call('SET', KEYS[3], ARGV[3], 'NX', 'PX', ARGV[4]) or redis.call('GET', KEYS[3]) == ARGV[3] then
  local fence = redis.call('INCR', KEYS[4])
  redis.call('PEXPIRE', KEYS[4], 3600000)
  return {'lock', tostring(fence), 0}
end
return {'wait', '', redis.call('PTTL', KEYS[3])}

-- A token that came without the lock, from a new authorization. One of a later generation stays.
-- KEYS: token, refusal. ARGV: generation, token, how long in ms.
local token = redis.call('GET', KEYS[1])
local generation = token and string.match(token, '^%S+ (%d+) ')
if generation and tonumber(generation) > tonumber(ARGV[1]) then
  return {'late', '', 0}
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return {'done', '', 0}

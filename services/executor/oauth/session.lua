-- The next refresh token of a test session, where the one before it is still of the expected generation.
-- KEYS: session token. ARGV: expected generation, sealed token, how long in ms.
local known = redis.call('GET', KEYS[1])
local generation = known and tonumber(string.match(known, '^(%d+) ')) or 0
if generation ~= tonumber(ARGV[1]) then
  return {'late', '', 0}
end
redis.call('SET', KEYS[1], (generation + 1) .. ' ' .. ARGV[2], 'PX', ARGV[3])
return {'done', '', generation + 1}

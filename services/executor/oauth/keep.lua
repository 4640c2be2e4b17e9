-- The lock's holder is still at work.
-- KEYS: lock. ARGV: holder, lease in ms.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return {'late', '', 0}
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'done', '', 0}

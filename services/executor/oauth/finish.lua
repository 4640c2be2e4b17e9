-- The lock's holder leaves a token or a refusal, or nothing, and gives the lock back. A holder that is late, since
-- another one has had the lock after it, changes nothing.
-- KEYS: token, refusal, lock, fence. ARGV: fence, holder, "token" or "refusal" or "", what to leave, how long in ms.
if redis.call('GET', KEYS[4]) ~= ARGV[1] then
  return {'late', '', 0}
end
if ARGV[3] == 'token' then
  redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
  redis.call('DEL', KEYS[2])
elseif ARGV[3] == 'refusal' then
  redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
end
if redis.call('GET', KEYS[3]) == ARGV[2] then
  redis.call('DEL', KEYS[3])
end
return {'done', '', 0}

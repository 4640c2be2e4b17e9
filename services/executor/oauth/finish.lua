-- The lock's holder leaves a token or a refusal, or nothing, and gives the lock back. A holder that is late, since
-- another one has had the lock after it, changes nothing, and a token of a later generation stays.
-- KEYS: token, refusal, lock, fence. ARGV: fence, holder, "token" or "refusal" or "", what to leave, how long in ms,
-- with a refusal the id of a token that is no longer good.
if redis.call('GET', KEYS[4]) ~= ARGV[1] then
  return {'late', '', 0}
end
if ARGV[3] == 'token' then
  local known = string.match(redis.call('GET', KEYS[1]) or '', '^%S+ (%d+) ')
  if not known or tonumber(known) <= tonumber(string.match(ARGV[4], '^%S+ (%d+) ')) then
    redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
  end
  redis.call('DEL', KEYS[2])
elseif ARGV[3] == 'refusal' then
  redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
  if string.match(redis.call('GET', KEYS[1]) or '', '^(%S+) ') == ARGV[6] then
    redis.call('DEL', KEYS[1])
  end
end
if redis.call('GET', KEYS[3]) == ARGV[2] then
  redis.call('DEL', KEYS[3])
end
return {'done', '', 0}

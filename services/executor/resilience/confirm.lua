-- confirm: a permit that was waited for, looked at again just before sending.
--
-- ARGV[6] the decision's epoch, ARGV[7] the permit's time.
--
-- Answers {0, repaired, epoch, probe}                           send, and report with this epoch
--         {1, repaired, retry after, open for, cause, opened}   the circuit has opened meanwhile
--      or {2, repaired}                                         the permit is void: a cooldown reaches past its time.

local mine, permit = tonumber(ARGV[6]), tonumber(ARGV[7])
local probe = threshold > 0 and state == HALF_OPEN and epoch == mine

if not probe and threshold > 0 and state ~= CLOSED then
  -- Recovery may have passed by now, but only acquire makes a probe.
  if now >= ends then ends = now end
  return answer(1, repaired, circuit_open())
end

if cooldown > permit then
  if probe then
    -- The holder comes back for another permit; until then the probe is anyone's.
    ends = now
    call('HSET', KEYS[1], 's', OPEN, 'e', next_epoch(), 'u', ends)
  end
  renew()
  return answer(2, repaired)
end

if threshold > 0 and epoch == 0 then call('HSET', KEYS[1], 'e', next_epoch()) end
renew()
return answer(0, repaired, threshold > 0 and epoch or 0, probe and 1 or 0)

-- report: how an attempt ended.
--
-- ARGV[6] the attempt's epoch, ARGV[7] its outcome ('success', 'failure', 'neutral'; 'reset' is an operator's word),
-- ARGV[8] a cooldown that it set, or 0, ARGV[9] its cause.
--
-- Answers {change, repaired, epoch}, change being 0 none, 1 the circuit opened, 2 it closed.

local mine, outcome, pause, cause = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8]), ARGV[9]
local NONE, OPENED, RESTORED = 0, 1, 2
local change = NONE

local function open()
  state, ends = OPEN, now + recovery
  call('HSET', KEYS[1], 's', OPEN, 'e', next_epoch(), 'u', ends, 'k', cause)
end

local function close()
  state, ends = CLOSED, 0
  call('HDEL', KEYS[1], 's', 'f', 'u', 'o', 'k')
  call('HSET', KEYS[1], 'e', next_epoch())
end

-- The external system's word counts whatever has become of the circuit, and is never shortened.
if pause > 0 and now + pause > cooldown then
  cooldown = now + pause
  call('HSET', KEYS[1], 'd', cooldown, 'w', cause)
end

if outcome == 'reset' then
  if state ~= CLOSED then change = RESTORED end
  if epoch > 0 then close() end
  call('HDEL', KEYS[1], 'd', 'w')
  cooldown = 0
elseif threshold > 0 and epoch > 0 and mine == epoch then
  -- Only reports of the present epoch count: what began before the last change says nothing about now.
  if state == CLOSED and outcome == 'success' then
    tell_success(mine)
  elseif state == CLOSED and outcome == 'failure' then
    failures = failures + 1
    call('HSET', KEYS[1], 'f', failures)
    if failures >= threshold then
      call('HDEL', KEYS[1], 'f')
      open()
      call('HSET', KEYS[1], 'o', epoch)
      change = OPENED
    end
  elseif state == HALF_OPEN and outcome == 'success' then
    close()
    change = RESTORED
  elseif state == HALF_OPEN and outcome == 'failure' then
    open()
  elseif state == HALF_OPEN then
    -- A neutral probe proved nothing: the next acquire may probe at once.
    state, ends = OPEN, now
    call('HSET', KEYS[1], 's', OPEN, 'e', next_epoch(), 'u', ends)
  end
end
renew()
return answer(change, repaired, epoch)

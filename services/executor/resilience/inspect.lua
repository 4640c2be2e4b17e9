-- inspect: how a scope stands, for people. It changes nothing, but for the repair of what no worker has written.
--
-- KEYS[2..] are lists of permits, ARGV[6] is the window.
--
-- Answers {state, repaired, failures, open since, open or leased for, cause, cooldown, its cause, used, waiting, …}:
-- for each list how many permits have been granted since a window ago, and how many of these are still to come.

local window = tonumber(ARGV[6])

-- How many permits of an ascending list are later than `t`: by halving, since a list may be long.
local function later_than(key, held, t)
  local low, high = 0, held
  while low < high do
    local middle = math.floor((low + high) / 2)
    if (instant(redis.call('LINDEX', key, middle)) or 0) > t then high = middle else low = middle + 1 end
  end
  return held - low
end

local left = state == CLOSED and 0 or math.max(ends - now, 0)
local answers = {
  state, repaired, failures, state == CLOSED and 0 or max(now - since, 0), left, cause_of('k'),
  math.max(cooldown - now, 0), cause_of('w'),
}
for i = 2, #KEYS do
  local held = redis.pcall('LLEN', KEYS[i])
  if type(held) ~= 'number' then
    drop(KEYS[i])
    held = 0
  end
  answers[#answers + 1] = later_than(KEYS[i], held, now - window)
  answers[#answers + 1] = later_than(KEYS[i], held, now)
end
answers[2] = repaired
return answer(unpack(answers))

-- Reserves whole relays of a budget. KEYS: consumed. ARGV: limit, cost, want, ttl in s
local consumed = tonumber(redis.call('GET', KEYS[1]) or '0')
local limit, cost, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local room = limit - consumed
local granted = 0
if room >= cost then
  granted = want
  if granted > room then granted = room - room % math.max(cost, 1) end
end
if granted > 0 or cost == 0 then
  consumed = redis.call('INCRBY', KEYS[1], string.format('%.0f', granted))
  redis.call('EXPIRE', KEYS[1], ARGV[4])
end
return {granted, consumed}

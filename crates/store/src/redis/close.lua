-- Closes a supplier's log to relays of sessions that end at this height or before.
-- KEYS: closed, epoch. ARGV: epoch, end
local epoch = redis.call('GET', KEYS[2]) or '0'
if epoch ~= ARGV[1] then return {'fenced', epoch} end
redis.call('SET', KEYS[1], ARGV[2])
return {'ok'}

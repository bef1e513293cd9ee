-- Raises counters once, however often the same call comes. KEYS: ledger, writers. ARGV: writer, call, (counter, by)*
local last = redis.call('HGET', KEYS[2], ARGV[1])
if last == ARGV[2] then return {'ok'} end
for i = 3, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], 86400)
return {'ok'}

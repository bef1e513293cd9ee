-- Appends relays to a supplier's stream once, however often the same batch comes.
-- KEYS: stream, ledger, writers. ARGV: writer, batch, served, unspooled, data...
local last = redis.call('HGET', KEYS[3], ARGV[1])
if last then
  local batch, ids = string.match(last, '^(%d+):(.*)$')
  if batch == ARGV[2] then return ids end
end
local ids = {}
for i = 5, #ARGV do ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', 'data', ARGV[i]) end
redis.call('HINCRBY', KEYS[2], 'logged', #ids)
if ARGV[3] ~= '0' then redis.call('HINCRBY', KEYS[2], 'served', ARGV[3]) end
if ARGV[4] ~= '0' then redis.call('HINCRBY', KEYS[2], 'spooled', -tonumber(ARGV[4])) end
local joined = table.concat(ids, ',')
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2] .. ':' .. joined)
redis.call('EXPIRE', KEYS[3], 86400)
return joined

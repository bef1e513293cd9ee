-- Appends relays to a supplier's stream once, however often the same batch comes.
-- A relay of a session that is closed is refused, and '-' stands in the place of its id.
-- KEYS: stream, ledger, writers, closed. ARGV: writer, batch, (end of the session, 0 to append in any case; data)*
local last = redis.call('HGET', KEYS[3], ARGV[1])
if last then
  local batch, ids = string.match(last, '^(%d+):(.*)$')
  if batch == ARGV[2] then return ids end
end
local closed = tonumber(redis.call('GET', KEYS[4]) or '0')
local ids, logged = {}, 0
for i = 3, #ARGV, 2 do
  local ends = tonumber(ARGV[i])
  if ends > 0 and ends <= closed then
    ids[#ids + 1] = '-'
  else
    ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', 'data', ARGV[i + 1])
    logged = logged + 1
  end
end
if logged > 0 then
  redis.call('HINCRBY', KEYS[2], 'logged', logged)
  redis.call('HINCRBY', KEYS[2], 'served', logged)
end
local joined = table.concat(ids, ',')
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2] .. ':' .. joined)
redis.call('EXPIRE', KEYS[3], 86400)
return joined

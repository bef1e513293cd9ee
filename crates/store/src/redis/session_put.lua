-- Writes a session's record if its writer owns the supplier and has seen the last one.
-- KEYS: session, sessions, ledger, epoch. ARGV: epoch, expected revision, sealed, record, session id, (counter, by)*
local epoch = redis.call('GET', KEYS[4]) or '0'
if epoch ~= ARGV[1] then return {'fenced', epoch} end
local revision = redis.call('HGET', KEYS[1], 'revision') or '0'
if revision ~= ARGV[2] then
  -- The same write once more, its answer lost: the record is as it would be.
  if tonumber(revision) == tonumber(ARGV[2]) + 1 and redis.call('HGET', KEYS[1], 'record') == ARGV[4] then
    return {'ok', revision}
  end
  return {'conflict', revision}
end
local next = string.format('%.0f', tonumber(revision) + 1)
redis.call('HSET', KEYS[1], 'revision', next, 'sealed', ARGV[3], 'record', ARGV[4])
redis.call('SADD', KEYS[2], ARGV[5])
for i = 6, #ARGV, 2 do redis.call('HINCRBY', KEYS[3], ARGV[i], ARGV[i + 1]) end
return {'ok', next}

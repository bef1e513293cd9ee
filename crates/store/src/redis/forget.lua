-- Deletes all of a session. KEYS: session, sessions, leaf, bytes, epoch. ARGV: epoch, session id
local epoch = redis.call('GET', KEYS[5]) or '0'
if epoch ~= ARGV[1] then return {'fenced', epoch} end
redis.call('SREM', KEYS[2], ARGV[2])
redis.call('UNLINK', KEYS[1], KEYS[3], KEYS[4])
return {'ok'}

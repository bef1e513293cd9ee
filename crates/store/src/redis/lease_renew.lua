-- KEYS: lease, epoch. ARGV: holder, epoch, ttl in ms
local epoch = redis.call('GET', KEYS[2]) or '0'
local holder = redis.call('GET', KEYS[1])
if epoch ~= ARGV[2] or (holder and holder ~= ARGV[1]) then return {'lost', epoch} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return {'ok'}

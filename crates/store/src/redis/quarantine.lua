-- Moves an entry to the quarantine. KEYS: stream, quarantine, ledger, epoch. ARGV: group, epoch, entry, reason, note, max
local epoch = redis.call('GET', KEYS[4]) or '0'
if epoch ~= ARGV[2] then return {'fenced', epoch} end
local entry = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1]
-- Acknowledged in any case: an entry that is listed as pending but was trimmed would come for ever.
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
if not entry then return {'ok'} end
redis.call('XDEL', KEYS[1], ARGV[3])
local fields = {'entry', ARGV[3], 'reason', ARGV[4], 'note', ARGV[5]}
for i = 1, #entry[2] do fields[#fields + 1] = entry[2][i] end
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[6], '*', unpack(fields))
redis.call('HINCRBY', KEYS[3], 'rejected', 1)
redis.call('HINCRBY', KEYS[3], 'rejected.' .. ARGV[4], 1)
return {'ok'}

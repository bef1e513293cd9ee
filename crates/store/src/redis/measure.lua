-- Reads one supplier's counters, log and sessions at one moment.
-- KEYS: stream, ledger, sessions. ARGV: prefix of session keys, prefix of leaf keys
local sessions = {}
for _, id in ipairs(redis.call('SMEMBERS', KEYS[3])) do
  local record = redis.call('HMGET', ARGV[1] .. id, 'record', 'revision')
  if record[1] then
    sessions[#sessions + 1] = {record[1], record[2], redis.call('HLEN', ARGV[2] .. id)}
  end
end
return {redis.call('HGETALL', KEYS[2]), redis.call('XLEN', KEYS[1]), sessions}

-- Reads one supplier's counters, log and sessions at one moment.
-- KEYS: stream, ledger, sessions. ARGV: prefix of session keys, prefix of leaf keys
local sessions = {}
for _, id in ipairs(redis.call('SMEMBERS', KEYS[3])) do
  local record = redis.call('HMGET', ARGV[1] .. id, 'record', 'revision')
  if record[1] then
    sessions[#sessions + 1] = {record[1], record[2], redis.call('HLEN', ARGV[2] .. id)}
  end
end
-- How many entries were ever added, by whoever: a server before 7.0 does not know.
local added = false
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
for i = 1, info.err and 0 or #info, 2 do
  if info[i] == 'entries-added' then added = info[i + 1] end
end
return {redis.call('HGETALL', KEYS[2]), redis.call('XLEN', KEYS[1]), sessions, added}

-- Adds leaves, acknowledges their entries and rejected ones, and counts, in one step.
-- KEYS: stream, leaf, bytes, session, sessions, ledger, epoch.
-- ARGV: group, epoch, session id, fresh record, leaves n, (path, packed, entry)*n, rejected m, (entry, reason)*m
local epoch = redis.call('GET', KEYS[7]) or '0'
if epoch ~= ARGV[2] then return {'fenced', epoch} end
local n = tonumber(ARGV[5])
if n > 0 and redis.call('HGET', KEYS[4], 'sealed') == '1' then return {'sealed'} end
if redis.call('EXISTS', KEYS[4]) == 0 then
  redis.call('HSET', KEYS[4], 'revision', 1, 'sealed', 0, 'record', ARGV[4])
  redis.call('SADD', KEYS[5], ARGV[3])
end
-- Lua passes some thousands of arguments at most.
local function chunks(list, size, call)
  for first = 1, #list, size do
    call(unpack(list, first, math.min(first + size - 1, #list)))
  end
end
local paths = {}
for i = 0, n - 1 do paths[#paths + 1] = ARGV[6 + i * 3] end
local present = {}
local at = 0
chunks(paths, 1000, function(...)
  local found = redis.call('HMGET', KEYS[2], ...)
  for i = 1, #found do
    if found[i] then present[paths[at + i]] = true end
  end
  at = at + #found
end)
local done, acks, leaves, bytes, statuses = {}, {}, {}, {}, {}
local new, collapsed = 0, 0
for i = 0, n - 1 do
  local path, packed, id = ARGV[6 + i * 3], ARGV[7 + i * 3], ARGV[8 + i * 3]
  local entry = nil
  if not done[id] then entry = redis.call('XRANGE', KEYS[1], id, id)[1] end
  if entry then
    done[id] = true
    acks[#acks + 1] = id
    if present[path] then
      collapsed = collapsed + 1
      statuses[#statuses + 1] = 'c'
    else
      present[path] = true
      new = new + 1
      statuses[#statuses + 1] = 'n'
      leaves[#leaves + 1] = path
      leaves[#leaves + 1] = packed
      local data = ''
      for f = 1, #entry[2], 2 do
        if entry[2][f] == 'data' then data = entry[2][f + 1] end
      end
      bytes[#bytes + 1] = path
      bytes[#bytes + 1] = data
    end
  elseif present[path] then
    statuses[#statuses + 1] = 'r'
  else
    statuses[#statuses + 1] = 'm'
  end
end
local rejected = 0
local from = 6 + n * 3
for i = 0, tonumber(ARGV[from]) - 1 do
  local id, reason = ARGV[from + 1 + i * 2], ARGV[from + 2 + i * 2]
  if not done[id] and redis.call('XRANGE', KEYS[1], id, id)[1] then
    done[id] = true
    acks[#acks + 1] = id
    rejected = rejected + 1
    redis.call('HINCRBY', KEYS[6], 'rejected', 1)
    redis.call('HINCRBY', KEYS[6], 'rejected.' .. reason, 1)
  end
end
chunks(leaves, 2000, function(...) redis.call('HSET', KEYS[2], ...) end)
chunks(bytes, 2000, function(...) redis.call('HSET', KEYS[3], ...) end)
chunks(acks, 1000, function(...)
  redis.call('XACK', KEYS[1], ARGV[1], ...)
  redis.call('XDEL', KEYS[1], ...)
end)
if new > 0 then redis.call('HINCRBY', KEYS[6], 'leaves', new) end
if collapsed > 0 then redis.call('HINCRBY', KEYS[6], 'collapsed', collapsed) end
-- A Go relayer lets its stream expire; what is not yet mined must not.
redis.call('PERSIST', KEYS[1])
return {'ok', table.concat(statuses), tostring(rejected), tostring(redis.call('HLEN', KEYS[2]))}

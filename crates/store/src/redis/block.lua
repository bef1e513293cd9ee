-- Keeps the highest block. KEYS: last block. ARGV: height, block
local last = redis.call('GET', KEYS[1])
if last then
  local height = string.match(last, '"height":(%d+)')
  if height and tonumber(height) > tonumber(ARGV[1]) then return {'ok'} end
end
redis.call('SET', KEYS[1], ARGV[2])
return {'ok'}

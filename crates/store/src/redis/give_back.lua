-- Returns an unspent reservation. KEYS: consumed. ARGV: unspent
if redis.call('EXISTS', KEYS[1]) == 1 then
  if redis.call('DECRBY', KEYS[1], ARGV[1]) < 0 then redis.call('SET', KEYS[1], '0', 'KEEPTTL') end
end
return {'ok'}

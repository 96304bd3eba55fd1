-- Limits, customers and aliases of a partition, in chunks; the last one makes the revision hold.
-- KEYS: 1 the partition's hash  2 the partition's configured customers  then the totals of customers and aliases
-- ARGV: 1 the writer's version  2 its sequence  3 revision in the last call, else ""  4 scales  5 customers
--       then for each customer: its id, limits or "", the customer it is an alias of or ""
--       then in the last call: field, value, ... of the partition's hash
-- Answers {"ok"}, {"behind", version held or ""} or {"fenced", version of the newer writer}. Only "ok" has changed
-- anything.
local status, configured = KEYS[1], KEYS[2]
local held = redis.call('HMGET', status, 'w', 'v', 'q')
local writer = held[1] or held[2]
if writer and tonumber(writer) > tonumber(ARGV[1]) then
  return {'fenced', writer}
end
if held[3] ~= ARGV[2] then
  return {'behind', held[2] or ''}
end
local at = 6
for i = 1, tonumber(ARGV[5]) do
  local totals, customer, limits, alias_of = KEYS[2 + i], ARGV[at], ARGV[at + 1], ARGV[at + 2]
  at = at + 3
  if limits == '' then redis.call('HDEL', totals, ':l') else redis.call('HSET', totals, ':l', limits) end
  if alias_of == '' then redis.call('HDEL', totals, ':a') else redis.call('HSET', totals, ':a', alias_of) end
  if limits == '' and alias_of == '' then
    redis.call('SREM', configured, customer)
  else
    redis.call('SADD', configured, customer)
  end
end
if ARGV[3] ~= '' then
  for _, field in ipairs(redis.call('HKEYS', status)) do
    if string.find(field, '^[LC]:') then
      redis.call('HDEL', status, field)
    end
  end
  -- Amounts scaled by other decimals would be misread: until all is published anew, the totals are not complete.
  local scales = redis.call('HGET', status, 'd')
  if scales and scales ~= ARGV[4] then
    redis.call('HDEL', status, 'c', 'v', 'f')
  end
  redis.call('HSET', status, 'w', ARGV[1], 'r', ARGV[3], 'd', ARGV[4])
  for i = at, #ARGV, 1000 do
    redis.call('HSET', status, unpack(ARGV, i, math.min(i + 999, #ARGV)))
  end
end
return {'ok'}

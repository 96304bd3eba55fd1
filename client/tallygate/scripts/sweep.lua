-- Holds of one customer that have lapsed, and settled ids whose time is over, are forgotten. Goes after holds.lua.
-- KEYS: 1 the partition's hash  2 the partition's due customers  3 the customer's holds  4 its deadlines
-- ARGV: 1 the customer  2 how many at most
-- Answers how many were forgotten.
local fresh = redis.call('HGET', KEYS[1], 'f')
if not fresh or redis.call('HGET', KEYS[1], 'c') ~= '1' then
  return 0
end
local ids = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', fresh, 'LIMIT', 0, tonumber(ARGV[2]))
for _, id in ipairs(ids) do
  forget(KEYS[3], KEYS[4], id)
end
keep_due(KEYS[2], KEYS[3], KEYS[4], ARGV[1])
return #ids

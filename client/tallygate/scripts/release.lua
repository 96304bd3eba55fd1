-- Gives a hold back. Goes after holds.lua.
-- KEYS: 1 the partition's hash  2 the customer's totals  3 its holds  4 its deadlines  5 the partition's due customers
-- ARGV: 1 layout version  2 partitions  3 the customer  4 the hold's id
-- Answers one text of lines: "answer", "1" if it was there else "0", "ok" or "settled" or "unknown"; or as gate.lua
-- does: "layout", version, partitions; "alias", the customer's id; "missing" where Redis holds nothing of this partition.
local status = redis.call('HMGET', KEYS[1], 'y', 'n', 'f', 'c')
if not status[1] then
  return 'missing'
end
if status[1] ~= ARGV[1] or status[2] ~= ARGV[2] then
  return 'layout\n' .. status[1] .. '\n' .. status[2]
end
local alias_of = redis.call('HGET', KEYS[2], ':a')
if alias_of then
  return 'alias\n' .. alias_of
end
local hold = redis.call('HGET', KEYS[3], '#' .. ARGV[4])
if hold == 'S' then
  return 'answer\n0\nsettled'
end
if not hold then
  return 'answer\n0\nunknown'
end
local deadline = redis.call('ZSCORE', KEYS[4], ARGV[4])
local lapsed = status[3] and status[4] == '1' and tonumber(deadline) <= tonumber(status[3])
forget(KEYS[3], KEYS[4], ARGV[4])
keep_due(KEYS[5], KEYS[3], KEYS[4], ARGV[3])
if lapsed then
  return 'answer\n0\nunknown'
end
return 'answer\n1\nok'

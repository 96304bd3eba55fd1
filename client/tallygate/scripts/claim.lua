-- A writer begins: nothing older than it can write from now on.
-- KEYS: 1 the partition's hash
-- ARGV: 1 layout version  2 partitions  3 the writer's version  4 the least sequence to give  5 its address
-- Answers {"ok", version held or "", sequence, revision or "", scales or "", now in microseconds} or
-- {"fenced", version of the newer writer}. Only "ok" has changed anything.
local status = KEYS[1]
local held = redis.call('HMGET', status, 'w', 'v', 'q', 'r', 'd', 'y', 'n')
local writer = held[1] or held[2]
if writer and tonumber(writer) > tonumber(ARGV[3]) then
  return {'fenced', writer}
end
-- Totals of another layout, or spread over another number of partitions, are no totals of ours.
if held[6] and (held[6] ~= ARGV[1] or held[7] ~= ARGV[2]) then
  redis.call('DEL', status)
  held = {}
end
local sequence = math.max(tonumber(held[3] or 0), tonumber(ARGV[4])) + 1
local text = string.format('%.0f', sequence)
redis.call('HSET', status, 'y', ARGV[1], 'n', ARGV[2], 'w', ARGV[3], 'q', text, 'a', ARGV[5])
local time = redis.call('TIME')
return {'ok', held[2] or '', text, held[4] or '', held[5] or '', string.format('%.0f', time[1] * 1000000 + time[2])}

-- A writer's heartbeat: is all still as it left it? Sets the freshness, and fields of its own (calendars).
-- KEYS: 1 the partition's hash  2 the partition's due customers
-- ARGV: 1 the writer's version  2 its sequence  3 fresh-as-of in microseconds, or ""  then field, value, ...
-- Answers {"ok", now in microseconds, fresh-as-of or "", customer whose holds may have lapsed, ...},
-- {"behind", version held or ""} or {"fenced", version of the newer writer}. Only "ok" has changed anything.
local status = KEYS[1]
local held = redis.call('HMGET', status, 'w', 'v', 'q', 'c', 'f')
local writer = held[1] or held[2]
if writer and tonumber(writer) > tonumber(ARGV[1]) then
  return {'fenced', writer}
end
if held[3] ~= ARGV[2] then
  return {'behind', held[2] or ''}
end
local fresh = held[5]
-- Before the totals are complete they are fresh as of no moment.
if ARGV[3] ~= '' and held[4] == '1' then
  fresh = ARGV[3]
  redis.call('HSET', status, 'w', ARGV[1], 'f', fresh)
end
for i = 4, #ARGV, 1000 do
  redis.call('HSET', status, unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local answer = {'ok', now, fresh or ''}
if fresh then
  local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', fresh, 'LIMIT', 0, 50)
  for i = 1, #due do
    answer[3 + i] = due[i]
  end
end
return answer

-- Totals of many customers, each whole or not at all, with the reservations that they settle. Goes after holds.lua.
-- KEYS: 1 the partition's hash  2 the partition's due customers  then for each customer: its totals, and where it
--       settles any: its holds, its deadlines
-- ARGV: 1 the writer's version  2 the sequence that it left  3 the sequence to leave
--       4 version held from then on, in the last call of a publication that leaves nothing out, else ""
--       5 source position then  6 fresh-as-of then, in microseconds, or ""
--       7 how long a settled id is remembered, in microseconds
--       8 MessagePack: a list of customers: [version, position, whether these are all its fields,
--         [field, value, ...], [field to delete, ...]], and where it settles any: [id, ...], customer
-- Answers {"ok", customers that were older, reservations whose hold had lapsed or was not there}, {"behind", version
-- held or ""} or {"fenced", version of the newer writer}. Only "ok" has changed anything. Repeating a call that came through answers "ok" and changes nothing.
local status = KEYS[1]
local held = redis.call('HMGET', status, 'w', 'v', 'q', 'f', 'c')
local writer = held[1] or held[2]
if writer and tonumber(writer) > tonumber(ARGV[1]) then
  return {'fenced', writer}
end
if held[3] == ARGV[3] then
  return {'ok', '0', '0'}
end
if held[3] ~= ARGV[2] then
  return {'behind', held[2] or ''}
end

local BATCH = 1000 -- values in one command: unpack overflows Lua's stack beyond some thousands

local function in_batches(command, key, values)
  for i = 1, #values, BATCH do
    redis.call(command, key, unpack(values, i, math.min(i + BATCH - 1, #values)))
  end
end

local fresh = held[5] == '1' and tonumber(held[4])
local forgotten
local overdue = 0 -- places that were given to others before their events came
local function settle(holds, deadlines, ids, customer)
  if not forgotten then
    local time = redis.call('TIME')
    forgotten = string.format('%.0f', time[1] * 1000000 + time[2] + ARGV[7])
  end
  for _, id in ipairs(ids) do
    local field = '#' .. id
    local hold = redis.call('HGET', holds, field)
    if hold and hold ~= 'S' then
      give_back(holds, hold)
    end
    if not hold or (hold ~= 'S' and fresh and tonumber(redis.call('ZSCORE', deadlines, id)) <= fresh) then
      overdue = overdue + 1
    end
    redis.call('HSET', holds, field, 'S')
    redis.call('ZADD', deadlines, forgotten, id)
  end
  keep_due(KEYS[2], holds, deadlines, customer)
end

local key, older = 3, 0
for _, customer in ipairs(cmsgpack.unpack(ARGV[8])) do
  local totals = KEYS[key]
  key = key + 1
  local version, whole, sets, dels, ids = customer[1], customer[3], customer[4], customer[5], customer[6]
  local known = redis.call('HMGET', totals, ':v', ':l', ':a')
  if known[1] and tonumber(known[1]) >= tonumber(version) then
    older = older + 1
  else
    if whole then
      redis.call('DEL', totals)
      if known[2] then redis.call('HSET', totals, ':l', known[2]) end
      if known[3] then redis.call('HSET', totals, ':a', known[3]) end
    end
    redis.call('HSET', totals, ':v', version, ':o', customer[2])
    in_batches('HSET', totals, sets)
    in_batches('HDEL', totals, dels)
    -- Nothing left to show: a customer who is not there has no totals, and costs nothing.
    if (whole or #sets == 0) and redis.call('HLEN', totals) == 2 then
      redis.call('DEL', totals)
    end
    if ids then
      settle(KEYS[key], KEYS[key + 1], ids, customer[7])
    end
  end
  if ids then
    key = key + 2
  end
end

redis.call('HSET', status, 'w', ARGV[1], 'q', ARGV[3])
if ARGV[4] ~= '' then
  redis.call('HSET', status, 'v', ARGV[4], 'o', ARGV[5], 'c', '1')
  if ARGV[6] ~= '' then
    redis.call('HSET', status, 'f', ARGV[6])
  end
end
return {'ok', tostring(older), tostring(overdue)}

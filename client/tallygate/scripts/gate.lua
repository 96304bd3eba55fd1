-- Check and reserve: does every limit that applies to any line of the request allow it? Goes after holds.lua.
-- KEYS: 1 the partition's hash  2 the customer's totals  3 its holds  4 its deadlines  5 the partition's due customers
-- ARGV: 1 "check", which changes nothing, or "reserve"  2 layout version  3 partitions  4 the customer
--       5 the staleness allowed, in microseconds, or "" for each limit's own  6 the hold's id, "" to check
--       7 its time to live in microseconds, "" to check
--       then for each line: metric, group as compact JSON with sorted keys or "", cost as a plain decimal from 0 up
-- Answers one text of lines, since a list of texts takes a client longer to read than the request to decide: "answer"
--       or "missing", "1" if allowed else "0", reason, metric, used, reserved, limit, remaining, window, its end in
--       seconds, warnings with spaces between, fresh-as-of in microseconds, now in microseconds, the time for the event
--       in microseconds, each empty where there is none; "missing" says that Redis holds nothing of this partition, so
--       that the number of partitions may be another.
-- Or, having changed nothing: "layout", version, partitions where the caller's are wrong; "alias", the customer's id to
--       call again with it; "other_lines" where the hold has other lines; "wrong_group", metric where a group does not
--       name the metric's properties.
local op = ARGV[1]
local MOST = 9007199254740991
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local now_text = time[1] .. string.sub('00000' .. time[2], -6)
local second = tonumber(time[1])

-- An integer of up to 53 bits as text; %d is three times as fast, but takes 32 bits on some machines.
local function int(number)
  return string.format(number < 2147483648 and number > -2147483648 and '%d' or '%.0f', number)
end

-- 1. What stands in the partition's hash.
local fields = {'y', 'n', 'f', 'c', 'r', 'L:' .. ARGV[8]}
for i = 11, #ARGV, 3 do
  fields[#fields + 1] = 'L:' .. ARGV[i]
end
local status = redis.call('HMGET', KEYS[1], unpack(fields))
local fresh, complete, revision = status[3] and tonumber(status[3]), status[4] == '1', status[5]

local function answer(word, allowed, reason, metric, about, at)
  return word .. (allowed and '\n1\n' or '\n0\n') .. reason .. '\n' .. metric .. (about or '\n\n\n\n\n\n\n') .. '\n'
    .. (status[3] or '') .. '\n' .. now_text .. '\n' .. (at or '')
end
if not status[1] then
  return answer('missing', false, 'stale', ARGV[8])
end
if status[1] ~= ARGV[2] or status[2] ~= ARGV[3] then
  return 'layout\n' .. status[1] .. '\n' .. status[2]
end

-- 2. What stands in the customer's hash. Each total that a line touches is a target: the metric's overall one, and its
-- group's.
local targets, target_of, wanted = {}, {}, {':a', ':l'}
local function target(name, metric, group)
  if not target_of[name] then
    wanted[#wanted + 1] = name
    target_of[name] = {name = name, metric = metric, group = group, cost = 0, at = #wanted}
    targets[#targets + 1] = target_of[name]
  end
end
for i = 8, #ARGV, 3 do
  target(ARGV[i], ARGV[i], false)
  if ARGV[i + 1] ~= '' then
    target(ARGV[i] .. ARGV[i + 1], ARGV[i], ARGV[i + 1])
  end
end
local totals = redis.call('HMGET', KEYS[2], unpack(wanted))
if totals[1] then
  return 'alias\n' .. totals[1]
end
if not revision then
  return answer('answer', false, 'stale', ARGV[8]) -- limits are not there yet
end
local own = totals[2] and cjson.decode(totals[2])
local stamp = revision .. (own and own.r or '')

-- An amount written as a plain decimal, scaled and rounded up.
local function scaled(text, decimals)
  if decimals == 0 and #text < 16 and not string.find(text, '.', 1, true) then
    return tonumber(text)
  end
  local whole, rest = string.match(text, '^(%d+)%.?(%d*)$')
  local digits = whole .. string.sub(rest .. string.rep('0', decimals), 1, decimals)
  digits = string.gsub(digits, '^0+', '')
  if #digits > 16 then
    return MOST
  end
  local amount = tonumber(digits == '' and '0' or digits)
  if string.find(rest, '[1-9]', decimals + 1) then
    amount = amount + 1
  end
  return math.min(amount, MOST)
end

local metrics = {}
for i = 8, #ARGV, 3 do
  local name, group = ARGV[i], ARGV[i + 1]
  local metric = metrics[name]
  if not metric then
    local text = status[6 + (i - 8) / 3]
    if not text then
      return answer('answer', false, 'unknown_metric', name)
    end
    metric = cjson.decode(text)
    metrics[name] = metric
  end
  local cost = scaled(ARGV[i + 2], metric.d)
  local overall = target_of[name]
  overall.cost = overall.cost + cost
  if group ~= '' then
    local properties, count = cjson.decode(group), 0
    for _ in pairs(properties) do
      count = count + 1
    end
    for _, property in ipairs(metric.b) do
      count = count - (properties[property] == nil and MOST or 1)
    end
    if count ~= 0 then
      return 'wrong_group\n' .. name
    end
    local grouped = target_of[name .. group]
    grouped.cost = grouped.cost + cost
  end
end

-- The limits of a metric's overall total (group false) or of a group: the customer's for a window, else the one for all.
local function limits_of(name, metric, group)
  local mine, shared = own and own.m and own.m[name], metric
  if group then
    mine, shared = mine and mine.g and mine.g[group], shared.g and shared.g[group]
  else
    mine, shared = mine and mine.o, shared.o
  end
  if not mine or not shared then
    return mine or shared or {}
  end
  local found = {unpack(mine)}
  for _, limit in ipairs(shared) do
    local taken = false
    for i = 1, #mine do
      taken = taken or mine[i].w == limit.w
    end
    if not taken then
      found[#found + 1] = limit
    end
  end
  return found
end

-- 3. The window of a kind that holds an instant: its start and its end, both as text, and the amount that a total
-- has there: that of its entry, 0 where it has none, nil where it does not say it for the gate. A total is compact
-- JSON, see docs/redis.md; only the entries of the kind are read.
local calendar
local function window_at(kind, seconds, row)
  local known = not row or string.sub(row, 1, 6) == '{"w":{'
  local from = row and string.find(row, '"' .. kind .. '":[[', 1, true)
  if kind == 'total' then
    local amount = from and string.match(row, '^%[%[null,null,"[^"]*",%d+,"([^"]*)"', from + 8)
    if from then
      return '0', nil, tonumber(amount)
    end
    return '0', nil, known and 0 or nil
  end
  if from then
    local at = from + #kind + 3
    while true do
      local _, last, start, stop, amount = string.find(row, '^.%[(-?%d+),(-?%d+),"[^"]*",%d+,"([^"]*)"[^%]]*%]', at)
      if not last then
        break
      end
      if tonumber(start) <= seconds and seconds < tonumber(stop) then
        return start, stop, tonumber(amount)
      end
      at = last + 1
    end
    known = known and string.sub(row, at, at) == ']' -- all entries were read
  end
  if not calendar then
    local text = redis.call('HGET', KEYS[1], 'C:' .. (own and own.z or ''))
    calendar = text and cjson.decode(text) or {}
  end
  for _, span in ipairs(calendar[kind] or {}) do
    if span[1] <= seconds and seconds < span[2] then
      local start = span[1] + math.floor((seconds - span[1]) / span[3]) * span[3]
      return int(start), int(math.min(start + span[3], span[2])), known and 0 or nil
    end
  end
  return nil
end

local function sum_at(kind, start, name)
  return '=' .. (kind == '' and 'g' or string.sub(kind, 1, 2) .. start) .. ' ' .. name
end

-- 4. What is used, of each limit; and the sum of what is held there. Where a total does not say what the gate can
-- count, the limit has no sum: nothing is known, and that is no zero. The tables are made with all their fields, for
-- Lua moves a table to a larger one each time that it is full.
local limits, names = {}, {'r', '#' .. ARGV[6], nil, nil}
for _, each in ipairs(targets) do
  local metric = metrics[each.metric]
  local row = totals[each.at]
  for _, limit in ipairs(limits_of(each.metric, metric, each.group)) do
    local found = {
      limit = limit, target = each, decimals = metric.d, used = false, stop = false, sum = false, shown = 0,
      reserved = 0, cost = 0, reason = false, refuses = false, remaining = 0, rank = 0,
    }
    local start
    if metric.k == 'g' then
      start = '0'
      found.used = metric.i
      if row then
        found.used = tonumber(string.match(row, '"ss":"([^"]*)"') or '')
      end
    else
      start, found.stop, found.used = window_at(limit.w, second, row)
    end
    if start and found.used then
      found.sum = sum_at(limit.w, start, each.name)
      names[#names + 1] = found.sum
    end
    limits[#limits + 1] = found
  end
end

-- 5. What is held. Holds whose deadline the totals have passed are no longer there.
local held = redis.call('HMGET', KEYS[3], unpack(names))
local lapsed
if fresh and complete and (held[1] or held[2]) then
  local ids = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', status[3], 'LIMIT', 0, 1000)
  if ids[1] and op == 'reserve' then
    for _, id in ipairs(ids) do
      forget(KEYS[3], KEYS[4], id)
    end
    held = redis.call('HMGET', KEYS[3], unpack(names))
  elseif ids[1] then
    lapsed = {}
    for _, id in ipairs(ids) do
      lapsed[id] = true
    end
  end
end
local stamped, already = held[1], held[2]
local sums = {}
if stamped == stamp then
  for i = 3, #names do
    sums[names[i]] = tonumber(held[i] or 0)
  end
  for id in pairs(lapsed or {}) do
    local hold = redis.call('HGET', KEYS[3], '#' .. id)
    if hold and hold ~= 'S' then
      read_hold(hold, nil, function(sum, amount)
        if sums[sum] then
          sums[sum] = sums[sum] - amount
        end
      end)
    end
  end
end

-- One line of a hold, with the windows in which it counts: those of the request, or, with `seconds`, those that held
-- this instant. Made only where a hold is written: a function takes time to make.
local line_of
if op == 'reserve' or stamped and stamped ~= stamp then
  local sum_of = {}
  for _, found in ipairs(limits) do
    if found.sum then
      sum_of[found.target.name .. ' ' .. found.limit.w] = found.sum
    end
  end
  line_of = function(field, name, cost, seconds, add)
    local metric = metrics[name]
    if metric == nil then
      local text = redis.call('HGET', KEYS[1], 'L:' .. name)
      metric = text and cjson.decode(text) or false
      metrics[name] = metric
    end
    local text = '\n' .. field .. ' ' .. cost
    if not metric then
      return text -- no metric any more
    end
    local amount = int(scaled(cost, metric.d))
    local tail = amount == cost and '' or ' ' .. amount
    local function count(mark, total, group)
      for _, limit in ipairs(limits_of(name, metric, group)) do
        local sum = not seconds and sum_of[total .. ' ' .. limit.w]
        if seconds then
          -- Of an instant that the calendar does not know any more, it counts in the window of now: too much, not too
          -- little.
          local start = metric.k == 'g' and '0' or window_at(limit.w, seconds) or window_at(limit.w, second)
          sum = start and sum_at(limit.w, start, total)
        end
        if sum and amount ~= '0' then -- a cost of nothing takes no place
          text = text .. '\n' .. mark .. string.match(sum, '^=(%S+)') .. tail
          add(sum, amount)
        end
      end
    end
    count('+', name, false)
    if field ~= name then
      count('=', field, string.sub(field, #name + 1))
    end
    return text
  end
end

-- Limits have changed since the sums were made: make them anew from the holds.
if stamped and stamped ~= stamp then
  local flat = redis.call('HGETALL', KEYS[3])
  local function add(sum, amount)
    sums[sum] = (sums[sum] or 0) + amount
  end
  local anew = {}
  for i = 1, #flat, 2 do
    local name, hold = flat[i], flat[i + 1]
    if string.sub(name, 1, 1) == '=' then
      if op == 'reserve' then
        redis.call('HDEL', KEYS[3], name)
      end
    elseif string.sub(name, 1, 1) == '#' and hold ~= 'S' and not (lapsed and lapsed[string.sub(name, 2)]) then
      local at = string.match(hold, '^%d+')
      local text = at
      read_hold(hold, function(field, cost)
        text = text .. line_of(field, string.match(field, '^[^{]+'), cost, math.floor(at / 1000000), add)
      end)
      anew[#anew + 1] = name
      anew[#anew + 1] = text
    end
  end
  if op == 'reserve' then
    for sum, amount in pairs(sums) do
      anew[#anew + 1] = sum
      anew[#anew + 1] = int(amount)
    end
    anew[#anew + 1] = 'r'
    anew[#anew + 1] = stamp
    for i = 1, #anew, 1000 do
      redis.call('HSET', KEYS[3], unpack(anew, i, math.min(i + 999, #anew)))
    end
  end
end

-- 6. The hold that is there already, if any.
if already and already ~= 'S' then
  local i, same = 8, true
  read_hold(already, function(field, cost)
    same = same and i <= #ARGV and field == ARGV[i] .. ARGV[i + 1] and cost == ARGV[i + 2]
    i = i + 3
  end)
  if not same or i <= #ARGV then
    return 'other_lines'
  end
end

-- An amount at fewer decimals, rounded up.
local function at_decimals(amount, fewer)
  if fewer == 0 then
    return amount
  end
  local step = 10 ^ fewer
  local rest = math.fmod(amount, step)
  return (amount - rest) / step + (rest > 0 and 1 or 0)
end

local function shown(amount, decimals)
  if decimals == 0 then
    return int(amount)
  end
  local text = int(math.abs(amount))
  text = string.rep('0', decimals + 1 - #text) .. text
  text = string.sub(text, 1, -decimals - 1) .. '.' .. string.sub(text, -decimals)
  text = string.gsub(string.gsub(text, '0+$', ''), '%.$', '')
  return (amount < 0 and '-' or '') .. text
end

-- 7. The verdict on each limit.
local lag = fresh and now - fresh
local refused = false
for _, found in ipairs(limits) do
  local limit, fewer = found.limit, found.decimals - found.limit.p
  found.shown = at_decimals(found.used or 0, fewer)
  found.reserved = at_decimals(found.sum and sums[found.sum] or 0, fewer)
  found.cost = already and 0 or at_decimals(found.target.cost, fewer)
  local passes = found.shown + found.reserved + found.cost <= limit.l
  -- A moment far ahead of this clock was told by another clock, before a failover: it says nothing.
  if not complete or not lag or lag < -1000000 or not found.sum
    or lag > tonumber(ARGV[5] ~= '' and ARGV[5] or limit.x) then
    found.reason, found.refuses = 'stale', limit.s ~= 'a'
  else
    found.reason = passes and 'ok' or limit.m == 's' and 'soft_limit_reached' or 'limit_reached'
    found.refuses = not passes and limit.m ~= 's'
  end
  refused = refused or found.refuses
end
local taken = op == 'reserve' and not refused and not already

-- 8. The limit to answer for: of those that refuse, else of all, the one with the least remaining.
local best
for _, found in ipairs(limits) do
  if taken then
    found.reserved = found.reserved + found.cost
  end
  found.remaining = found.limit.l - found.shown - found.reserved
  found.rank = found.remaining / 10 ^ found.limit.p
  if found.refuses == refused and (not best or found.rank < best.rank) then
    best = found
  end
end
local allowed, reason, at = not refused, best and best.reason or 'no_limit', ''
if already == 'S' then
  allowed, reason = false, 'settled'
elseif already then
  allowed, at = true, string.match(already, '^%d+')
  if reason == 'limit_reached' or reason == 'stale' then
    reason = 'ok' -- it has its place
  end
end

-- 9. The hold.
if taken then
  at = now_text
  local hold = at
  local counted = {}
  for i = 8, #ARGV, 3 do
    hold = hold .. line_of(ARGV[i] .. ARGV[i + 1], ARGV[i], ARGV[i + 2], nil, function(sum, amount)
      counted[#counted + 1] = {sum, amount}
    end)
  end
  local deadline = int(now + ARGV[7])
  redis.call('HSET', KEYS[3], '#' .. ARGV[6], hold, 'r', stamp)
  for _, each in ipairs(counted) do
    redis.call('HINCRBY', KEYS[3], each[1], each[2])
  end
  redis.call('ZADD', KEYS[4], deadline, ARGV[6])
  redis.call('ZADD', KEYS[5], 'LT', deadline, ARGV[4])
end

if not best then
  return answer('answer', allowed, reason, ARGV[8], nil, at)
end
local limit, warnings = best.limit, ''
for _, share in ipairs(limit.a or {}) do
  if best.used and best.used >= share[2] then
    warnings = warnings .. (warnings == '' and '' or ' ') .. share[1]
  end
end
local about = '\n' .. shown(best.shown, limit.p) .. '\n' .. shown(best.reserved, limit.p)
  .. '\n' .. shown(limit.l, limit.p) .. '\n' .. shown(best.remaining, limit.p)
  .. '\n' .. limit.w .. '\n' .. (best.stop or '') .. '\n' .. warnings
return answer('answer', allowed, reason, best.target.metric, about, at)

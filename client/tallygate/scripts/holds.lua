-- What a hold is. This text goes before those of gate.lua, release.lua, sweep.lua and publish.lua.
--
-- A customer's holds are a hash:
--   #<id>             "S", a settled reservation; or a hold, one text of lines:
--                       <at, microseconds>
--                       <field> <cost as the caller wrote it>      for each line of the request, in their order
--                       +<window> <amount>   after it: it counts in that window of the metric's overall total
--                       =<window> <amount>   it counts in that window of the group's total
--                     an amount is scaled by the metric's decimals; where it is the cost itself, it is left out
--   =<window> <field> the sum of the amounts of the open holds that count there; gone when it is 0
--   r                 the revision of the limits by which the amounts and sums were made
-- A window is the first letters of its kind and its start in seconds: mi 1772712000 is "mi1772712000"; "g" is a
-- gauge's present state, "to" all time. Deadlines stand in the customer's sorted set, settled ids among them.

-- Calls each_line(field, cost) for the lines of a hold, and each_sum(sum, amount) for the sums in which it counts.
local function read_hold(hold, each_line, each_sum)
  local field, cost
  for line in string.gmatch(hold, '\n([^\n]+)') do
    local mark = string.sub(line, 1, 1)
    if mark ~= '+' and mark ~= '=' then
      field, cost = string.match(line, '^(.*) (%S+)$')
      if each_line then
        each_line(field, cost)
      end
    elseif each_sum then
      local window, amount = string.match(line, '^.(%S+) ?(%d*)$')
      local name = mark == '=' and field or string.match(field, '^[^{]+')
      each_sum('=' .. window .. ' ' .. name, amount == '' and cost or amount)
    end
  end
end

-- Gives back the place that a hold takes.
local function give_back(holds, hold)
  read_hold(hold, nil, function(sum, amount)
    if redis.call('HINCRBY', holds, sum, '-' .. amount) <= 0 then
      redis.call('HDEL', holds, sum)
    end
  end)
end

-- Forgets a hold or a settled id.
local function forget(holds, deadlines, id)
  local hold = redis.call('HGET', holds, '#' .. id)
  if hold and hold ~= 'S' then
    give_back(holds, hold)
  end
  redis.call('HDEL', holds, '#' .. id)
  redis.call('ZREM', deadlines, id)
end

-- The earliest moment at which something of the customer's lapses, kept where the sweep looks. With nothing left, not
-- even the revision of the limits stays.
local function keep_due(due, holds, deadlines, customer)
  local first = redis.call('ZRANGE', deadlines, 0, 0, 'WITHSCORES')
  if first[2] then
    redis.call('ZADD', due, first[2], customer)
  else
    redis.call('ZREM', due, customer)
    redis.call('DEL', holds)
  end
end

-- Coroutines: generators, pipelines, a scheduler; closures; errors across them.
local function permutations(items)
  local function permute(n)
    if n == 0 then
      coroutine.yield(items)
    else
      for i = 1, n do
        items[n], items[i] = items[i], items[n]
        permute(n - 1)
        items[n], items[i] = items[i], items[n]
      end
    end
  end
  return coroutine.wrap(function() permute(#items) end)
end

local count, last = 0, nil
for permutation in permutations({"a", "b", "c", "d", "e", "f"}) do
  count = count + 1
  last = table.concat(permutation)
end
print(count, last)

local function numbers(limit)
  return coroutine.wrap(function() for i = 2, limit do coroutine.yield(i) end end)
end
local function filter(prime, source)
  return coroutine.wrap(function()
    for number in source do
      if number % prime ~= 0 then coroutine.yield(number) end
    end
  end)
end
local primes, source = {}, numbers(400)
while true do
  local prime = source()
  if not prime then break end
  primes[#primes + 1] = prime
  source = filter(prime, source)
end
print(#primes, primes[#primes], table.concat(primes, " ", 1, 12))

local log, ready = {}, {}
for id = 1, 5 do
  ready[id] = coroutine.create(function(first)
    local total = first
    for step = 1, id * 3 do total = total + coroutine.yield(step * id) end
    log[#log + 1] = ("task %d total %d"):format(id, total)
    if id == 4 then error({task = id}) end
    return total
  end)
end
local turn = 0
while #ready > 0 do
  turn = turn + 1
  for index = #ready, 1, -1 do
    local ok, value = coroutine.resume(ready[index], turn)
    if coroutine.status(ready[index]) == "dead" then
      log[#log + 1] = ok and ("finished with " .. value) or ("failed in task " .. value.task)
      table.remove(ready, index)
    end
  end
end
print(turn, table.concat(log, "; "))

local function counter()
  local value = 0
  return function(by) value = value + (by or 1); return value end
end
local first, second = counter(), counter()
for i = 1, 50000 do first(i % 3); if i % 5 == 0 then second() end end
print(first(), second())
print(coroutine.isyieldable(), coroutine.close(coroutine.create(print)), select(2, coroutine.resume(coroutine.create(function() error("inside", 0) end))))
print(pcall(function() local t = setmetatable({}, {__index = function(_, k) error("no field " .. k, 0) end}); return t.missing end))

-- Tables: arrays, sorting, metatables, matrices, a priority queue.
local function random_source(seed)
  return function(limit)
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed % limit
  end
end

local random = random_source(42)
local numbers = {}
for i = 1, 6000 do numbers[i] = random(100000) end
table.sort(numbers)
local sum, steps = 0, 0
for i = 2, #numbers do
  sum = sum + numbers[i] * i
  if numbers[i] ~= numbers[i - 1] then steps = steps + 1 end
end
print(sum, steps, numbers[1], numbers[#numbers])

local people = {}
for i = 1, 500 do people[i] = {name = "n" .. random(50), age = random(90), id = i} end
table.sort(people, function(a, b)
  if a.age ~= b.age then return a.age < b.age end
  if a.name ~= b.name then return a.name < b.name end
  return a.id < b.id
end)
for i = 1, 500, 71 do io.write(people[i].name, ":", people[i].age, ":", people[i].id, " ") end
print()

local Vector = {}
Vector.__index = Vector
Vector.__add = function(a, b) return setmetatable({a[1] + b[1], a[2] + b[2]}, Vector) end
Vector.__mul = function(a, k) return setmetatable({a[1] * k, a[2] * k}, Vector) end
Vector.__eq = function(a, b) return a[1] == b[1] and a[2] == b[2] end
Vector.__tostring = function(a) return ("(%.6f, %.6f)"):format(a[1], a[2]) end
local position = setmetatable({0, 0}, Vector)
for i = 1, 20000 do position = position + setmetatable({math.sin(i), math.cos(i)}, Vector) * 0.5 end
print(tostring(position), position == position + setmetatable({0, 0}, Vector))

local size = 40
local function matrix(fill)
  local rows = {}
  for i = 1, size do
    rows[i] = {}
    for j = 1, size do rows[i][j] = fill(i, j) end
  end
  return rows
end
local a, b = matrix(function(i, j) return i + j end), matrix(function(i, j) return i * j % 7 end)
local product = matrix(function(i, j)
  local cell = 0
  for k = 1, size do cell = cell + a[i][k] * b[k][j] end
  return cell
end)
print(product[1][1], product[size // 2][size // 3], product[size][size])

local heap = {}
local function push(value)
  heap[#heap + 1] = value
  local at = #heap
  while at > 1 and heap[at // 2] > heap[at] do
    heap[at // 2], heap[at] = heap[at], heap[at // 2]
    at = at // 2
  end
end
local function pop()
  local top = heap[1]
  heap[1] = heap[#heap]
  heap[#heap] = nil
  local at = 1
  while true do
    local child = at * 2
    if child > #heap then break end
    if child < #heap and heap[child + 1] < heap[child] then child = child + 1 end
    if heap[at] <= heap[child] then break end
    heap[at], heap[child] = heap[child], heap[at]
    at = child
  end
  return top
end
for _ = 1, 3000 do push(random(1000000)) end
local previous, ordered, checksum = -1, true, 0
for i = 1, 3000 do
  local value = pop()
  ordered = ordered and value >= previous
  previous = value
  checksum = (checksum * 31 + value) % 1000000007
end
print(ordered, checksum, #heap)
print(table.unpack(table.move({1, 2, 3, 4, 5}, 2, 5, 1), 1, 5))
print(select("#", table.unpack({}, 1, 3)), next({}), rawlen({1, 2, 3}), collectgarbage("count") > 0)

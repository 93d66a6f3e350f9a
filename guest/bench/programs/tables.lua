-- Tables, closures, strings, floating point: what a Lua program spends its time in.
local function queens(size)
  local count, columns, rising, falling = 0, {}, {}, {}
  local function place(row)
    if row > size then
      count = count + 1
      return
    end
    for column = 1, size do
      if not columns[column] and not rising[row + column] and not falling[row - column] then
        columns[column], rising[row + column], falling[row - column] = true, true, true
        place(row + 1)
        columns[column], rising[row + column], falling[row - column] = nil, nil, nil
      end
    end
  end
  place(1)
  return count
end

local function simulate(steps)
  local x, y, vx, vy = 1.0, 0.0, 0.0, 1.0
  for _ = 1, steps do
    local distance = math.sqrt(x * x + y * y)
    local pull = -1.0 / (distance * distance * distance)
    vx, vy = vx + x * pull * 0.001, vy + y * pull * 0.001
    x, y = x + vx * 0.001, y + vy * 0.001
  end
  return string.format("%.9f %.9f", x, y)
end

local function count_words(rounds)
  local counts = {}
  for number = 1, rounds do
    local word = "word" .. (number * 7919 % 997)
    counts[word] = (counts[word] or 0) + 1
  end
  local names = {}
  for name in pairs(counts) do names[#names + 1] = name end
  table.sort(names)
  return #names, names[1], counts[names[1]]
end

local function replace(rounds)
  local text = ("alpha=1; beta=22; gamma=333; "):rep(20)
  local length = 0
  for _ = 1, rounds do
    length = length + #text:gsub("(%w+)=(%d+)", "%2:%1"):upper()
  end
  return length
end

print(queens(9))
print(simulate(2000000))
print(count_words(400000))
print(replace(300))

-- Strings: building, patterns, formatting, packing.
local words = {}
for word in ("The quick brown fox jumps over the lazy dog, again and again; the dog sleeps."):gmatch("%a+") do
  words[#words + 1] = word:lower()
end
print(#words, table.concat(words, "|"))

local counts = {}
for round = 1, 400 do
  for index, word in ipairs(words) do
    local key = word:sub(1, 1 + (index + round) % 3)
    counts[key] = (counts[key] or 0) + 1
  end
end
local keys = {}
for key in pairs(counts) do keys[#keys + 1] = key end
table.sort(keys)
for _, key in ipairs(keys) do io.write(key, "=", counts[key], " ") end
print()

local text = ("abc,123;x=%d "):rep(200):format(table.unpack((function()
  local values = {}
  for i = 1, 200 do values[i] = i * i end
  return values
end)()))
local total, fields = 0, 0
for name, number in text:gmatch("(%a+)=(%d+)") do
  total = total + tonumber(number)
  fields = fields + #name
end
print(total, fields)
print((text:gsub("%d+", function(digits) return #digits > 3 and "<" .. digits .. ">" or nil end)):sub(-120))
print(("%5d|%-8s|%08.3f|%x|%q|%g|%a"):format(42, "left", math.pi, 48879, 'quote"d\n', 1e100, 0.1))
print(("x"):rep(3, "-"), ("hello"):reverse(), ("%bxy"):find("%", 1, true), ("f(a(b)c)d"):match("%b()"))
print(utf8.char(72, 228, 8364, 128512), utf8.len("häß€"), #"häß€")

local packed = string.pack("<i4>I2zdB", -7, 65535, "zero", 1.5, 255)
print(#packed, string.unpack("<i4>I2zdB", packed))

-- A small checksum over many substrings.
local hash = 5381
for i = 1, #text do
  hash = (hash * 33 ~ text:byte(i)) & 0xffffffff
end
print(hash, tostring(1e15), 2^53, 7 // 2, -7 // 2, 7 % -3, 1 / 0, -1 / 0, math.tointeger(3.0))
print(pcall(string.rep, "x", -1), pcall(string.format, "%d", 1.5))

-- How many ways are there to place n queens on a board of n columns, and what does the first one look like?
local n = tonumber(arg[1]) or 6
local columns, up, down, placed = {}, {}, {}, {}
local solutions, first = 0, nil

local function place(row)
  if row > n then
    solutions = solutions + 1
    first = first or table.concat(placed, " ")
    return
  end
  for column = 1, n do
    if not (columns[column] or up[row + column] or down[row - column]) then
      columns[column], up[row + column], down[row - column], placed[row] = true, true, true, column
      place(row + 1)
      columns[column], up[row + column], down[row - column] = nil, nil, nil
    end
  end
end

place(1)
print(("%d queens: %d solutions, the first has columns %s"):format(n, solutions, first))

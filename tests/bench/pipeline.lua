-- wrk script: sixteen requests in one write. wrk counts each response.
local depth = 16
init = function(args)
  local one = wrk.format("GET", "/")
  local all = {}
  for i = 1, depth do all[i] = one end
  batch = table.concat(all)
end
request = function() return batch end

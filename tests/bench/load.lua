-- wrk's side: sends the requests of a file in turn, waits between two if told to, and says what happened in JSON.
-- Arguments: file of requests, each followed by a line "--next--"; mean pause of a connection in ms (0: none).
local requests, count, at, pause = {}, 0, 0, 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  for request in file:read("*a"):gmatch("(.-)%-%-next%-%-\n") do
    count = count + 1
    requests[count] = request
  end
  file:close()
  pause = tonumber(args[2])
  if pause > 0 then
    math.randomseed(1)
    delay = function() return math.random(0, 2 * pause) end
  end
end

function request()
  at = at % count + 1
  return requests[at]
end

function done(summary, latency)
  io.write(string.format(
    '\nRESULT {"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end

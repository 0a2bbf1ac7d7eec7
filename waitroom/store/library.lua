#!lua name=waitroom
--[[ The line: order, counting and admission of one pool, decided here and nowhere else (DESIGN.md section 5).

Every function but wr_version, wr_lease, wr_pace, wr_keep and wr_kept works on one pool and begins with the same KEYS and
ARGV:

  KEYS  rules state bucket flow line awake due left passes, then sess:<backend> of each backend named in ARGV, then
        lobby:<exam> and lobbydue:<exam> of each exam named in ARGV, then notices waits live who traffic, then
        back:<backend> and backdue:<backend> of each backend, then audit. All share the hash tag {pool}. What a version
        adds stands last: a worker of before does not name it, and must still find its own keys.
  ARGV  now_ms (0: this server's clock), count of backends, their names, count of exams, name and opens_ms of each
        (opens_ms 0: open; -1: as remembered here), then the function's own arguments.
  Reply an array that begins with 0 (done; now_ms follows), 1 (the pool has no rules yet: write them, call again) or
        2 (call again and name these too: an array of backends, an array of exams). 1 and 2 have changed nothing.

What the keys hold:

  rules    hash: version, text (JSON of wr_rules), retired (backends of before that may still have sessions)
  state    hash: seen (ms of the last call), past (the latest ms of all calls where that is not seen: the clock went
           back, or others proved it), mercy (nothing expires before), freeze (nobody is admitted before), born
           (ms of the first call), told:<reason> (departures that a sweep has told), arrival (us of the last arrival),
           flow (admissions in 1,000 s), opens (earliest pending opening), pull (1: deadlines lie too far ahead),
           open:<exam> (opening ms of an exam with a lobby), exam:<exam> (its number in deadlines), exams (the last
           number given), seed:<exam> ("opens_ms seed" of its draw), opened (ms when a lobby last went in), owed (to
           priority, see `ahead_of`), whose (where the last look through who ended)
  bucket   hash: tokens (millionths of an admission), at (ms), ramp:<backend> -> "since_ms tokens at_ms came": the same
           for a backend that comes back, and how many have come to it since
  flow     hash: a:<slot>, e:<slot>, d:<slot> (people admitted, sessions ended, ms those had lasted, in a slot of 10 s),
           u:<slot> (sessions that lapsed without ever having been used, which are not among e), t:<total>
  line     zset: confirmed ticket -> lane * 3e15 + arrival us; in the lobby, present or absent
  awake    zset: present, eligible ticket -> order key
  due      zset: ticket -> deadline ms of its next heartbeat; absent: minus the ms since when. Behind the point stands
           the number of its exam, see `deadline_of`
  lobby:   zset: present ticket of an exam that is not open yet -> order key
  lobbydue: zset: the same as due for tickets in a lobby
  sess:    zset: visitor -> ms when the session lapses
  passes   hash: visitor with a session -> "admitted_ms keep_until_ms backend cleared_ms attempt"; cleared: the
           `since_ms` of the recovery in which its holder was let back in, 0: none; attempt 1: they have saved something
  left     zset: visitor whose session has ended -> ms of the end, positive: lapsed, negative: released
  notices  hash: exam, or "" for the whole pool -> "at_ms until_ms text": what staff say on its pages; until 0: for good
  waits    list: how waits ended, oldest first: "visitor arrival_us ended_ms lane place backend exam"; place on arrival,
           0: not known; backend "-": left without having been let in; exam last since it may be ""
  live     hash: what is set while it runs, beside the rules: rate (milli; the adaptive rate), held (1), staff:<backend>
           (held or draining), ceiling (milli; the rate in place of that of the rules, 0: unlimited),
           sessions:<backend> (max_sessions in place of that of the rules), note:<field> of what staff set -> "at_ms
           until_ms entry": since when, until when (0: until undone; then it counts no more), by whom and why,
           phase:<backend> -> "phase since_ms rate_milli ...": down, recovering (who had a session comes back at the
           rate, ahead of newcomers), easing (only others come at the rate), up
  who      hash: a student's keyed hash -> the visitor they are here; lane:<visitor> -> the lane that staff chose
  traffic  hash: worker -> "at_ms text": what it saw of the backends in its last second
  audit    list: what staff changed, oldest first: "at_ms until_ms [entry, field, before, value, ...]"; until -1: its time
           was over; `entry` is text of the caller's (who, what, why)
  hour, day, outages  stream: instant (ms) -> text of the caller's: records of numbers, nobody in them, see wr_keep
  back:    zset: holder of a session of before who is present and waits for this backend -> order key
  backdue: zset: the same -> deadline ms of its next heartbeat

A function that can be called stands in a block with what it alone needs: a chunk of Lua has at most 200 locals.

An order key is lane * 3e15 + us: of the arrival, or of the place that was drawn. Doubles are exact up to 2^53 =
9.007e15, which lane 2 reaches in the year 2065 (us of 3.0e15). Redis hands numbers of Lua on with 17 digits, so none is
lost on the way. ]]

local VERSION = 8

local LANE_WIDTH = 3e15
local ONE_TOKEN = 1e6            -- dt_ms * rate_milli counts millionths of an admission
local UNLIMITED = 1e15
local PROVISIONAL_MS = 30000     -- law 10: a session nobody has used yet
local UNCONFIRMED_MS = 15000     -- law 10: a ticket whose cookie has not come back; a page without script loads in 10 s
local CONFIRM_POLL_MS = 4000     -- soon enough that an honest browser confirms within UNCONFIRMED_MS
local POLL_MIN_MS = 2000         -- law 11
local POLL_MAX_MS = 30000
local POLL_PART = 0.4            -- of the time until the turn may come
local POLL_PLACE_MS = 20         -- a place back, where flow is unknown: 30 s from 1,400 back
local SLACK_MS = 5000            -- a poll may be this late at least
local PAGE_MS = 12000            -- after a whole page: without script it is loaded anew after 10 s, not after 2 s
local HIDDEN_MS = 90000          -- browsers run a hidden tab's timers once a minute
local OPENING_MILLI = 200000     -- admissions in 1,000 s after an opening where no rate is configured: 200 a second
local OPENING_MS = 60000         -- for so long: who is let in later did not come for the opening
local DRAW_US = 1e6              -- drawn places lie in the second before the opening; admission/draw.py draws them
local SHARE = 50                 -- percent of admissions that priority gets, where rules of before do not say
local DUE_MAX_MS = 2 * (2 * POLL_MAX_MS + 1000) + HIDDEN_MS
local GAP_MS = 15000             -- silence that means an outage: the conductor calls every second
local MERCY_MS = 60000
local BACK_MS = 1000             -- a clock that goes back by more has jumped
local RESTORE_MS = 60000         -- law 9: two poll intervals
local CUT_MERCY_MS = 15000       -- after a short cut: who could not be heard asks again within 3 s, a page alone in 12 s
local SETTLE_MS = 4000           -- after a cut newcomers stamped meanwhile ask again within this, and enter in their order
local SLOT_MS = 10000
local SLOTS = 60                 -- ten minutes of flow are kept
local FLOW_SLOTS = 6             -- flow for polls is measured over a minute
local FORGET_MS = 86400000       -- no browser keeps a ticket for longer than a day, or max_duration
local SEEDS_MS = 30 * FORGET_MS  -- so long after an opening its draw can be checked here
local EXPIRED_IN_PASSING = 256   -- overdue entries of one kind that a present or touch call clears
local EXPIRED_IN_SWEEP = 1000
local PULLED_IN_SWEEP = 5000
local WAITS_MAX = 200000         -- ends of waits that are kept: 100 bytes each
local WAITS_IN_PAGE = 1000       -- lines of a page of wr_waits at most
local LOOKED_AT = 1000           -- names of students that a sweep looks at, or a sixtieth of all; 5000 at most
local EXAMS_MAX = 2047           -- exams of a pool whose number stands in deadlines: 11 bits
local EXAM_SHARE = 1 / (EXAMS_MAX + 1)
local DECODED = 64               -- rules texts remembered
local REPORT_MS = 3000           -- a worker that has reported nothing for so long is gone
local REPORTS_MAX = 1024         -- workers whose reports are kept
local AUDIT_MAX = 1000           -- entries of a pool's audit that are kept
local RAMP_SECONDS = 1           -- what a ramp saves up at most

local WAITING, ADMITTED, LOBBY, RETURNING, HELD, DOWN, KNOWN = 0, 1, 2, 3, 4, 5, 6
local LIVE, LAPSED, RELEASED = 0, 1, 2
local SAVED, LAPSES = 65536, 131072
local STAYS, BACK, LOST, ENDED = 0, 1, 2, 3
local TOLD_BEFORE, AS_IT_CAME, IN_LANE = 16, 32, 64

-- Taken at the first call, whichever it is: while a library loads, Valkey 9 shows it no standard functions.
local floor, ceil, max, min, byte
local function take_standard()
  if not floor then floor, ceil, max, min, byte = math.floor, math.ceil, math.max, math.min, string.byte end
end

-- Rules by their text. Decoding is a pure function, so what is remembered here can never be wrong.
local decoded, decoded_count = {}, 0

local function decode(text)
  local rules = decoded[text]
  if rules then return rules end
  if decoded_count >= DECODED then decoded, decoded_count = {}, 0 end
  rules = cjson.decode(text)
  rules.by_name, rules.share = {}, rules.share or SHARE
  for _, backend in ipairs(rules.backends) do
    rules.by_name[backend[1]] = {limit = backend[2], open = backend[3] == 1}
  end
  decoded[text], decoded_count = rules, decoded_count + 1
  return rules
end

local function words(text)
  local found = {}
  for word in string.gmatch(text or '', '%S+') do found[#found + 1] = word end
  return found
end

local function server_us()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1e6 + tonumber(time[2])
end

-- The pool a call works on: its keys by name, the backends and exams it was given, the time.
local function pool_of(keys, args)
  take_standard()
  local now_us = tonumber(args[1]) * 1000
  if now_us == 0 then now_us = server_us() end
  local pool = {
    rules_key = keys[1], state = keys[2], bucket = keys[3], flow = keys[4], line = keys[5], awake = keys[6],
    due = keys[7], left = keys[8], passes = keys[9], now_us = now_us, now = floor(now_us / 1000),
    backends = {}, backend = {}, exams = {}, exam = {}, counts = {}, changed = {},
  }
  local key, at = 10, 3
  for index = 1, tonumber(args[2]) do
    local backend = {name = args[at], key = keys[key], index = index}
    pool.backends[index], pool.backend[backend.name] = backend, backend
    key, at = key + 1, at + 1
  end
  local exams = tonumber(args[at])
  at = at + 1
  for index = 1, exams do
    local exam = {name = args[at], opens = tonumber(args[at + 1]), lobby = keys[key], due = keys[key + 1]}
    pool.exams[index], pool.exam[exam.name] = exam, exam
    key, at = key + 2, at + 2
  end
  pool.notices, pool.waits, pool.live, pool.who, pool.first = keys[key], keys[key + 1], keys[key + 2], keys[key + 3], at
  pool.traffic = keys[key + 4]
  for index, backend in ipairs(pool.backends) do
    backend.back, backend.back_due = keys[key + 3 + 2 * index], keys[key + 4 + 2 * index]
  end
  pool.audit = keys[key + 5 + 2 * #pool.backends]
  return pool
end

-- What staff set for a time that is over: fields whose notes say so. They count no more, and the next sweep drops them.
-- A hold of a backend ends with that sweep, which gives its sessions the time again that nobody could use.
local function over_by(fields, now, sweeps)
  local over
  for at = 1, #fields, 2 do
    local field = string.match(fields[at], '^note:(.*)$')
    local until_ms = field and tonumber(string.match(fields[at + 1], '^%d+ (%d+)'))
    if until_ms and until_ms > 0 and until_ms <= now and (sweeps or string.sub(field, 1, 6) ~= 'staff:') then
      over = over or {}
      over[field], over[fields[at]] = true, true
    end
  end
  return over
end

-- A field of live about one backend.
local function load_about(backend, about, value)
  if about == 'staff' then
    backend.open, backend.staff = false, value
  elseif about == 'sessions' and backend.limit then
    backend.limit = tonumber(value)
  elseif about == 'phase' then
    local phase, since, rate = string.match(value, '^(%a+) (%d+) (%d+)')
    backend.phase, backend.since, backend.ramp_milli = phase, tonumber(since), tonumber(rate)
    if phase == 'down' then backend.open = false end
  end
end

-- A rate that staff set has a burst in proportion: the saved-up turns of a higher one would undo it at once.
local function set_ceiling(pool, milli)
  local rules = pool.rules
  local burst = rules.rate_milli > 0 and rules.burst * milli / rules.rate_milli or milli / 500
  pool.rate_milli, pool.burst = milli, milli > 0 and max(1, floor(burst)) or rules.burst
end

-- What is set while it runs lies over the rules. The adaptive rate never goes above the one in force.
local function load_live(pool)
  local fields = pool.live and redis.call('HGETALL', pool.live) or {} -- a worker of before names no such key
  local over, adaptive = over_by(fields, pool.now), nil
  pool.set, pool.over = fields, over
  pool.rate_milli, pool.burst, pool.held = pool.rules.rate_milli, pool.rules.burst, pool.rules.held == 1
  for _, backend in ipairs(pool.backends) do
    local rule = pool.rules.by_name[backend.name]
    if rule then backend.limit, backend.open = rule.limit, rule.open end
    backend.staff, backend.phase, backend.since, backend.ramp_milli = nil, nil, nil, nil
  end
  for at = 1, #fields, 2 do
    local field, value = fields[at], fields[at + 1]
    local about, name = string.match(field, '^(%a+):(.*)$')
    local backend = name and pool.backend[name]
    if over and over[field] then
      -- as if it were not there
    elseif field == 'rate' then
      adaptive = tonumber(value)
    elseif field == 'ceiling' then
      set_ceiling(pool, tonumber(value))
    elseif field == 'held' then
      pool.held = value == '1'
    elseif backend then
      load_about(backend, about, value)
    end
  end
  if adaptive then pool.rate_milli = pool.rate_milli > 0 and min(pool.rate_milli, adaptive) or adaptive end
  for _, backend in ipairs(pool.backends) do
    backend.down = backend.phase == 'down' or backend.staff == 'held'
    backend.ramps = not backend.down and (backend.phase == 'recovering' or backend.phase == 'easing')
  end
end

local function load_rules(pool)
  local found = redis.call('HMGET', pool.rules_key, 'text', 'retired')
  if not found[1] then return false end
  pool.rules = decode(found[1])
  pool.retired = words(found[2])
  load_live(pool)
  return true
end

-- Notes a change of the state hash; `save` writes all of them in one command.
local function change(pool, field, value)
  local changed = pool.changed
  changed[#changed + 1], changed[#changed + 2] = field, value
end

local function count(pool, field, n)
  if n ~= 0 then pool.counts[field] = (pool.counts[field] or 0) + n end
end

local function slot_of(ms) return floor(ms / SLOT_MS) end

local function count_admission(pool, way)
  count(pool, 'a:' .. slot_of(pool.now), 1)
  count(pool, 't:admissions:' .. way, 1)
end

-- `held_ms`: how long the slots of all of them had been taken, in sum.
local function count_ends(pool, reason, n, held_ms)
  count(pool, 'd:' .. slot_of(pool.now), held_ms)
  count(pool, 'e:' .. slot_of(pool.now), n)
  count(pool, 't:departures:' .. reason, n)
end

-- The same for sessions that nobody ever used: they say nothing of how long those last that are used.
local function count_unused(pool, n)
  count(pool, 'u:' .. slot_of(pool.now), n)
  count(pool, 't:departures:lapsed', n)
end

local function save(pool)
  for field, n in pairs(pool.counts) do redis.call('HINCRBY', pool.flow, field, n) end
  change(pool, 'seen', pool.now)
  redis.call('HSET', pool.state, unpack(pool.changed))
end

local function be_merciful(pool, ms)
  pool.mercy = max(pool.mercy, pool.now + ms)
  change(pool, 'mercy', pool.mercy)
end

local function freeze_for(pool, ms)
  pool.freeze = max(pool.freeze, pool.now + ms)
  change(pool, 'freeze', pool.freeze)
end

-- Reads the state and judges the clock: silence means an outage, after which nothing expires for a while; a clock
-- that went back leaves deadlines too far ahead, which the next sweeps pull in.
local function read_state(pool)
  local found = redis.call(
    'HMGET', pool.state, 'seen', 'mercy', 'freeze', 'born', 'arrival', 'flow', 'opens', 'opened', 'owed', 'past')
  local now, seen = pool.now, tonumber(found[1])
  pool.mercy, pool.freeze = tonumber(found[2]) or 0, tonumber(found[3]) or 0
  pool.born, pool.arrival = tonumber(found[4]), tonumber(found[5]) or 0
  pool.flow_milli, pool.opens = tonumber(found[6]) or 0, tonumber(found[7]) or 0
  pool.opened, pool.owed = tonumber(found[8]), tonumber(found[9]) or 0
  pool.latest = max(seen or 0, tonumber(found[10]) or 0)
  if seen and now < seen then change(pool, 'past', pool.latest) end
  if not pool.born then
    pool.born = now
    change(pool, 'born', now)
  end
  if seen and now - seen > GAP_MS then
    pool.mercy = now + MERCY_MS
    change(pool, 'mercy', pool.mercy)
  elseif seen and now < seen - BACK_MS then
    pool.mercy, pool.freeze = min(pool.mercy, now + MERCY_MS), min(pool.freeze, now + RESTORE_MS)
    pool.born = min(pool.born, now)
    change(pool, 'mercy', pool.mercy)
    change(pool, 'freeze', pool.freeze)
    change(pool, 'born', pool.born)
    change(pool, 'pull', 1)
  end
end

-- Law 9: somebody proved that this store has forgotten the last that it said, up to `known_us`: a replica that was behind
-- took over, or a file lost its end. Admissions wait until the line is whole again; newcomers come behind all who may
-- have been forgotten; and one loss is proved once.
local function prove_older(pool, known_us)
  pool.arrival = max(pool.arrival, known_us, pool.now_us)
  pool.latest = max(pool.latest, floor(known_us / 1000))
  change(pool, 'arrival', pool.arrival)
  change(pool, 'past', pool.latest)
  be_merciful(pool, MERCY_MS)
  if pool.freeze - pool.now <= SETTLE_MS then freeze_for(pool, RESTORE_MS) end
end

-- Law 9: somebody proved that they were here before this store remembers anything. Admissions wait until the line is
-- whole again.
local function prove_loss(pool)
  local freeze = pool.born + RESTORE_MS
  if pool.freeze < freeze and pool.now < freeze then
    pool.freeze = freeze
    change(pool, 'freeze', freeze)
  end
end

-- Admissions in 1,000 s, and how many millionths of one may gather; 0: any number. Where no rate is configured an
-- opening has one all the same, so that its first second is no stampede either.
local function pace_of(pool)
  local rate, since = pool.rate_milli, pool.opened and pool.now - pool.opened
  if rate == 0 and since and since >= 0 and since < OPENING_MS then return OPENING_MILLI, OPENING_MILLI * 1000 end
  return rate, pool.burst * ONE_TOKEN
end

-- Millionths of an admission in the bucket now. A clock that went back gains nothing and freezes nothing.
local function fill_bucket(pool)
  local rate, cap = pace_of(pool)
  if rate == 0 then
    pool.tokens = UNLIMITED
    return
  end
  local found = redis.call('HMGET', pool.bucket, 'tokens', 'at')
  local tokens, at = tonumber(found[1]), tonumber(found[2])
  pool.tokens = tokens and min(cap, tokens + max(0, pool.now - at) * rate) or cap
end

-- The same for a backend that comes back: what its ramp lets through now. A ramp saves up for a second at most.
local function fill_ramp(pool, backend)
  if not backend.ramps or backend.ramp_tokens then return end
  local saved = redis.call('HGET', pool.bucket, 'ramp:' .. backend.name)
  local since, tokens, at, came = string.match(saved or '', '^(%d+) (%d+) (%d+) (%d+)$')
  local cap = max(ONE_TOKEN, backend.ramp_milli * 1000 * RAMP_SECONDS)
  if tonumber(since) ~= backend.since then tokens, at, came = ONE_TOKEN, pool.now, 0 end
  backend.came = tonumber(came)
  backend.ramp_tokens = min(cap, tonumber(tokens) + max(0, pool.now - tonumber(at)) * backend.ramp_milli)
end

local function take_from_ramp(backend)
  if not backend.ramps then return end
  backend.ramp_tokens, backend.came, backend.ramp_used = backend.ramp_tokens - ONE_TOKEN, backend.came + 1, true
end

local function save_ramps(pool)
  for _, backend in ipairs(pool.backends) do
    if backend.ramp_used then
      local text = string.format(
        '%.0f %.0f %.0f %.0f', backend.since, max(0, backend.ramp_tokens), pool.now, backend.came)
      redis.call('HSET', pool.bucket, 'ramp:' .. backend.name, text)
    end
  end
end

-- After fill_bucket.
local function save_bucket(pool)
  if pace_of(pool) ~= 0 then redis.call('HSET', pool.bucket, 'tokens', pool.tokens, 'at', pool.now) end
  save_ramps(pool)
end

-- A deadline with the number of its exam behind the point. Whole ms take 41 bits of a double's 53 until 2039 and 42
-- until 2109, so 11 are free. What is asked of deadlines is asked in whole ms, and ms + share < n is ms < n for a whole
-- n; for absent tickets, whose sign is minus, the share counts away from 0 as well.
local function deadline_of(ms, number)
  return ms < 0 and ms - number * EXAM_SHARE or ms + number * EXAM_SHARE
end

local function number_in(deadline)
  local whole = deadline < 0 and -deadline or deadline
  return (whole - floor(whole)) / EXAM_SHARE
end

-- The number of an exam in deadlines, the next one if `settle_openings` found none; 0, "not known", where there are no
-- more.
local function number_of(pool, exam)
  if not exam then return 0 end
  if not exam.number then
    exam.number = redis.call('HINCRBY', pool.state, 'exams', 1)
    if exam.number > EXAMS_MAX then exam.number = 0 end
    redis.call('HSET', pool.state, 'exam:' .. exam.name, exam.number)
  end
  return exam.number
end

-- Exams by their numbers.
local function exams_of(pool)
  if pool.numbered then return pool.numbered end
  local fields = redis.call('HGETALL', pool.state)
  pool.numbered = {}
  for at = 1, #fields, 2 do
    local name = string.match(fields[at], '^exam:(.*)$')
    if name then pool.numbered[tonumber(fields[at + 1])] = name end
  end
  pool.numbered[0] = nil
  return pool.numbered
end

-- Notes how a wait ended. Who was in before waits again, and keeps the line of the first time. `backend` nil: left.
local function end_wait(pool, visitor, arrival, lane, place, backend, exam)
  if lane == 0 or not pool.waits then return end -- a worker of before waits were kept asks
  local text = string.format(
    '%s %.0f %.0f %d %d %s %s', visitor, arrival, pool.now, lane, place, backend or '-', exam or '')
  if redis.call('RPUSH', pool.waits, text) > WAITS_MAX then redis.call('LPOP', pool.waits) end
end

-- The same for tickets that leave without having been let in: each with its order key and its deadline.
local function leave_line(pool, visitor, key, deadline)
  local lane = floor(key / LANE_WIDTH)
  end_wait(pool, visitor, key - lane * LANE_WIDTH, lane, 0, nil, exams_of(pool)[number_in(deadline)])
end

-- Exams whose opening has come. Those that the call did not name are returned, and the caller is asked to.
local function due_openings(pool)
  local missing = {}
  if pool.opens == 0 or pool.now < pool.opens then return missing end
  local fields = redis.call('HGETALL', pool.state)
  for at = 1, #fields, 2 do
    local name = string.match(fields[at], '^open:(.*)$')
    if name and tonumber(fields[at + 1]) <= pool.now and not pool.exam[name] then missing[#missing + 1] = name end
  end
  return missing
end

-- The quiet before an opening earns nobody a burst: its first second is at the admission rate (law 11).
local function begin_slowly(pool, exam)
  if redis.call('EXISTS', exam.lobby) == 0 then return end
  fill_bucket(pool)
  redis.call('HSET', pool.bucket, 'tokens', min(pool.tokens, ONE_TOKEN), 'at', pool.now)
  pool.opened = pool.now
  change(pool, 'opened', pool.now)
end

-- The whole lobby of an exam becomes eligible at once: whoever polls first wins nothing.
local function open_lobby(pool, exam)
  begin_slowly(pool, exam)
  if redis.call('EXISTS', pool.awake) == 0 and redis.call('EXISTS', exam.lobby) == 1 then
    redis.call('RENAME', exam.lobby, pool.awake)
  else
    redis.call('ZUNIONSTORE', pool.awake, 2, pool.awake, exam.lobby, 'AGGREGATE', 'MIN')
    redis.call('DEL', exam.lobby)
  end
  redis.call('ZUNIONSTORE', pool.due, 2, pool.due, exam.due, 'AGGREGATE', 'MAX')
  redis.call('DEL', exam.due)
end

-- Places that were drawn move with their opening: who has not asked since is no worse off than who has.
local function move_draws(pool, exam)
  local from = exam.pending * 1000
  local by = (exam.opens > 0 and exam.opens or pool.now) * 1000 - from
  for lane = 0, 2 do
    local base = lane * LANE_WIDTH + from
    local found = redis.call('ZRANGEBYSCORE', exam.lobby, string.format('%.0f', base - DRAW_US),
      string.format('(%.0f', base), 'WITHSCORES')
    local moved = {}
    for at = 1, #found, 2 do
      moved[#moved + 1], moved[#moved + 2] = string.format('%.0f', tonumber(found[at + 1]) + by), found[at]
      if #moved == 2000 or at + 2 > #found then
        redis.call('ZADD', exam.lobby, unpack(moved))
        moved = {}
      end
    end
  end
end

-- Opens what is due and notes openings that a reload has moved. Must run before tickets are looked at.
local function settle_openings(pool)
  if #pool.exams == 0 then return end
  local fields = {}
  for index, exam in ipairs(pool.exams) do
    fields[2 * index - 1], fields[2 * index] = 'open:' .. exam.name, 'exam:' .. exam.name
  end
  local pending = redis.call('HMGET', pool.state, unpack(fields))
  local moved = false
  for index, exam in ipairs(pool.exams) do
    exam.pending, exam.number = tonumber(pending[2 * index - 1]), tonumber(pending[2 * index])
    if exam.opens < 0 then exam.opens = exam.pending or 0 end
    if exam.pending and exam.pending ~= exam.opens then move_draws(pool, exam) end
    if exam.pending and exam.opens <= pool.now then
      open_lobby(pool, exam)
      redis.call('HDEL', pool.state, fields[2 * index - 1])
      exam.pending, moved = nil, true
    elseif exam.pending and exam.pending ~= exam.opens then
      redis.call('HSET', pool.state, fields[2 * index - 1], exam.opens)
      exam.pending, moved = exam.opens, true
    end
  end
  if not moved then return end
  local earliest, state = 0, redis.call('HGETALL', pool.state)
  for at = 1, #state, 2 do
    local opens = tonumber(state[at + 1])
    if string.sub(state[at], 1, 5) == 'open:' and (earliest == 0 or opens < earliest) then earliest = opens end
  end
  pool.opens = earliest
  change(pool, 'opens', earliest)
end

local function expect_opening(pool, exam)
  if exam.pending then return end
  redis.call('HSET', pool.state, 'open:' .. exam.name, exam.opens)
  exam.pending = exam.opens
  if pool.opens == 0 or exam.opens < pool.opens then
    pool.opens = exam.opens
    change(pool, 'opens', exam.opens)
  end
end

-- Tickets whose heartbeat is overdue stop being present. Confirmed ones keep their order as absent ones; the others are
-- gone, and come back with their cookie.
local function expire_presence(pool, due, present, bound)
  if pool.now < pool.mercy then return end
  local found = redis.call('ZRANGEBYSCORE', due, 0, '(' .. pool.now, 'WITHSCORES', 'LIMIT', 0, bound)
  if #found == 0 then return end
  local late = {}
  for at = 1, #found, 2 do late[#late + 1] = found[at] end
  redis.call('ZREM', present, unpack(late))
  local confirmed = redis.call('ZMSCORE', pool.line, unpack(late))
  local absent, gone = {}, {}
  for index, ticket in ipairs(late) do
    if confirmed[index] then
      absent[#absent + 1], absent[#absent + 2] = deadline_of(-pool.now, number_in(tonumber(found[2 * index]))), ticket
    else
      gone[#gone + 1] = ticket
    end
  end
  if #absent > 0 then redis.call('ZADD', due, unpack(absent)) end
  if #gone > 0 then redis.call('ZREM', due, unpack(gone)) end
end

local function pass_of(text)
  if not text then return nil end
  local admitted, keep, backend, cleared, attempt = string.match(text, '^(%d+) (%d+) (%S+) ?(%d*) ?(%d*)$')
  return {
    admitted = tonumber(admitted), keep = tonumber(keep), backend = backend, cleared = tonumber(cleared) or 0,
    attempt = tonumber(attempt) or 0,
  }
end

local function write_pass(pool, visitor, pass)
  local cleared, attempt = pass.cleared or 0, pass.attempt or 0
  local more = (cleared > 0 or attempt > 0) and string.format(' %.0f %d', cleared, attempt) or ''
  local text = string.format('%.0f %.0f %s%s', pass.admitted, pass.keep, pass.backend, more)
  redis.call('HSET', pool.passes, visitor, text)
end

-- Sessions whose time is over end; not those of a backend that is down, since nobody can use them. An entry whose visitor
-- has moved to another backend since just goes.
local function expire_sessions(pool, bound)
  if pool.now < pool.mercy then return end
  local ended, held_ms, unused = 0, 0, 0
  for _, backend in ipairs(pool.backends) do
    local late, lapsed = {}, {}
    if not backend.down then
      local before = '(' .. pool.now
      local found = redis.call('ZRANGEBYSCORE', backend.key, '-inf', before, 'WITHSCORES', 'LIMIT', 0, bound)
      for at = 1, #found, 2 do late[#late + 1], lapsed[#lapsed + 1] = found[at], tonumber(found[at + 1]) end
    end
    if #late > 0 then
      redis.call('ZREM', backend.key, unpack(late))
      local passes = redis.call('HMGET', pool.passes, unpack(late))
      for index, visitor in ipairs(late) do
        local pass = pass_of(passes[index])
        if pass and pass.backend == backend.name then
          redis.call('HDEL', pool.passes, visitor)
          redis.call('ZADD', pool.left, pool.now, visitor)
          if lapsed[index] == pass.admitted + PROVISIONAL_MS then
            unused = unused + 1
          else
            ended, held_ms = ended + 1, held_ms + max(0, pool.now - pass.admitted)
          end
        end
      end
    end
  end
  count_ends(pool, 'lapsed', ended, held_ms)
  count_unused(pool, unused)
end

-- How many newcomers a backend takes now: as many as it has free slots; while it comes back, as many as its ramp lets
-- through once nobody is left who was there before (law 7).
local function room_of(pool, backend)
  local room = max(0, backend.limit - backend.used)
  if not backend.ramps then return room end
  fill_ramp(pool, backend)
  if redis.call('EXISTS', backend.back) == 1 then return 0 end
  return min(room, floor(backend.ramp_tokens / ONE_TOKEN))
end

-- Free slots of the backends that this call may send somebody to.
local function count_free(pool)
  local free, open = 0, false
  for _, backend in ipairs(pool.backends) do
    if backend.limit then
      backend.used = redis.call('ZCARD', backend.key)
      backend.room = backend.open and room_of(pool, backend) or 0
      open, free = open or backend.open, free + backend.room
    end
  end
  pool.free, pool.open = free, open
end

-- How many may enter now: the smaller of free slots and tokens; nobody during a hold or a restore.
local function may_enter(pool)
  if pool.held or pool.now < pool.freeze then return 0 end
  return min(pool.free, floor(pool.tokens / ONE_TOKEN))
end

local function quietest(pool)
  local best, best_share
  for _, backend in ipairs(pool.backends) do
    if backend.limit and backend.room > 0 then
      local share = (backend.limit - backend.used) / backend.limit
      if not best or share > best_share then best, best_share = backend, share end
    end
  end
  return best
end

-- 0 to 1, the same for a visitor each time.
local function jitter(visitor)
  local a, b, c = byte(visitor, 1, 3)
  return ((a or 0) * 4099 + (b or 0) * 61 + (c or 0)) % 997 / 997
end

-- When to ask again: a part of the time until the turn may come, 2 s at the head to 30 s far back.
local function poll_ms(pool, ahead, visitor)
  local ms, milli = POLL_MIN_MS + ahead * POLL_PLACE_MS, pool.flow_milli
  if pool.free > ahead then milli = max(milli, pool.rate_milli) end
  if milli > 0 and not pool.held then ms = min(ms, (ahead + 1) * 1e6 / milli * POLL_PART) end
  return floor(max(POLL_MIN_MS / 0.8, min(POLL_MAX_MS, ms)) * (0.8 + 0.2 * jitter(visitor)))
end

-- In a lobby: rarely, and when the opening is near, after it, in the order of the line at the admission rate.
local function lobby_poll_ms(pool, exam, ahead, visitor)
  local left = exam.opens - pool.now
  if left > POLL_MAX_MS then return floor(POLL_MAX_MS * (0.8 + 0.2 * jitter(visitor))) end
  local rate = pool.rate_milli
  if rate == 0 then rate = OPENING_MILLI end
  return floor(left + min(POLL_MAX_MS, ahead * 1e6 / rate) + 1000 * jitter(visitor))
end

-- The next poll and the deadline that goes with it; `kind.share` is what `deadline_of` adds for its exam.
local function heartbeat(pool, visitor, kind, ms)
  if not kind.confirmed then
    return min(ms, floor(CONFIRM_POLL_MS * (0.6 + 0.4 * jitter(visitor)))), pool.now + UNCONFIRMED_MS + kind.share
  end
  return ms, pool.now + ms + max(SLACK_MS, ms) + (kind.hidden and HIDDEN_MS or kind.page and PAGE_MS or 0) + kind.share
end

-- The next arrival: later than every one before, even when the clock went back.
local function stamp(pool)
  pool.arrival = max(pool.now_us, pool.arrival + 1)
  return pool.arrival
end

-- Takes a ticket out of the line, wherever it stands.
local function forget_place(pool, visitor)
  redis.call('ZREM', pool.awake, visitor)
  redis.call('ZREM', pool.line, visitor)
  redis.call('ZREM', pool.due, visitor)
end

-- How many of a sorted set of order keys are in each lane.
local function lanes_of(key)
  local all, first = redis.call('ZCARD', key), redis.call('ZCOUNT', key, '-inf', string.format('(%.0f', 2 * LANE_WIDTH))
  local back = first > 0 and redis.call('ZCOUNT', key, '-inf', string.format('(%.0f', LANE_WIDTH)) or 0
  return {[0] = back, [1] = first - back, [2] = all - first}
end

--[[ How many go in before a key with `rank` smaller ones. While both priority and standard wait they take turns, and
neither starves: priority is next if it has a credit of 100 - share, which that costs it; else standard is, which earns
priority its share. What is owed to priority is its credit beyond being next. Of the turns from now, the n-th is
priority's (t + 1)-th as soon as credit + n * share >= 100 (t + 1), and standard's as soon as n (100 - share) > 100 t +
credit. ]]
local function ahead_of(pool, lanes, key, rank)
  local share = pool.rules and pool.rules.share or SHARE
  local credit = 100 - share + pool.owed
  if key < LANE_WIDTH then return rank end
  if key < 2 * LANE_WIDTH then
    if lanes[2] == 0 then return rank end
    local turn = rank - lanes[0]
    return rank + max(0, min(lanes[2], ceil((100 * (turn + 1) - credit) / share) - 1 - turn))
  end
  if lanes[1] == 0 then return rank end
  local turn = rank - lanes[0] - lanes[1]
  return rank - lanes[1] + max(0, min(lanes[1], floor((100 * turn + credit) / (100 - share)) - turn))
end

-- Somebody of this lane is let in, and who is left waits. Turns that nobody of the other lane could take are not owed.
local function take_turn(pool, lane)
  if lane == 0 then return end
  local share, lanes = pool.rules.share, pool.lanes
  if lane == 1 then
    pool.owed = max(pool.owed + share - 100, -share * lanes[2])
  else
    pool.owed = min(pool.owed + share, max(0, 100 * lanes[1] + share - 100))
  end
end

-- Where a ticket stands among those present from now on; nil: nowhere.
local function stand_at(pool, ticket, key)
  local lanes, before = pool.lanes, ticket.awake_key
  if before then
    local lane = floor(before / LANE_WIDTH)
    pool.waiting, lanes[lane] = pool.waiting - 1, lanes[lane] - 1
  end
  if key then
    local lane = floor(key / LANE_WIDTH)
    pool.waiting, lanes[lane] = pool.waiting + 1, lanes[lane] + 1
  end
  ticket.awake_key = key
end

local function admit(pool, ticket, way)
  local backend, visitor, kind = quietest(pool), ticket.visitor, ticket.kind
  redis.call('ZADD', backend.key, pool.now + PROVISIONAL_MS, visitor)
  write_pass(pool, visitor, {admitted = pool.now, keep = 0, backend = backend.name, cleared = backend.since})
  if ticket.awake_key or ticket.line_key then forget_place(pool, visitor) end
  stand_at(pool, ticket, nil)
  take_turn(pool, kind.lane)
  redis.call('ZREM', pool.left, visitor)
  backend.used, backend.room, pool.free = backend.used + 1, backend.room - 1, pool.free - 1
  take_from_ramp(backend)
  pool.tokens = pool.tokens - ONE_TOKEN
  pool.room = may_enter(pool)
  count_admission(pool, way)
  end_wait(pool, visitor, ticket.arrival, kind.lane, ticket.new and 1 or 0, backend.name, kind.exam and kind.exam.name)
  return {state = ADMITTED, backend = backend.index, admitted = pool.now, ahead = 0, poll = POLL_MIN_MS}
end

-- What a ticket's third argument says; few differ within a call, so each is read once.
local function kind_of(pool, mix)
  local kind = pool.kinds[mix]
  if kind then return kind end
  local number = tonumber(mix)
  local lane, exam = floor(number / 16) % 4, pool.exams[floor(number / 64)]
  kind = {
    lane = lane, base = lane * LANE_WIDTH, exam = exam, lobby = exam and exam.opens > pool.now,
    confirmed = number % 2 == 1, hidden = floor(number / 2) % 2 == 1, may_enter = floor(number / 4) % 2 == 1,
    page = floor(number / 8) % 2 == 1, mix = number,
  }
  kind.beats = kind.confirmed and not kind.lobby
  kind.share = deadline_of(0, number_of(pool, exam))
  pool.kinds[mix] = kind
  return kind
end

-- Where staff moved a ticket to another lane than it says, theirs counts; but nobody is moved out of the lane of those
-- who were in before.
local function heed_staff(pool, ticket)
  local kind, stood = ticket.kind, ticket.line_key and floor(ticket.line_key / LANE_WIDTH)
  if not stood or stood == kind.lane or stood == 0 or kind.lane == 0 or not pool.who then return end
  local lane = tonumber(redis.call('HGET', pool.who, 'lane:' .. ticket.visitor))
  if lane and lane ~= kind.lane then ticket.kind = kind_of(pool, tostring(kind.mix + 16 * (lane - kind.lane))) end
end

-- The arrival behind an order key. That of a place that was drawn is not in it.
local function arrival_of(pool, ticket, key)
  local score = ticket.line_key or ticket.order == 0 and key
  if not score then return stamp(pool) end
  return score - floor(score / LANE_WIDTH) * LANE_WIDTH
end

-- Gives a ticket its order key: by its arrival, or where it was drawn. A newcomer is stamped. A ticket whose session
-- was released has been used up: it stands where it would as a newcomer, which in a lobby is where it is drawn.
local function place(pool, ticket)
  heed_staff(pool, ticket)
  local kind, arrival, order, known = ticket.kind, ticket.arrival, ticket.order, ticket.awake_key
  local key, drawn = arrival > 0 and kind.base + (order > 0 and order or arrival), kind.lobby and order > 0
  local used = false
  if key and known ~= key then
    used = (tonumber(redis.call('ZSCORE', pool.left, ticket.visitor)) or 0) < 0
    if used then known = known or ticket.line_key end
  elseif not key and not known and kind.lobby then
    known = tonumber(redis.call('ZSCORE', kind.exam.lobby, ticket.visitor))
  end
  if key and not used then
    ticket.key = key
    if arrival < pool.born * 1000 then prove_loss(pool) end
    if arrival <= pool.now_us then pool.arrival = max(pool.arrival, arrival) end
  elseif known then -- a newcomer whose answer was lost, or a used ticket that has its new place already
    ticket.arrival = arrival_of(pool, ticket, known)
    ticket.key = drawn and kind.base + order or known
  else
    count(pool, 't:arrivals', used and 0 or 1)
    ticket.new, ticket.arrival = true, stamp(pool)
    ticket.key = kind.base + (drawn and order or ticket.arrival)
  end
end

-- What many tickets of a batch write to one key goes there in one command: `joins` to awake, `stands` to line,
-- `deadlines` to due. Those who join this way come behind everybody, so nobody's rank depends on when they are written.
local function note(list, score, visitor)
  list[#list + 1], list[#list + 2] = score, visitor
end

local function write_noted(pool)
  if #pool.joins > 0 then redis.call('ZADD', pool.awake, unpack(pool.joins)) end
  if #pool.stands > 0 then redis.call('ZADD', pool.line, unpack(pool.stands)) end
  if #pool.deadlines > 0 then redis.call('ZADD', pool.due, unpack(pool.deadlines)) end
  pool.joins, pool.stands, pool.deadlines = {}, {}, {}
end

local function stand_in_line(pool, ticket)
  local score = ticket.kind.base + ticket.arrival
  if ticket.kind.confirmed and ticket.line_key ~= score then note(pool.stands, score, ticket.visitor) end
end

local function wait_in_lobby(pool, ticket)
  local exam, visitor = ticket.kind.exam, ticket.visitor
  if ticket.awake_key then -- the opening was moved to later
    redis.call('ZREM', pool.awake, visitor)
    redis.call('ZREM', pool.due, visitor)
    stand_at(pool, ticket, nil)
  end
  expect_opening(pool, exam)
  if redis.call('ZADD', exam.lobby, 'CH', ticket.key, visitor) == 1 then exam.lanes = nil end
  stand_in_line(pool, ticket)
  local lanes = exam.lanes or lanes_of(exam.lobby)
  local ahead = ahead_of(pool, lanes, ticket.key, redis.call('ZRANK', exam.lobby, visitor))
  exam.lanes = lanes
  local poll, deadline = heartbeat(pool, visitor, ticket.kind, lobby_poll_ms(pool, exam, ahead, visitor))
  redis.call('ZADD', exam.due, deadline, visitor)
  local state = pool.held and HELD or LOBBY
  return {state = state, ahead = ahead, waiting = lanes[0] + lanes[1] + lanes[2], poll = poll}
end

local function waiting_word(pool, kind)
  if pool.held then return HELD end
  if not pool.open then return DOWN end
  return kind.lane == 0 and RETURNING or WAITING
end

-- Gives a ticket its place among the others; how many are ahead of it there.
local function stand_among(pool, ticket)
  if ticket.awake_key ~= ticket.key then
    write_noted(pool)
    redis.call('ZADD', pool.awake, ticket.key, ticket.visitor)
    stand_at(pool, ticket, ticket.key)
  end
  return ahead_of(pool, pool.lanes, ticket.key, redis.call('ZRANK', pool.awake, ticket.visitor))
end

local function wait_in_line(pool, ticket)
  local visitor, kind, key = ticket.visitor, ticket.kind, ticket.key
  local last = not ticket.awake_key and key > pool.last_key -- as all newcomers are
  local ahead = last and ahead_of(pool, pool.lanes, key, pool.waiting) or stand_among(pool, ticket)
  if not ticket.new and kind.may_enter and ahead < pool.room then
    return admit(pool, ticket, kind.lane == 0 and 'return' or 'line')
  end
  if last then
    note(pool.joins, key, visitor)
    pool.last_key = key
    stand_at(pool, ticket, key)
  end
  stand_in_line(pool, ticket)
  local poll, deadline = heartbeat(pool, visitor, kind, poll_ms(pool, ahead, visitor))
  note(pool.deadlines, deadline, visitor)
  return {state = waiting_word(pool, kind), ahead = ahead, poll = poll}
end

local function present_one(pool, ticket)
  local pass = pass_of(ticket.pass_text)
  local backend = pass and pool.backend[pass.backend]
  if backend and backend.limit then
    ticket.arrival = ticket.arrival > 0 and ticket.arrival or pass.admitted * 1000
    return {
      state = ADMITTED + TOLD_BEFORE, backend = backend.index, admitted = pass.admitted, ahead = 0, poll = POLL_MIN_MS,
    }
  end
  place(pool, ticket)
  pool.room = may_enter(pool) -- placing may have proved a loss
  if ticket.kind.lobby then return wait_in_lobby(pool, ticket) end
  if ticket.new and ticket.kind.may_enter and pool.waiting == 0 and pool.room > 0 then
    return admit(pool, ticket, ticket.kind.lane == 0 and 'return' or 'direct')
  end
  return wait_in_line(pool, ticket)
end

local function end_session(pool, visitor, backend, ended)
  redis.call('ZREM', backend.key, visitor)
  redis.call('HDEL', pool.passes, visitor)
  redis.call('ZADD', pool.left, ended, visitor)
  if backend.used then backend.used = backend.used - 1 end
end

-- The arrival, with its lane, and the deadline of a ticket, wherever it stands; nil if it stands nowhere.
local function place_of(pool, visitor)
  local key = redis.call('ZSCORE', pool.line, visitor) or redis.call('ZSCORE', pool.awake, visitor)
  local deadline = redis.call('ZSCORE', pool.due, visitor)
  for _, exam in ipairs(deadline and {} or pool.exams) do
    key = key or redis.call('ZSCORE', exam.lobby, visitor)
    deadline = deadline or redis.call('ZSCORE', exam.due, visitor)
  end
  return tonumber(key), tonumber(deadline) or 0
end

-- A ticket gives up its place; a session that its visitor holds ends. Returns 1 if there was a place.
local function leave(pool, visitor)
  local key, deadline = place_of(pool, visitor)
  local stood = redis.call('ZREM', pool.awake, visitor) + redis.call('ZREM', pool.line, visitor)
  redis.call('ZREM', pool.due, visitor)
  for _, exam in ipairs(pool.exams) do
    stood = stood + redis.call('ZREM', exam.lobby, visitor)
    redis.call('ZREM', exam.due, visitor)
  end
  local pass = pass_of(redis.call('HGET', pool.passes, visitor))
  if pass and pool.backend[pass.backend] then
    local backend = pool.backend[pass.backend]
    end_session(pool, visitor, backend, -pool.now)
    count_ends(pool, 'left', 1, max(0, pool.now - pass.admitted))
    if backend.back then redis.call('ZREM', backend.back, visitor) end
    if backend.back then redis.call('ZREM', backend.back_due, visitor) end
  elseif stood > 0 then
    count(pool, 't:departures:left', 1)
    if key then leave_line(pool, visitor, key, deadline) end
  end
  redis.call('ZADD', pool.left, -pool.now, visitor)
  return min(1, stood)
end

-- A ticket's second argument: arrival, order and who its holder is, as keyed hashes.
local function place_in(text)
  local arrival, order, names = string.match(text, '^(%d+):(%d+):?(.*)$')
  if arrival then return tonumber(arrival), tonumber(order), names end
  return tonumber(text), 0, ''
end

local function has_session(pool, visitor)
  local pass = pass_of(redis.call('HGET', pool.passes, visitor))
  return pass and pool.backend[pass.backend] and pool.backend[pass.backend].limit
end

-- Which order key a visitor has who is known already; of a session that has lapsed, before all who never were in.
local function key_of(pool, visitor)
  local key = redis.call('ZSCORE', pool.awake, visitor)
  for _, exam in ipairs(pool.exams) do key = key or redis.call('ZSCORE', exam.lobby, visitor) end
  key = tonumber(key or redis.call('ZSCORE', pool.line, visitor))
  local left = tonumber(redis.call('ZSCORE', pool.left, visitor))
  return key or left and (left > 0 and 0 or math.huge), left
end

-- Which of the two visitors that one student is here has the better place: a session, then the smaller order key.
local function is_better(pool, known, visitor, kind, arrival, order)
  if has_session(pool, known) then return true end
  if has_session(pool, visitor) then return false end
  local key = key_of(pool, known)
  if not key or arrival == 0 then return key ~= nil end
  return key <= kind.base + (order > 0 and order or arrival)
end

-- After somebody gave up a place within a batch: what was fetched for the others may have changed.
local function fetch_again(pool)
  count_free(pool)
  local last = redis.call('ZRANGE', pool.awake, -1, -1, 'WITHSCORES')
  pool.last_key, pool.lanes = tonumber(last[2]) or -1, lanes_of(pool.awake)
  pool.waiting = pool.lanes[0] + pool.lanes[1] + pool.lanes[2]
  pool.room, pool.stale = may_enter(pool), true
end

-- One student, one place (identity): the visitor by whom a student is known, if that is another one than asks. The
-- worse of their two places is given up, so that at no moment they hold both. Nil: the asker is, from now on.
local function known_as(pool, visitor, kind, arrival, order, names)
  local fields, known = {}, nil
  for name in string.gmatch(names, '[^,]+') do fields[#fields + 1] = name end
  if #fields == 0 or not pool.who then return nil end
  local found = redis.call('HMGET', pool.who, unpack(fields))
  for index = 1, #fields do known = known or found[index] end
  local one = visitor
  if known and known ~= visitor then
    write_noted(pool)
    local is_known = is_better(pool, known, visitor, kind, arrival, order)
    one = is_known and known or visitor
    if arrival > 0 or not is_known then
      leave(pool, is_known and visitor or known)
      fetch_again(pool)
    end
  end
  for index, name in ipairs(fields) do
    if found[index] ~= one then redis.call('HSET', pool.who, name, one) end
  end
  return one ~= visitor and one or nil
end

-- Lane and arrival of such a visitor, as far as they are remembered.
local function known_place(pool, visitor)
  local score = tonumber(redis.call('ZSCORE', pool.line, visitor))
  if score then
    local lane = floor(score / LANE_WIDTH)
    return lane, score - lane * LANE_WIDTH
  end
  local key, left = key_of(pool, visitor)
  if key == 0 and left and not has_session(pool, visitor) then return 0, 0 end
  return key and key < math.huge and floor(key / LANE_WIDTH) or 2, 0
end

-- What is known of a batch's tickets, in one command a key instead of one a ticket. A visitor who is in the batch again
-- is looked up when their turn comes.
local function fetch(pool, visitors)
  pool.visitors = visitors
  pool.awake_keys = redis.call('ZMSCORE', pool.awake, unpack(visitors))
  pool.line_keys = redis.call('ZMSCORE', pool.line, unpack(visitors))
  local last = redis.call('ZRANGE', pool.awake, -1, -1, 'WITHSCORES')
  pool.last_key, pool.lanes = tonumber(last[2]) or -1, lanes_of(pool.awake)
  pool.waiting = pool.lanes[0] + pool.lanes[1] + pool.lanes[2]
  pool.joins, pool.stands, pool.deadlines, pool.kinds, pool.seen = {}, {}, {}, {}, {}
  pool.room = may_enter(pool)
end

local function look_again(pool, index, visitor)
  write_noted(pool)
  if pool.pass_texts then pool.pass_texts[index] = redis.call('HGET', pool.passes, visitor) end
  pool.awake_keys[index] = redis.call('ZSCORE', pool.awake, visitor)
  pool.line_keys[index] = redis.call('ZSCORE', pool.line, visitor)
end

-- The common case, a waiting ticket's heartbeat that changes nothing but its deadline: how many are ahead. Else nil.
-- Who has a pass stands in no line, unless its backend is gone from the rules: then it is a ticket like any other.
local function beat(pool, index, visitor, kind, arrival, order)
  if not kind.beats then return nil end
  local score = kind.base + arrival
  local key = order > 0 and kind.base + order or score
  if tonumber(pool.awake_keys[index]) ~= key or tonumber(pool.line_keys[index]) ~= score then return nil end
  local ahead = ahead_of(pool, pool.lanes, key, redis.call('ZRANK', pool.awake, visitor))
  if ahead < pool.room and kind.may_enter then return nil end
  return ahead
end

local function ticket_of(pool, index, visitor, kind, arrival, order)
  pool.pass_texts = pool.pass_texts or redis.call('HMGET', pool.passes, unpack(pool.visitors))
  return {
    visitor = visitor, kind = kind, arrival = arrival, order = order,
    pass_text = pool.pass_texts[index], awake_key = tonumber(pool.awake_keys[index]),
    line_key = tonumber(pool.line_keys[index]),
  }
end

do
local function tell(reply, n, ticket, told, asked)
  local state, backend, admitted = told.state, told.backend or 0, told.admitted or 0
  if asked.lanes and ticket.kind.lane ~= asked.lane then state = state + IN_LANE * (ticket.kind.lane + 1) end
  if asked.brief then
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = state, told.ahead, told.waiting, told.poll
    reply[n + 5], reply[n + 6], reply[n + 7] = ticket.arrival, backend, admitted
  else
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = state, ticket.arrival, backend, admitted
    reply[n + 5], reply[n + 6], reply[n + 7] = told.ahead, told.waiting, told.poll
  end
  return n + 7
end

local function tell_known(pool, reply, n, visitor)
  write_noted(pool)
  local lane, arrival = known_place(pool, visitor)
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = KNOWN, lane, 0, POLL_MIN_MS
  reply[n + 5], reply[n + 6], reply[n + 7], reply[n + 8] = arrival, 0, 0, visitor
  return n + 8
end

-- How a worker asks, by the word behind its last ticket. Takes the word away.
local function take_word(args)
  local word, stamped_us = string.match(args[#args], '^(%a+):?(%d*)$')
  local asked = {brief = word == 'brief' or word == 'lanes' or word == 'known', known = word == 'known'}
  asked.lanes = asked.brief and word ~= 'brief'
  if asked.brief then args[#args] = nil end
  return asked, stamped_us
end

--[[ wr_present: a batch of visitors shows up: newcomers join, tickets beat, whoever's turn it is enters.
KEYS   the pool's
ARGV   the pool's, then of each ticket: visitor, place (arrival_us, 0 for a newcomer; then : and order_us or 0, if there
       is one or what follows; then : and keyed hashes of whose ticket it is, with commas), mix (1 confirmed + 2 hidden
       + 4 may enter + 8 page + 16 * lane + 64 * position of its exam in ARGV, 0 for none; behind the last ticket stands
       how to reply: lanes, known where hashes are to be looked at, brief as workers of version 4 ask; and, after a
       colon, the latest arrival_us in these tickets that a store stamped)
Reply  0, now_ms, then of each ticket: state (+ 16: told before), ahead, waiting, next_poll_ms; and, unless 32 is added
       to the state (it waits as it came), arrival_us, position of its backend in ARGV or 0, admitted_ms. If lanes, to
       the state is added 64 * (1 + lane) of a ticket that is in another lane than it says. If known, state 6 says: this
       student is here already, come again as that visitor; its lane stands for ahead, and visitor behind admitted_ms.
       If none of the three, as workers of version 1 ask: state, arrival_us, position of its backend, admitted_ms,
       ahead, waiting, next_poll_ms ]]
local function wr_present(keys, args)
  local asked, stamped_us = take_word(args)
  local pool = pool_of(keys, args)
  if not load_rules(pool) then return {1} end
  read_state(pool)
  stamped_us = tonumber(stamped_us)
  if stamped_us and stamped_us > pool.arrival and stamped_us <= pool.now_us then prove_older(pool, stamped_us) end
  local missing = due_openings(pool)
  if #missing > 0 then return {2, {}, missing} end
  settle_openings(pool)
  expire_sessions(pool, EXPIRED_IN_PASSING)
  expire_presence(pool, pool.due, pool.awake, EXPIRED_IN_PASSING)
  fill_bucket(pool)
  count_free(pool)
  local visitors, reply, n, index = {}, {0, pool.now}, 2, 0
  for at = pool.first, #args, 3 do visitors[#visitors + 1] = args[at] end
  if #visitors == 0 then return reply end
  local owed, before = pool.owed, pool.arrival
  fetch(pool, visitors)
  local seen = pool.seen
  for at = pool.first, #args, 3 do
    index = index + 1
    local visitor, kind, names, known = args[at], kind_of(pool, args[at + 2]), '', nil
    local arrival, order = tonumber(args[at + 1]), 0
    if not arrival then arrival, order, names = place_in(args[at + 1]) end
    if asked.known then known = known_as(pool, visitor, kind, arrival, order, names) end
    if seen[visitor] or pool.stale then look_again(pool, index, visitor) end
    seen[visitor] = true
    local ahead = not known and beat(pool, index, visitor, kind, arrival, order)
    if known then
      n = tell_known(pool, reply, n, known)
    elseif ahead and asked.brief then
      local poll, deadline = heartbeat(pool, visitor, kind, poll_ms(pool, ahead, visitor))
      note(pool.deadlines, deadline, visitor)
      reply[n + 1], reply[n + 2] = waiting_word(pool, kind) + AS_IT_CAME, ahead
      reply[n + 3], reply[n + 4] = pool.waiting, poll
      n = n + 4
    else
      local ticket = ticket_of(pool, index, visitor, kind, arrival, order)
      local told = present_one(pool, ticket)
      told.waiting, asked.lane = told.waiting or pool.waiting, kind.lane
      n = tell(reply, n, ticket, told, asked)
    end
  end
  write_noted(pool)
  save_bucket(pool)
  if pool.arrival ~= before then change(pool, 'arrival', pool.arrival) end
  if pool.owed ~= owed then change(pool, 'owed', pool.owed) end
  save(pool)
  return reply
end
redis.register_function('wr_present', wr_present)
end

-- When a session lapses: idle timeout within max duration, and never before the end of its exam.
local function lapse_ms(pool, admitted, keep)
  return max(min(pool.now + pool.rules.idle_ms, admitted + pool.rules.max_ms), keep)
end

-- The same for who has just shown a pass: while their exam runs they are in, whatever has passed (law 6).
local function session_ms(pool, admitted, touch)
  local expires = lapse_ms(pool, admitted, touch.keep)
  return touch.over > pool.now and max(expires, pool.now + pool.rules.idle_ms) or expires
end

-- Starts (again) the session that a pass speaks of.
local function resume(pool, touch, expires)
  forget_place(pool, touch.visitor)
  redis.call('ZREM', pool.left, touch.visitor)
  redis.call('ZADD', touch.backend.key, expires, touch.visitor)
  write_pass(pool, touch.visitor, {
    admitted = touch.admitted, keep = touch.keep, backend = touch.backend.name, cleared = touch.cleared,
    attempt = touch.attempt,
  })
  if touch.backend.used then touch.backend.used = touch.backend.used + 1 end
  return LIVE, expires
end

local function has_room(pool, backend)
  if not (backend.limit and backend.open) or backend.ramps or pool.held or pool.now < pool.freeze then return false end
  backend.used = backend.used or redis.call('ZCARD', backend.key)
  return backend.used < backend.limit and redis.call('ZCARD', pool.awake) == 0
end

local function touch_live(pool, touch, pass)
  local expires = session_ms(pool, pass.admitted, touch)
  if expires <= pool.now then
    end_session(pool, touch.visitor, touch.backend, pool.now)
    count_ends(pool, 'lapsed', 1, max(0, pool.now - pass.admitted))
    return LAPSED, 0
  end
  redis.call('ZADD', touch.backend.key, expires, touch.visitor)
  if pass.keep ~= touch.keep or pass.attempt < touch.attempt then
    pass.keep, pass.attempt = touch.keep, max(pass.attempt, touch.attempt)
    write_pass(pool, touch.visitor, pass)
  end
  return LIVE, expires
end

-- A pass without a session: over, to be revived (law 6), or unknown because the store was lost (law 9).
local function touch_dead(pool, touch, ended)
  local expires = session_ms(pool, touch.admitted, touch)
  local known = ended and (ended < 0 and -ended or ended) >= touch.admitted
  if known and ended < 0 then return RELEASED, 0 end
  if expires <= pool.now then return LAPSED, 0 end
  if not known then
    if touch.admitted < pool.born then prove_loss(pool) end
    return resume(pool, touch, expires)
  end
  if touch.over > pool.now or has_room(pool, touch.backend) then
    count_admission(pool, 'return')
    return resume(pool, touch, expires)
  end
  return LAPSED, 0
end

do
--[[ wr_touch: a batch of passes was used: their sessions live on, end, or start again.
KEYS   the pool's
ARGV   the pool's, then of each pass: visitor, position of its backend in ARGV (+ 65536: its holder has saved
       something; + 131072: its slot is not kept until then), admitted_ms, end of its exam (ms) or 0
Reply  0, now_ms, then of each pass: life (0 live, 1 lapsed, 2 released), expires_ms ]]
local function wr_touch(keys, args)
  local pool = pool_of(keys, args)
  if not load_rules(pool) then return {1} end
  read_state(pool)
  expire_sessions(pool, EXPIRED_IN_PASSING)
  expire_presence(pool, pool.due, pool.awake, EXPIRED_IN_PASSING)
  local reply, n = {0, pool.now}, 2
  for at = pool.first, #args, 4 do
    local position = tonumber(args[at + 1])
    local touch = {
      visitor = args[at], backend = pool.backends[position % SAVED], admitted = tonumber(args[at + 2]),
      over = tonumber(args[at + 3]), attempt = floor(position / SAVED) % 2,
    }
    touch.keep = position < LAPSES and touch.over or 0
    local pass = pass_of(redis.call('HGET', pool.passes, touch.visitor))
    local life, expires
    if pass and pass.backend == touch.backend.name then
      life, expires = touch_live(pool, touch, pass)
    elseif pass then -- the pass of a session before this one, which is on another backend
      life, expires = LAPSED, 0
    else
      life, expires = touch_dead(pool, touch, tonumber(redis.call('ZSCORE', pool.left, touch.visitor)))
    end
    reply[n + 1], reply[n + 2] = life, expires
    n = n + 2
  end
  save(pool)
  return reply
end
redis.register_function('wr_touch', wr_touch)
end

-- Who waits to come back stands among those who had a session before: in an open attempt first, then who was in first.
local function back_key(return_) return (1 - return_.attempt) * LANE_WIDTH + return_.admitted * 1000 end

-- The backend whose ramp somebody waits at: their own; a sibling where that is down for good.
local function way_back(pool, backend)
  if not backend.down or pool.rules.move ~= 1 then return backend end
  local best, best_share
  for _, sibling in ipairs(pool.backends) do
    if sibling.limit and sibling.open then
      sibling.used = sibling.used or redis.call('ZCARD', sibling.key)
      local share = (sibling.limit - sibling.used) / sibling.limit
      if not best or share > best_share then best, best_share = sibling, share end
    end
  end
  return best or backend
end

local function leave_ramps(pool, visitor)
  for _, backend in ipairs(pool.backends) do
    redis.call('ZREM', backend.back, visitor)
    redis.call('ZREM', backend.back_due, visitor)
  end
end

-- Who has not been heard of in time waits no more; they stand where they stood as soon as they are.
local function expire_returns(pool, bound)
  if pool.now < pool.mercy then return end
  for _, backend in ipairs(pool.live and pool.backends or {}) do -- a worker of before names no such keys
    local late = redis.call('ZRANGEBYSCORE', backend.back_due, '-inf', '(' .. pool.now, 'LIMIT', 0, bound)
    if #late > 0 then
      redis.call('ZREM', backend.back, unpack(late))
      redis.call('ZREM', backend.back_due, unpack(late))
    end
  end
end

-- Lets a holder of a session of before back in, on their backend or on the sibling that takes them.
local function let_back(pool, return_, target, pass)
  leave_ramps(pool, return_.visitor)
  if pass and pass.backend ~= target.name and pool.backend[pass.backend] then
    redis.call('ZREM', pool.backend[pass.backend].key, return_.visitor)
  end
  take_from_ramp(target)
  if target.ramps then return_.cleared = target.since end
  return_.backend = target
  resume(pool, return_, lapse_ms(pool, return_.admitted, return_.keep))
  return BACK, 0, POLL_MIN_MS
end

-- Whether a session ends when one ends whose cookie has not been seen.
local function is_provisional(pass, expires)
  return expires == pass.admitted + PROVISIONAL_MS
end

local function wait_to_come_back(pool, return_, target, pass)
  local visitor, key = return_.visitor, back_key(return_)
  local home = pass and pool.backend[pass.backend]
  if home and is_provisional(pass, tonumber(redis.call('ZSCORE', home.key, visitor))) then -- this is the cookie
    redis.call('ZADD', home.key, lapse_ms(pool, pass.admitted, pass.keep), visitor)
  end
  redis.call('ZADD', target.back, key, visitor)
  local ahead = redis.call('ZRANK', target.back, visitor)
  if target.ramps then
    fill_ramp(pool, target)
    if ahead < floor(target.ramp_tokens / ONE_TOKEN) then return nil end
  end
  local ms, rate = POLL_MIN_MS + ahead * POLL_PLACE_MS, target.ramps and target.ramp_milli or 0
  if rate > 0 then ms = min(ms, (ahead + 1) * 1e6 / rate * POLL_PART) end
  ms = floor(max(POLL_MIN_MS, min(POLL_MAX_MS, ms)) * (0.8 + 0.2 * jitter(visitor)))
  redis.call('ZADD', target.back_due, pool.now + ms + max(SLACK_MS, ms) + (return_.page and PAGE_MS or 0), visitor)
  return STAYS, ahead, ms
end

-- What becomes of the holder of a pass whose backend is down or comes back.
local function return_one(pool, return_)
  local pass = pass_of(redis.call('HGET', pool.passes, return_.visitor))
  local ended = not pass and tonumber(redis.call('ZSCORE', pool.left, return_.visitor)) or 0
  local known = ended ~= 0 and (ended < 0 and -ended or ended) >= return_.admitted
  if known and ended < 0 then return ENDED, 0, 0 end
  if lapse_ms(pool, return_.admitted, return_.keep) <= pool.now then return LOST, 0, 0 end
  if known and return_.keep <= pool.now then return LOST, 0, 0 end
  local own = pass and pool.backend[pass.backend] or return_.backend
  if own ~= return_.backend and own.limit and not own.down then -- moved meanwhile, by another tab's request
    return_.backend = own
    return BACK, 0, POLL_MIN_MS
  end
  return_.attempt = max(return_.attempt, pass and pass.attempt or 0)
  local target = way_back(pool, return_.backend)
  return_.waits_at = target
  local inside = pass and pass.backend == target.name and not target.down
  if inside and (target.phase ~= 'recovering' or pass.cleared == target.since) then
    leave_ramps(pool, return_.visitor)
    return BACK, 0, POLL_MIN_MS
  end
  if target == return_.backend and not target.down and not target.ramps then
    return let_back(pool, return_, target, pass)
  end
  local state, ahead, ms = wait_to_come_back(pool, return_, target, pass)
  if state then return state, ahead, ms end
  return let_back(pool, return_, target, pass)
end

do
--[[ wr_return: holders of passes whose backend is down or comes back ask for their sessions (law 7): they wait, or go on.
KEYS   the pool's
ARGV   the pool's, then of each pass: visitor, position of its backend in ARGV, admitted_ms, keep_until_ms, mix (1 in an
       open attempt + 2 page)
Reply  0, now_ms, then of each pass: state (0 waits, 1 goes on, 2 lapsed, 3 released), ahead, waiting, next_poll_ms,
       position of the backend it goes on with, of the one it waits for, or of its own ]]
local function wr_return(keys, args)
  local pool = pool_of(keys, args)
  if not load_rules(pool) then return {1} end
  read_state(pool)
  expire_returns(pool, EXPIRED_IN_PASSING)
  local reply, n = {0, pool.now}, 2
  for at = pool.first, #args, 5 do
    local mix = tonumber(args[at + 4])
    local return_ = {
      visitor = args[at], backend = pool.backends[tonumber(args[at + 1])], admitted = tonumber(args[at + 2]),
      keep = tonumber(args[at + 3]), attempt = mix % 2, page = mix >= 2,
    }
    local state, ahead, ms = return_one(pool, return_)
    local where = state == STAYS and return_.waits_at or return_.backend
    reply[n + 1], reply[n + 2], reply[n + 3] = state, ahead, redis.call('ZCARD', where.back)
    reply[n + 4], reply[n + 5] = ms, where.index
    n = n + 5
  end
  save_ramps(pool) -- who comes back costs no newcomer a token of the rate
  save(pool)
  return reply
end
redis.register_function('wr_return', wr_return)
end

-- A backend comes back: sessions that would have lapsed while it was down get the time again that nobody could use. Not
-- one whose cookie has not been seen (law 10): who asked meanwhile has shown it.
local function prolong(pool, backend)
  local until_ms = pool.now + pool.rules.idle_ms
  local found = redis.call('ZRANGEBYSCORE', backend.key, '-inf', '(' .. until_ms, 'WITHSCORES')
  for at = 1, #found, 2 do
    local visitor, pass = found[at], pass_of(redis.call('HGET', pool.passes, found[at]))
    if pass and not is_provisional(pass, tonumber(found[at + 1])) then
      redis.call('ZADD', backend.key, lapse_ms(pool, pass.admitted, pass.keep), visitor)
    end
  end
end

-- Writes to the audit what staff changed; `changes` are field, before, value, ... A caller of before says no entry.
local function audit(pool, entry, until_ms, changes)
  if not pool.audit or (entry or '') == '' then return end
  local line = string.format('%.0f %.0f %s', pool.now, until_ms, cjson.encode({entry, unpack(changes)}))
  redis.call('RPUSH', pool.audit, line)
  redis.call('LTRIM', pool.audit, -AUDIT_MAX, -1)
end

-- What was earned so far was earned at the rate of before. Returns which backends are down.
local function begin_live(pool)
  local down = {}
  fill_bucket(pool)
  for _, backend in ipairs(pool.backends) do
    fill_ramp(pool, backend)
    backend.ramp_used = backend.ramps
    down[backend.name] = backend.down
  end
  save_bucket(pool)
  return down
end

-- Sets a field of live; `note` goes with what staff set. Returns the value of before that counted.
local function set_live(pool, field, value, note)
  local counted = not (pool.over and pool.over[field])
  local before = counted and redis.call('HGET', pool.live, field) or ''
  redis.call('HDEL', pool.live, field, 'note:' .. field)
  if value ~= '' then redis.call('HSET', pool.live, field, value) end
  if value ~= '' and note then redis.call('HSET', pool.live, 'note:' .. field, note) end
  return before
end

local function end_live(pool, down)
  load_live(pool)
  for _, backend in ipairs(pool.backends) do
    if down[backend.name] and not backend.down then prolong(pool, backend) end
  end
end

do
--[[ wr_live: sets what lies over the rules while it runs: phases of backends, the adaptive rate, what staff want.
KEYS   the pool's
ARGV   the pool's, then of each field: name, value (empty: no more of it)
Reply  0, now_ms, then of each field: the value of before or an empty one ]]
local function wr_live(keys, args)
  local pool, reply = pool_of(keys, args), {}
  if not load_rules(pool) then return {1} end
  reply[1], reply[2] = 0, pool.now
  read_state(pool)
  local down = begin_live(pool)
  for at = pool.first, #args, 2 do reply[#reply + 1] = set_live(pool, args[at], args[at + 1]) end
  end_live(pool, down)
  save(pool)
  return reply
end
redis.register_function('wr_live', wr_live)

--[[ wr_override: the same for what staff set, for a time or until it is undone, with its entry of the audit.
KEYS   the pool's
ARGV   the pool's, then ms for which it holds (0: until undone), entry of the audit, then of each field: name, value
       (empty: no more of it)
Reply  0, now_ms, then of each field: the value of before or an empty one ]]
local function wr_override(keys, args)
  local pool, reply, changes = pool_of(keys, args), {}, {}
  if not load_rules(pool) then return {1} end
  reply[1], reply[2] = 0, pool.now
  local for_ms, entry = tonumber(args[pool.first]), args[pool.first + 1]
  local until_ms = for_ms > 0 and pool.now + for_ms or 0
  read_state(pool)
  local note, down = string.format('%.0f %.0f %s', pool.now, until_ms, entry), begin_live(pool)
  pool.first = pool.first + 2
  for at = pool.first, #args, 2 do
    local before, n = set_live(pool, args[at], args[at + 1], note), #changes
    reply[#reply + 1] = before
    if before ~= '' or args[at + 1] ~= '' then
      changes[n + 1], changes[n + 2], changes[n + 3] = args[at], before, args[at + 1]
    end
  end
  end_live(pool, down)
  save(pool)
  if #changes > 0 then audit(pool, entry, until_ms, changes) end
  return reply
end
redis.register_function('wr_override', wr_override)
end

do
--[[ wr_tell: something goes into the audit that changed nothing here, such as a reload.
KEYS   the pool's
ARGV   the pool's, then entry of the audit
Reply  0, now_ms ]]
local function wr_tell(keys, args)
  local pool = pool_of(keys, args)
  audit(pool, args[pool.first], 0, {})
  return {0, pool.now}
end
redis.register_function('wr_tell', wr_tell)
end

do
--[[ wr_audit: a page of the audit, the latest pages first, changing nothing.
KEYS   the pool's
ARGV   the pool's, then lines read so far, lines of the page
Reply  0, now_ms, an array of lines of audit, the latest last ]]
local function wr_audit(keys, args)
  local pool = pool_of(keys, args)
  local read, lines = tonumber(args[pool.first]), min(AUDIT_MAX, tonumber(args[pool.first + 1]))
  return {0, pool.now, redis.call('LRANGE', pool.audit, -read - lines, -1 - read)}
end
redis.register_function{function_name = 'wr_audit', callback = wr_audit, flags = {'no-writes'}}
end

do
--[[ wr_traffic: what each worker saw of the backends in its last second, changing nothing.
KEYS   the pool's
ARGV   the pool's, nothing more
Reply  0, now_ms, then of each worker that lives: worker, ms when it said so, text ]]
local function wr_traffic(keys, args)
  local pool, reply = pool_of(keys, args), {}
  reply[1], reply[2] = 0, pool.now
  local fields = redis.call('HGETALL', pool.traffic)
  for at = 1, #fields, 2 do
    local said, text = string.match(fields[at + 1], '^(%d+) (.*)$')
    if math.abs(pool.now - tonumber(said)) <= REPORT_MS and #reply < 3 * REPORTS_MAX then
      local n = #reply
      reply[n + 1], reply[n + 2], reply[n + 3] = fields[at], tonumber(said), text
    end
  end
  return reply
end
redis.register_function{function_name = 'wr_traffic', callback = wr_traffic, flags = {'no-writes'}}
end

do
--[[ wr_report: a worker tells what it saw of the backends, and hears what all have seen.
KEYS   the pool's
ARGV   the pool's, then worker, text
Reply  0, now_ms, then of each worker that lives: worker, text ]]
local function wr_report(keys, args)
  local pool, reply, gone = pool_of(keys, args), {}, {}
  reply[1], reply[2] = 0, pool.now
  redis.call('HSET', pool.traffic, args[pool.first], string.format('%.0f %s', pool.now, args[pool.first + 1]))
  local fields = redis.call('HGETALL', pool.traffic)
  for at = 1, #fields, 2 do
    local said, text = string.match(fields[at + 1], '^(%d+) (.*)$')
    if math.abs(pool.now - tonumber(said)) <= REPORT_MS and #reply < 2 * REPORTS_MAX then
      reply[#reply + 1], reply[#reply + 2] = fields[at], text
    else
      gone[#gone + 1] = fields[at]
    end
  end
  if #gone > 0 then redis.call('HDEL', pool.traffic, unpack(gone)) end
  return reply
end
redis.register_function('wr_report', wr_report)
end

do
--[[ wr_release: sessions end before their time: log-out, attempt finished, staff. Their passes are dead from now on.
KEYS   the pool's
ARGV   the pool's, then of each session: visitor, reason
Reply  0, now_ms, count of sessions that lived ]]
local function wr_release(keys, args)
  local pool = pool_of(keys, args)
  local passes, missing = {}, {}
  for at = pool.first, #args, 2 do
    local pass = pass_of(redis.call('HGET', pool.passes, args[at]))
    if pass and not pool.backend[pass.backend] then missing[#missing + 1] = pass.backend end
    passes[args[at]] = pass
  end
  if #missing > 0 then return {2, missing, {}} end
  read_state(pool)
  local lived = 0
  for at = pool.first, #args, 2 do
    local visitor, reason = args[at], args[at + 1]
    local pass = passes[visitor]
    if pass then
      end_session(pool, visitor, pool.backend[pass.backend], -pool.now)
      count_ends(pool, reason, 1, max(0, pool.now - pass.admitted))
      lived, passes[visitor] = lived + 1, nil
    elseif (tonumber(redis.call('ZSCORE', pool.left, visitor)) or 0) >= 0 then -- the first release counts
      redis.call('ZADD', pool.left, -pool.now, visitor)
      forget_place(pool, visitor) -- who lapsed and waits again logs out: that ticket is used up
    end
  end
  save(pool)
  return {0, pool.now, lived}
end
redis.register_function('wr_release', wr_release)
end

do
--[[ wr_leave: tickets give up their places. A session that such a visitor holds ends too.
KEYS   the pool's
ARGV   the pool's, then of each ticket: visitor
Reply  0, now_ms, count of places given up ]]
local function wr_leave(keys, args)
  local pool = pool_of(keys, args)
  read_state(pool)
  local left = 0
  for at = pool.first, #args do left = left + leave(pool, args[at]) end
  save(pool)
  return {0, pool.now, left}
end
redis.register_function('wr_leave', wr_leave)
end

do
--[[ wr_rules: writes the rules of a pool whole, unless newer or the same are there.
KEYS   the pool's
ARGV   the pool's, then version, text: JSON of rate_milli, burst, idle_ms, max_ms, grace_ms, held (0 or 1), share
       (percent of admissions that priority gets while standard waits too), backends (each name, max_sessions, open as 0
       or 1)
Reply  0, now_ms, version that is in force ]]
local function wr_rules(keys, args)
  local pool = pool_of(keys, args)
  local version, text = tonumber(args[pool.first]), args[pool.first + 1]
  local there = tonumber(redis.call('HGET', pool.rules_key, 'version'))
  read_state(pool)
  if there and there >= version then
    save(pool)
    return {0, pool.now, there}
  end
  local fresh, retired = decode(text), {}
  if load_rules(pool) then
    fill_bucket(pool) -- what was earned so far was earned at the old rate
    save_bucket(pool)
    for _, backend in ipairs(pool.rules.backends) do
      if not fresh.by_name[backend[1]] then retired[#retired + 1] = backend[1] end
    end
    for _, name in ipairs(pool.retired) do
      if not fresh.by_name[name] then retired[#retired + 1] = name end
    end
  end
  redis.call('HSET', pool.rules_key, 'version', version, 'text', text, 'retired', table.concat(retired, ' '))
  save(pool)
  return {0, pool.now, version}
end
redis.register_function('wr_rules', wr_rules)
end

-- Backends and exams that hold something and that the call did not name.
local function unnamed(pool)
  local backends, exams = {}, {}
  local function need(name)
    if not pool.backend[name] then backends[#backends + 1] = name end
  end
  for _, backend in ipairs(pool.rules.backends) do need(backend[1]) end
  for _, name in ipairs(pool.retired) do need(name) end
  for _, field in ipairs(redis.call('HKEYS', pool.state)) do
    local name = string.match(field, '^open:(.*)$')
    if name and not pool.exam[name] then exams[#exams + 1] = name end
  end
  return backends, exams
end

-- What staff say now: exam, at_ms, text, ... What has had its time is dropped by the next sweep.
local function notices_of(pool)
  local found, over = {}, {}
  if not pool.notices then return found, over end -- a worker of before announcements asks
  local fields = redis.call('HGETALL', pool.notices)
  for at = 1, #fields, 2 do
    local said, until_ms, text = string.match(fields[at + 1], '^(%d+) (%d+) (.*)$')
    if until_ms == '0' or tonumber(until_ms) > pool.now then
      found[#found + 1], found[#found + 2], found[#found + 3] = fields[at], tonumber(said), text
    else
      over[#over + 1] = fields[at]
    end
  end
  return found, over
end

do
-- Absent tickets whose grace is over leave the line.
local function forget_absent(pool, due)
  local since = pool.now - pool.rules.grace_ms
  if pool.now < pool.mercy or since <= 0 then return end
  local long = string.format('(%.0f', -since - 1) -- with the number of an exam behind the point it is still this ms
  local found = redis.call('ZRANGEBYSCORE', due, long, '(0', 'WITHSCORES', 'LIMIT', 0, EXPIRED_IN_SWEEP)
  if #found == 0 then return end
  local gone = {}
  for at = 1, #found, 2 do gone[#gone + 1] = found[at] end
  for index, key in ipairs(redis.call('ZMSCORE', pool.line, unpack(gone))) do
    if key then leave_line(pool, gone[index], tonumber(key), tonumber(found[2 * index])) end
  end
  redis.call('ZREM', due, unpack(gone))
  redis.call('ZREM', pool.line, unpack(gone))
  count(pool, 't:departures:absent', #gone)
end

local function forget_ended(pool)
  local before = pool.now - max(FORGET_MS, pool.rules.max_ms)
  if before <= 0 then return end
  redis.call('ZREMRANGEBYSCORE', pool.left, 0, string.format('(%.0f', before))
  redis.call('ZREMRANGEBYSCORE', pool.left, string.format('(%.0f', -before), '(0')
end

-- Ends of waits that are too old, and numbers of exams that no deadline has any more.
local function forget_waits(pool)
  if not pool.waits then return end
  local before = pool.now - max(FORGET_MS, pool.rules.max_ms)
  for _ = 1, EXPIRED_IN_SWEEP do
    local ended = tonumber(string.match(redis.call('LINDEX', pool.waits, 0) or '', '^%S+ %d+ (%d+)'))
    if not ended or ended > before then break end
    redis.call('LPOP', pool.waits)
  end
  if not redis.call('HGET', pool.state, 'exams') or redis.call('EXISTS', pool.due) == 1 then return end
  for _, exam in ipairs(pool.exams) do
    if redis.call('EXISTS', exam.due) == 1 then return end
  end
  local gone = {}
  for _, field in ipairs(redis.call('HKEYS', pool.state)) do
    if #gone < EXPIRED_IN_SWEEP and string.sub(field, 1, 5) == 'exam:' then gone[#gone + 1] = field end
  end
  if #gone < EXPIRED_IN_SWEEP then gone[#gone + 1] = 'exams' end
  redis.call('HDEL', pool.state, unpack(gone))
end

-- Whether anything else is remembered of each of these visitors.
local function are_remembered(pool, visitors)
  local found = {}
  local function look(values)
    for index = 1, #visitors do found[index] = found[index] or values[index] end
  end
  look(redis.call('HMGET', pool.passes, unpack(visitors)))
  for _, key in ipairs({pool.line, pool.due, pool.left}) do look(redis.call('ZMSCORE', key, unpack(visitors))) end
  for _, exam in ipairs(pool.exams) do look(redis.call('ZMSCORE', exam.due, unpack(visitors))) end
  return found
end

-- By whom a student is known, and the lane that staff chose, are forgotten after all else of that visitor: a part of
-- all is looked at in each sweep.
local function forget_names(pool)
  local size = pool.who and redis.call('HLEN', pool.who) or 0
  if size == 0 then return end
  local many = max(LOOKED_AT, min(5 * LOOKED_AT, floor(size / 60)))
  local scanned = redis.call('HSCAN', pool.who, redis.call('HGET', pool.state, 'whose') or '0', 'COUNT', many)
  change(pool, 'whose', scanned[1])
  local entries, at = scanned[2], 1
  while at <= #entries do
    local fields, visitors, gone = {}, {}, {}
    while at <= #entries and #fields < LOOKED_AT do
      fields[#fields + 1] = entries[at]
      visitors[#visitors + 1] = string.match(entries[at], '^lane:(.*)$') or entries[at + 1]
      at = at + 2
    end
    local remembered = are_remembered(pool, visitors)
    for index, field in ipairs(fields) do
      if not remembered[index] then gone[#gone + 1] = field end
    end
    if #gone > 0 then redis.call('HDEL', pool.who, unpack(gone)) end
  end
end

-- What staff set for a time that is over goes, and the audit tells. A note whose field is gone just goes.
local function forget_overrides(pool)
  local over = over_by(pool.set, pool.now, true)
  if not over then return end
  local value, gone = {}, {}
  for at = 1, #pool.set, 2 do value[pool.set[at]] = pool.set[at + 1] end
  for field in pairs(over) do
    gone[#gone + 1] = field
    local entry = string.match(value['note:' .. field] or '', '^%d+ %d+ (.*)$')
    if entry and value[field] then audit(pool, entry, -1, {field, value[field], ''}) end
  end
  local down = begin_live(pool)
  redis.call('HDEL', pool.live, unpack(gone))
  end_live(pool, down)
end

local function forget_seeds(pool)
  local fields = redis.call('HGETALL', pool.state)
  for at = 1, #fields, 2 do
    local opens = string.sub(fields[at], 1, 5) == 'seed:' and tonumber(string.match(fields[at + 1], '^%d+'))
    if opens and opens < pool.now - SEEDS_MS then redis.call('HDEL', pool.state, fields[at]) end
  end
end

-- Measures the flow of the last minute and drops slots that nobody asks for any more, or that lie in the future.
local function measure_flow(pool)
  local slot, admitted = slot_of(pool.now), 0
  local fields = redis.call('HGETALL', pool.flow)
  for at = 1, #fields, 2 do
    local kind, number = string.match(fields[at], '^([adeu]):(%d+)$')
    number = tonumber(number)
    if number and (number <= slot - SLOTS or number > slot) then
      redis.call('HDEL', pool.flow, fields[at])
    elseif kind == 'a' and number > slot - FLOW_SLOTS then
      admitted = admitted + tonumber(fields[at + 1])
    end
  end
  local lived = min(pool.now - (slot - FLOW_SLOTS + 1) * SLOT_MS, pool.now - pool.born)
  change(pool, 'flow', floor(admitted * 1e6 / max(lived, 1000)))
end

-- After the clock went back: deadlines further ahead than any call gives come nearer. Returns whether all have.
local function pull_in(pool, due)
  local latest = pool.now + DUE_MAX_MS
  local far = redis.call('ZRANGEBYSCORE', due, latest + 1, '+inf', 'WITHSCORES', 'LIMIT', 0, PULLED_IN_SWEEP)
  for at = 1, #far, 2 do
    redis.call('ZADD', due, deadline_of(latest, number_in(tonumber(far[at + 1]))), far[at])
  end
  return #far < 2 * PULLED_IN_SWEEP
end

local function pull_in_all(pool)
  local done = pull_in(pool, pool.due)
  for _, exam in ipairs(pool.exams) do done = pull_in(pool, exam.due) and done end
  for _, backend in ipairs(pool.backends) do
    local latest = pool.now + pool.rules.idle_ms
    for _, visitor in ipairs(redis.call('ZRANGEBYSCORE', backend.key, '(' .. latest, '+inf')) do
      local pass = pass_of(redis.call('HGET', pool.passes, visitor))
      redis.call('ZADD', backend.key, max(latest, pass and pass.keep or 0), visitor)
    end
  end
  if done then change(pool, 'pull', 0) end
end

local function drop_retired(pool)
  local still = {}
  for _, name in ipairs(pool.retired) do
    if redis.call('EXISTS', pool.backend[name].key) == 1 then still[#still + 1] = name end
  end
  if #still < #pool.retired then redis.call('HSET', pool.rules_key, 'retired', table.concat(still, ' ')) end
end

-- Departures that no sweep has told yet, so that each is counted once whoever ended it: reason, number, ...
local function untold_departures(pool)
  local untold = {}
  local fields = redis.call('HGETALL', pool.flow)
  for at = 1, #fields, 2 do
    local reason = string.match(fields[at], '^t:departures:(.*)$')
    if reason then
      local total = tonumber(fields[at + 1])
      local told = tonumber(redis.call('HGET', pool.state, 'told:' .. reason)) or 0
      if total ~= told then
        redis.call('HSET', pool.state, 'told:' .. reason, total)
        untold[#untold + 1], untold[#untold + 2] = reason, total - told
      end
    end
  end
  return untold
end

--[[ wr_sweep: the conductor's second: opens, expires, forgets, measures. Bounded; the next one does what is left over.
KEYS   the pool's
ARGV   the pool's, nothing more
Reply  0, now_ms, then of each reason for which sessions or places have ended since the last sweep: reason, number ]]
local function wr_sweep(keys, args)
  local pool = pool_of(keys, args)
  if not load_rules(pool) then return {1} end
  local backends, exams = unnamed(pool)
  if #backends + #exams > 0 then return {2, backends, exams} end
  read_state(pool)
  forget_overrides(pool)
  settle_openings(pool)
  if redis.call('HGET', pool.state, 'pull') == '1' then pull_in_all(pool) end
  expire_sessions(pool, EXPIRED_IN_SWEEP)
  expire_presence(pool, pool.due, pool.awake, EXPIRED_IN_SWEEP)
  expire_returns(pool, EXPIRED_IN_SWEEP)
  forget_absent(pool, pool.due)
  for _, exam in ipairs(pool.exams) do
    expire_presence(pool, exam.due, exam.lobby, EXPIRED_IN_SWEEP)
    forget_absent(pool, exam.due)
  end
  forget_ended(pool)
  forget_waits(pool)
  forget_names(pool)
  forget_seeds(pool)
  local _, over = notices_of(pool)
  if #over > 0 then redis.call('HDEL', pool.notices, unpack(over)) end
  drop_retired(pool)
  measure_flow(pool)
  save(pool)
  return {0, pool.now, unpack(untold_departures(pool))}
end
redis.register_function('wr_sweep', wr_sweep)
end

do
-- The fields of live that count.
local function set_now(pool)
  if not pool.over then return pool.set end
  local fields = {}
  for at = 1, #pool.set, 2 do
    if not pool.over[pool.set[at]] then
      fields[#fields + 1], fields[#fields + 2] = pool.set[at], pool.set[at + 1]
    end
  end
  return fields
end

local function flow_of(pool)
  local slots, totals, unused, found = {}, {}, {}, {}
  local fields = redis.call('HGETALL', pool.flow)
  for at = 1, #fields, 2 do
    local kind, rest = string.match(fields[at], '^(.):(.*)$')
    if kind == 't' then
      totals[#totals + 1], totals[#totals + 2] = rest, tonumber(fields[at + 1])
    else
      found[fields[at]] = tonumber(fields[at + 1])
    end
  end
  local born = tonumber(redis.call('HGET', pool.state, 'born')) or pool.now
  local last = slot_of(pool.now)
  for slot = max(last - SLOTS + 1, slot_of(born)), last do
    slots[#slots + 1] = slot * SLOT_MS
    slots[#slots + 1] = found['a:' .. slot] or 0
    slots[#slots + 1] = found['e:' .. slot] or 0
    slots[#slots + 1] = found['d:' .. slot] or 0
    unused[#unused + 1] = found['u:' .. slot] or 0
  end
  return slots, totals, unused
end

do
--[[ wr_announce: says something on the pages of a pool or of one of its exams, in place of what was said before.
KEYS   the pool's
ARGV   the pool's, then exam (empty: the whole pool), ms for which it is said (0: for good), text (empty: say nothing),
       entry of the audit
Reply  0, now_ms, the text of before or an empty one ]]
local function wr_announce(keys, args)
  local pool = pool_of(keys, args)
  local exam, for_ms, text = args[pool.first], tonumber(args[pool.first + 1]), args[pool.first + 2]
  local before = ''
  local found = notices_of(pool)
  for at = 1, #found, 3 do
    if found[at] == exam then before = found[at + 2] end
  end
  local until_ms = for_ms > 0 and pool.now + for_ms or 0
  if text == '' then
    redis.call('HDEL', pool.notices, exam)
  else
    redis.call('HSET', pool.notices, exam, string.format('%.0f %.0f %s', pool.now, until_ms, text))
  end
  audit(pool, args[pool.first + 3], until_ms, {'notice:' .. exam, before, text})
  return {0, pool.now, before}
end
redis.register_function('wr_announce', wr_announce)
end

--[[ wr_snapshot: the pool as it is, changing nothing.
KEYS   the pool's
ARGV   the pool's, then instants in ms: ends of exams
Reply  0, now_ms, held, rate_milli, thousandths of tokens, absent, then arrays: waiting in lanes 0 1 2; exam, present in
       its lobby, ...; backend, sessions, max_sessions or 0 while closed, ...; slot's start ms, admitted, ended, ms that
       those had lasted, ...; total, value, ...; exam, ms since when, text of what staff say, ...; backend, who waits to
       come back to it, who had a session and has not come back, ...; the fields of live with their values; sessions
       that lapsed unused in each slot; of each instant, sessions on open backends that are over by then, if unused ]]
local function wr_snapshot(keys, args)
  local pool = pool_of(keys, args)
  if not load_rules(pool) then return {1} end
  local backends, exams = unnamed(pool)
  if #backends + #exams > 0 then return {2, backends, exams} end
  fill_bucket(pool)
  local tokens = pool.rate_milli == 0 and pool.burst * 1000 or floor(pool.tokens / 1000)
  local waiting, lobby, sessions, returns = {}, {}, {}, {}
  for lane = 0, 2 do
    local from, to = lane * LANE_WIDTH, (lane + 1) * LANE_WIDTH
    waiting[lane + 1] = redis.call('ZCOUNT', pool.awake, from, string.format('(%.0f', to))
  end
  local absent = redis.call('ZCOUNT', pool.due, '-inf', '(0')
  for _, exam in ipairs(pool.exams) do
    lobby[#lobby + 1], lobby[#lobby + 2] = exam.name, redis.call('ZCARD', exam.lobby)
    absent = absent + redis.call('ZCOUNT', exam.due, '-inf', '(0')
  end
  for _, backend in ipairs(pool.backends) do
    sessions[#sessions + 1], sessions[#sessions + 2] = backend.name, redis.call('ZCARD', backend.key)
    sessions[#sessions + 1] = backend.open and backend.limit or 0
    if backend.back then
      fill_ramp(pool, backend)
      local absent = backend.phase == 'recovering' and max(0, sessions[#sessions - 1] - backend.came) or 0
      returns[#returns + 1], returns[#returns + 2] = backend.name, redis.call('ZCARD', backend.back)
      returns[#returns + 1] = absent
    end
  end
  local ends = {}
  for at = pool.first, #args do
    local over = 0
    for _, backend in ipairs(pool.backends) do
      if backend.limit and backend.open then over = over + redis.call('ZCOUNT', backend.key, '-inf', args[at]) end
    end
    ends[#ends + 1] = over
  end
  local slots, totals, unused = flow_of(pool)
  return {
    0, pool.now, pool.held and 1 or 0, pool.rate_milli, tokens, absent, waiting, lobby, sessions, slots, totals,
    (notices_of(pool)), returns, set_now(pool), unused, ends,
  }
end
redis.register_function{function_name = 'wr_snapshot', callback = wr_snapshot, flags = {'no-writes'}}
end

do
--[[ wr_waits: a page of the waits of a pool, changing nothing: of those still waiting in order, or of how others ended,
the latest pages first. Who comes or goes while pages are read may be told twice; nobody is left out who was there.
KEYS   the pool's
ARGV   the pool's, then what (0 waiting, 1 ended), where the page begins (waiting: order key; ended: lines read so far),
       lines of the page
Reply  0, now_ms, an array: of those waiting visitor, order key as text, exam, ...; of the others lines of waits ]]
local function wr_waits(keys, args)
  local pool = pool_of(keys, args)
  if not load_rules(pool) then return {1} end
  local _, exams = unnamed(pool)
  if #exams > 0 then return {2, {}, exams} end
  local first, lines = args[pool.first + 1], min(WAITS_IN_PAGE, tonumber(args[pool.first + 2]))
  if args[pool.first] == '1' then
    local last = -1 - tonumber(first)
    return {0, pool.now, redis.call('LRANGE', pool.waits, last - lines + 1, last)}
  end
  local found, page = redis.call('ZRANGEBYSCORE', pool.line, first, '+inf', 'WITHSCORES', 'LIMIT', 0, lines), {}
  for at = 1, #found, 2 do
    local n, _, deadline = #page, place_of(pool, found[at])
    page[n + 1], page[n + 2], page[n + 3] = found[at], found[at + 1], exams_of(pool)[number_in(deadline)] or ''
  end
  return {0, pool.now, page}
end
redis.register_function{function_name = 'wr_waits', callback = wr_waits, flags = {'no-writes'}}
end

do
--[[ wr_where: where tickets stand, changing nothing: to ask is no heartbeat. The exams they come for must be named.
KEYS   the pool's
ARGV   the pool's, then of each ticket: visitor, order key (it tells where an absent ticket would stand)
Reply  0, now_ms, then of each ticket: stands (0 nowhere, 1 in line, 2 in a lobby, 3 admitted), ahead, admitted_ms ]]
local function wr_where(keys, args)
  local pool, reply = pool_of(keys, args), {}
  load_rules(pool)
  pool.owed = tonumber(redis.call('HGET', pool.state, 'owed') or 0)
  reply[1], reply[2] = 0, pool.now
  for at = pool.first, #args, 2 do
    local visitor, stands, among = args[at], 1, pool.awake
    local pass, key = pass_of(redis.call('HGET', pool.passes, visitor)), redis.call('ZSCORE', pool.awake, visitor)
    for _, exam in ipairs(key and {} or pool.exams) do
      if redis.call('ZSCORE', exam.due, visitor) then stands, among = 2, exam.lobby end
    end
    key = key or redis.call('ZSCORE', among, visitor) or redis.call('ZSCORE', pool.line, visitor) and args[at + 1]
    local ahead = key and redis.call('ZCOUNT', among, '-inf', '(' .. key)
    if pass then
      stands, ahead = 3, 0
    elseif not key then
      stands = 0
    end
    local n = #reply
    reply[n + 1], reply[n + 2] = stands, ahead and ahead_of(pool, lanes_of(among), tonumber(key or 0), ahead) or 0
    reply[n + 3] = pass and pass.admitted or 0
  end
  return reply
end
redis.register_function{function_name = 'wr_where', callback = wr_where, flags = {'no-writes'}}
end

do
--[[ wr_lane: staff move a ticket to another lane, where it keeps its order. Who was in before goes ahead of both lanes.
KEYS   the pool's
ARGV   the pool's, then visitor, lane (1 priority, 2 standard), entry of the audit
Reply  0, now_ms, stands (0 nowhere, 1 moved, 2 was in before, 3 admitted), the lane of before ]]
local function wr_lane(keys, args)
  local pool = pool_of(keys, args)
  if not load_rules(pool) then return {1} end
  local visitor, lane = args[pool.first], tonumber(args[pool.first + 1])
  local backends, exams = unnamed(pool)
  if #backends + #exams > 0 then return {2, backends, exams} end
  local score = tonumber(redis.call('ZSCORE', pool.line, visitor))
  local before = score and floor(score / LANE_WIDTH)
  if has_session(pool, visitor) then return {0, pool.now, 3, 0} end
  if not before then return {0, pool.now, 0, 0} end
  if before == 0 then return {0, pool.now, 2, 0} end
  local sets = {pool.line, pool.awake}
  for _, exam in ipairs(pool.exams) do sets[#sets + 1] = exam.lobby end
  for _, set in ipairs(sets) do
    local key = tonumber(redis.call('ZSCORE', set, visitor))
    if key then redis.call('ZADD', set, string.format('%.0f', key + (lane - before) * LANE_WIDTH), visitor) end
  end
  redis.call('HSET', pool.who, 'lane:' .. visitor, lane)
  audit(pool, args[pool.first + 2], 0, {'lane', tostring(before), tostring(lane)})
  return {0, pool.now, 1, before}
end
redis.register_function('wr_lane', wr_lane)
end

do
--[[ wr_dismiss: staff end what a visitor has: a session, or a place in line. Their pass or ticket is used up.
KEYS   the pool's
ARGV   the pool's, then visitor, entry of the audit
Reply  0, now_ms, what they had (0 nothing, 1 a place, 2 a session), backend of the session or empty ]]
local function wr_dismiss(keys, args)
  local pool = pool_of(keys, args)
  if not load_rules(pool) then return {1} end
  local visitor, entry = args[pool.first], args[pool.first + 1]
  local backends, exams = unnamed(pool)
  local pass = pass_of(redis.call('HGET', pool.passes, visitor))
  if pass and not pool.backend[pass.backend] then backends[#backends + 1] = pass.backend end
  if #backends + #exams > 0 then return {2, backends, exams} end
  read_state(pool)
  local what, backend = 0, pass and pass.backend or ''
  if pass then
    end_session(pool, visitor, pool.backend[backend], -pool.now)
    leave_ramps(pool, visitor)
    count_ends(pool, 'released', 1, max(0, pool.now - pass.admitted))
    what = 2
  elseif place_of(pool, visitor) then
    what = leave(pool, visitor)
  end
  if what > 0 then audit(pool, entry, 0, {what == 2 and 'session' or 'place', backend, ''}) end
  save(pool)
  return {0, pool.now, what, backend}
end
redis.register_function('wr_dismiss', wr_dismiss)
end

do
-- Who holds a session: since when, until when, and who is ahead if they wait to come back to it.
local function inside(pool, pass, visitor)
  local backend = pool.backend[pass.backend]
  local back = redis.call('ZRANK', backend.back, visitor)
  local expires = tonumber(redis.call('ZSCORE', backend.key, visitor)) or 0
  return {
    0, pool.now, back and 4 or 3, back or 0, back and redis.call('ZCARD', backend.back) or 0, 0, '0', 0, '',
    pass.backend, pass.admitted, expires, 0,
  }
end

--[[ wr_ticket: all that is known of a visitor, changing nothing: to ask is no heartbeat.
KEYS   the pool's
ARGV   the pool's, then visitor
Reply  0, now_ms, stands (0 nowhere, 1 in line, 2 in a lobby, 3 has a session, 4 waits to come back to it), ahead, of how
       many, lane, arrival_us as text, deadline of the next heartbeat (ms; absent: minus the ms since when), exam,
       backend, admitted_ms, ms when the session lapses, ms when a session or place ended (released: minus; 0: none) ]]
local function wr_ticket(keys, args)
  local pool, visitor = pool_of(keys, args), nil
  if not load_rules(pool) then return {1} end
  visitor = args[pool.first]
  local backends, exams = unnamed(pool)
  local pass = pass_of(redis.call('HGET', pool.passes, visitor))
  if pass and not pool.backend[pass.backend] then backends[#backends + 1] = pass.backend end
  if #backends + #exams > 0 then return {2, backends, exams} end
  if pass then return inside(pool, pass, visitor) end
  pool.owed = tonumber(redis.call('HGET', pool.state, 'owed') or 0)
  local left = tonumber(redis.call('ZSCORE', pool.left, visitor)) or 0
  local place, deadline = place_of(pool, visitor)
  if not place then return {0, pool.now, 0, 0, 0, 0, '0', 0, '', '', 0, 0, left} end
  local stands, among = 1, pool.awake
  for _, exam in ipairs(pool.exams) do
    if redis.call('ZSCORE', exam.due, visitor) then stands, among = 2, exam.lobby end
  end
  local key = tonumber(redis.call('ZSCORE', among, visitor)) or place
  local lanes, lane = lanes_of(among), floor(place / LANE_WIDTH)
  local ahead = ahead_of(pool, lanes, key, redis.call('ZCOUNT', among, '-inf', string.format('(%.0f', key)))
  local exam = exams_of(pool)[number_in(deadline)] or ''
  local due = deadline < 0 and ceil(deadline) or floor(deadline)
  return {
    0, pool.now, stands, ahead, lanes[0] + lanes[1] + lanes[2], lane, string.format('%.0f', place - lane * LANE_WIDTH),
    due, exam, '', 0, 0, left,
  }
end
redis.register_function{function_name = 'wr_ticket', callback = wr_ticket, flags = {'no-writes'}}
end

do
--[[ wr_visitors: a page of the visitors that a pool knows, changing nothing. Whoever is there all the while is named.
KEYS   the pool's
ARGV   the pool's, then which (0 in line or a lobby, 1 with a session, 2 whose session or place has ended), cursor (0:
       the first page), how many about
Reply  0, now_ms, cursor of the next page (0: there is none), an array of visitors ]]
local function wr_visitors(keys, args)
  local pool = pool_of(keys, args)
  local which, cursor, count = tonumber(args[pool.first]), args[pool.first + 1], args[pool.first + 2]
  local key = which == 0 and pool.line or which == 1 and pool.passes or pool.left
  local found = redis.call(which == 1 and 'HSCAN' or 'ZSCAN', key, cursor, 'COUNT', min(WAITS_IN_PAGE, tonumber(count)))
  local visitors = {}
  for at = 1, #found[2], 2 do visitors[#visitors + 1] = found[2][at] end
  return {0, pool.now, found[1], visitors}
end
redis.register_function{function_name = 'wr_visitors', callback = wr_visitors, flags = {'no-writes'}}
end

do
--[[ wr_draw: the seeds by which places are drawn: the first that is named for an opening stays, and stays when the
opening moves. Once it has been used it is for nothing else: everybody may know it.
KEYS   the pool's
ARGV   the pool's, then of each exam: name, opens_ms, seed
Reply  0, now_ms, then of each exam: opens_ms, seed ]]
local function wr_draw(keys, args)
  local pool, reply = pool_of(keys, args), {}
  reply[1], reply[2] = 0, pool.now
  for at = pool.first, #args, 3 do
    local field, opens, seed = 'seed:' .. args[at], tonumber(args[at + 1]), args[at + 2]
    local of, known = string.match(redis.call('HGET', pool.state, field) or '', '^(%d+) (%w+)$')
    of = tonumber(of)
    local fresh = not of or of <= pool.now and opens > pool.now
    if fresh or of > pool.now and of ~= opens then
      of, known = opens, fresh and seed or known
      redis.call('HSET', pool.state, field, string.format('%.0f %s', of, known))
    end
    local n = #reply
    reply[n + 1], reply[n + 2] = of, known
  end
  return reply
end
redis.register_function('wr_draw', wr_draw)
end

do
--[[ wr_prove: a worker shows what this store has said to it, so that a store that forgot it (law 9) is found out before
anybody enters, and says how long it could not reach it, which is not the fault of those who wait. Writes only if
there is something to write, but is refused where nothing could be written.
KEYS   the pool's
ARGV   the pool's, then the latest now_ms in a reply to that worker (0: none), for how many ms visitors could not be
       heard (0: nobody noticed), whether newcomers were stamped meanwhile (0 or 1)
Reply  0, now_ms, the latest now_ms that this store remembers or was shown, ms for which nobody is admitted ]]
local function wr_prove(keys, args)
  local pool = pool_of(keys, args)
  local heard, cut_ms = tonumber(args[pool.first]), tonumber(args[pool.first + 1])
  read_state(pool)
  if cut_ms > 0 and pool.now >= pool.mercy then -- once for all workers, and seldom where one flaps
    be_merciful(pool, cut_ms > GAP_MS and MERCY_MS or CUT_MERCY_MS)
    if args[pool.first + 2] == '1' then freeze_for(pool, SETTLE_MS) end
  end
  if heard > pool.latest then prove_older(pool, heard * 1000) end
  if #pool.changed > 0 then save(pool) end
  return {0, pool.now, pool.latest, max(0, pool.freeze - pool.now)}
end
redis.register_function('wr_prove', wr_prove)
end

do
--[[ A pace is a line of its own, whose turn is one request of somebody inside. Its keys hold:

  pace     hash: tokens (millionths of a request), at (ms of the last call), stamp (us, the last given), born (ms of the
           first call), go:<visitor> ("since until_ms": the page that was told to send, and how long no other is)
  line     zset: visitor with a place, present or absent -> order
  awake    zset: present visitor -> order
  due      zset: visitor -> ms until when they count as present; absent: minus the ms since when
  sent     zset: visitor -> stamp of their last pass; "visitor:form" -> stamp before which whoever had asked with the
           same form asks for what has been sent; "visitor:form:lost" -> the same for pages, where no answer came
  underway zset: "visitor:form" -> ms until when that form is taken to be at the backend

Orders and stamps are us of arrival, each given once, and go on rising when the clock goes back. ]]

local PACE = {
  HOLD_MS = 1000,                -- a held request asks again so often: those before it may have left
  HOLD_SLACK_MS = 250,           -- and may be this late
  PAGE_MS = 1000,                -- no page asks more often
  PAGE_SLACK_MS = 1000,
  EARLY_MS = 2000,               -- a page sends so long before its turn, and is held for the rest: no line is so slow
  NEAR_MS = 2500,                -- a page this near the time to send asks when it comes, others after a part of theirs
  CLAIM_MS = 30000,              -- no other page of a visitor is told to send for so long
  REPEAT_MS = 500,               -- a form that is at the backend already asks again
  UNDERWAY_MS = 30000,           -- nobody told its end: the worker has died
  KEEP_MS = 120000,              -- an absent place, and what was sent, are remembered for so long
  RESTORE_MS = 1300,             -- law 9: within this all held requests have asked again
  PLACES = 100000,
  EXPIRED = 256,                 -- entries of one kind that a call clears
  KEYS_MS = 600000,              -- a pace that nobody uses is forgotten
}

local HOLD, PAGE, DIRECT, TURN, SENT, GO = 0, 1, 2, 3, 4, 5

-- The pace a call works on, and its bucket as it is now. A clock that went back earns nothing, and whoever is there
-- counts as present again when they next ask.
local function pace_at(keys, args)
  take_standard()
  local now_us = tonumber(args[1]) * 1000
  if now_us == 0 then now_us = server_us() end
  local pace = {
    state = keys[1], line = keys[2], awake = keys[3], due = keys[4], sent = keys[5], underway = keys[6],
    now_us = now_us, now = floor(now_us / 1000), rate = tonumber(args[2]), cap = tonumber(args[3]) * ONE_TOKEN,
    first = 4,
  }
  local found = redis.call('HMGET', pace.state, 'tokens', 'at', 'stamp', 'born')
  local tokens, at = tonumber(found[1]), tonumber(found[2])
  pace.tokens = tokens and min(pace.cap, tokens + max(0, pace.now - at) * pace.rate) or pace.cap
  pace.stamp, pace.born = tonumber(found[3]) or 0, tonumber(found[4]) or pace.now
  if at and pace.now < at - BACK_MS then
    redis.call('ZUNIONSTORE', pace.due, 1, pace.due, 'WEIGHTS', 0)
    redis.call('DEL', pace.awake, pace.underway)
    pace.born = min(pace.born, pace.now)
  end
  return pace
end

local function save_pace(pace)
  redis.call(
    'HSET', pace.state, 'tokens', string.format('%.0f', pace.tokens), 'at', pace.now,
    'stamp', string.format('%.0f', pace.stamp), 'born', pace.born)
  for _, key in ipairs({pace.state, pace.line, pace.awake, pace.due, pace.sent, pace.underway}) do
    redis.call('PEXPIRE', key, PACE.KEYS_MS)
  end
end

local function pace_stamp(pace)
  pace.stamp = max(pace.stamp + 1, pace.now_us)
  return pace.stamp
end

-- A form is at the backend no more, and no answer to it has reached its visitor.
local function end_unanswered(pace, key)
  if redis.call('ZREM', pace.underway, key) == 0 then return end
  local passed = redis.call('ZSCORE', pace.sent, key)
  if passed and redis.call('ZREM', pace.sent, key) == 1 then redis.call('ZADD', pace.sent, passed, key .. ':lost') end
end

local function expire_pace(pace)
  local late = redis.call('ZRANGEBYSCORE', pace.due, 0, '(' .. pace.now, 'LIMIT', 0, PACE.EXPIRED)
  if #late > 0 then
    redis.call('ZREM', pace.awake, unpack(late))
    for _, visitor in ipairs(late) do redis.call('ZADD', pace.due, -pace.now, visitor) end
  end
  local long = string.format('(%.0f', PACE.KEEP_MS - pace.now)
  local gone = redis.call('ZRANGEBYSCORE', pace.due, long, '(0', 'LIMIT', 0, PACE.EXPIRED)
  if #gone > 0 then
    redis.call('ZREM', pace.due, unpack(gone))
    redis.call('ZREM', pace.line, unpack(gone))
    for _, visitor in ipairs(gone) do redis.call('HDEL', pace.state, 'go:' .. visitor) end
  end
  local over = redis.call('ZRANGEBYSCORE', pace.underway, '-inf', '(' .. pace.now, 'LIMIT', 0, PACE.EXPIRED)
  for _, key in ipairs(over) do end_unanswered(pace, key) end
  redis.call('ZREMRANGEBYSCORE', pace.sent, '-inf', string.format('(%.0f', pace.now_us - PACE.KEEP_MS * 1000))
  redis.call('ZREMRANGEBYRANK', pace.sent, 0, -2 * PACE.PLACES - 1)
end

-- The visitor counts as present until the time they are to ask again, and a little longer.
local function stand(pace, visitor, order, known, for_ms)
  if not known and redis.call('ZCARD', pace.line) >= PACE.PLACES then return end
  redis.call('ZADD', pace.line, string.format('%.0f', order), visitor)
  redis.call('ZADD', pace.awake, string.format('%.0f', order), visitor)
  redis.call('ZADD', pace.due, 'GT', pace.now + for_ms, visitor)
end

local function pass_on(pace, visitor, key)
  local passed = string.format('%.0f', pace_stamp(pace))
  pace.tokens = pace.tokens - ONE_TOKEN
  for _, places in ipairs({pace.line, pace.awake, pace.due}) do redis.call('ZREM', places, visitor) end
  redis.call('HDEL', pace.state, 'go:' .. visitor)
  redis.call('ZADD', pace.sent, passed, visitor)
  if key then
    redis.call('ZADD', pace.sent, passed, key)
    redis.call('ZADD', pace.underway, pace.now + PACE.UNDERWAY_MS, key)
  end
end

-- A page whose turn is about to come. One at a time is told so, since each would send the form that it keeps.
local function let_send(pace, visitor, order, known, since, wait)
  local claim = redis.call('HGET', pace.state, 'go:' .. visitor)
  local mine = string.format('%.0f', since)
  if claim then
    local holder, until_ms = string.match(claim, '^(%d+) (%d+)$')
    if holder ~= mine and tonumber(until_ms) > pace.now then return PAGE, PACE.PAGE_MS, PACE.PAGE_MS end
  end
  redis.call('HSET', pace.state, 'go:' .. visitor, string.format('%s %.0f', mine, pace.now + PACE.CLAIM_MS))
  stand(pace, visitor, order, known, wait + PACE.HOLD_SLACK_MS)
  return GO, PACE.EARLY_MS, wait
end

-- Whether a request can be held until its turn: for its patience, or since it comes from a page that was told to send.
-- A worker that goes has none at all.
local function may_hold(pace, visitor, wait, patience)
  if wait <= patience or patience <= 0 then return patience > 0 end
  return wait <= 2 * PACE.EARLY_MS and redis.call('HEXISTS', pace.state, 'go:' .. visitor) == 1
end

-- Law 9: somebody asked before this store remembers anything. Nobody passes until all who are held have asked again.
local function prove_pace_loss(pace, since)
  local left = pace.born + PACE.RESTORE_MS - pace.now
  if since < pace.born * 1000 and left > 0 then pace.tokens = min(pace.tokens, ONE_TOKEN - left * pace.rate) end
end

-- What has become of the form that somebody asks with: sent, at the backend, or neither.
local function look_up(pace, key, since, patience)
  local bound = redis.call('ZSCORE', pace.sent, key)
  local lost = patience < 0 and redis.call('ZSCORE', pace.sent, key .. ':lost')
  if redis.call('ZSCORE', pace.underway, key) then
    if patience >= PACE.REPEAT_MS then return HOLD, PACE.REPEAT_MS, PACE.REPEAT_MS end
    return PAGE, PACE.PAGE_MS, PACE.PAGE_MS
  end
  if bound and since < tonumber(bound) or lost and since < tonumber(lost) then return SENT, 0, 0 end
end

-- `patience`: how many ms a request can be held yet; 0: not at all; below 0 a page asks, which never passes.
local function ask_pace(pace, visitor, form, since, patience)
  local fresh, key = since == 0, form ~= '' and visitor .. ':' .. form
  if fresh then since = pace_stamp(pace) else prove_pace_loss(pace, since) end
  if key then
    local verdict, next_ms, wait = look_up(pace, key, since, patience)
    if verdict then return verdict, next_ms, wait, since end
  end
  local known = tonumber(redis.call('ZSCORE', pace.line, visitor))
  local order = known or since
  local passed = not known and not fresh and tonumber(redis.call('ZSCORE', pace.sent, visitor))
  if passed and since < passed then order = pace_stamp(pace) end -- each of several at once of one visitor waits in turn
  local ahead = redis.call('ZCOUNT', pace.awake, '-inf', string.format('(%.0f', order))
  local wait = max(0, ceil(((ahead + 1) * ONE_TOKEN - pace.tokens) / pace.rate))
  if patience < 0 and wait <= PACE.EARLY_MS then
    local verdict, next_ms, left = let_send(pace, visitor, order, known, since, wait)
    return verdict, next_ms, left, since
  elseif wait == 0 then
    pass_on(pace, visitor, key)
    return fresh and not known and DIRECT or TURN, 0, 0, since
  elseif may_hold(pace, visitor, wait, patience) then
    local next_ms = min(wait, PACE.HOLD_MS)
    stand(pace, visitor, order, known, next_ms + PACE.HOLD_SLACK_MS)
    return HOLD, next_ms, wait, since
  end
  local left = wait - PACE.EARLY_MS
  local next_ms = max(PACE.PAGE_MS, left <= PACE.NEAR_MS and left or min(POLL_MAX_MS, floor(left * POLL_PART)))
  stand(pace, visitor, order, known, next_ms + PACE.PAGE_SLACK_MS)
  return PAGE, next_ms, wait, since
end

-- What was passed has an end: 2 without an answer, 3 with one; 4: its visitor had left, and it was not sent at all.
local function end_pace(pace, visitor, form, since, how)
  local key = visitor .. ':' .. form
  if how == 2 then
    end_unanswered(pace, key)
  elseif how == 3 and redis.call('ZREM', pace.underway, key) == 1 then
    redis.call('ZADD', pace.sent, string.format('%.0f', pace_stamp(pace)), key)
  elseif how == 4 then
    redis.call('ZREM', pace.underway, key)
    redis.call('ZREM', pace.sent, key, visitor)
    pace.tokens = min(pace.cap, pace.tokens + ONE_TOKEN)
    if redis.call('ZADD', pace.line, 'NX', string.format('%.0f', since), visitor) == 1 then
      redis.call('ZADD', pace.due, -pace.now, visitor)
    end
  end
end

--[[ wr_pace: a batch of requests that a pace smooths, in the order in which they came. A visitor has one place: who asks
again has it still. Nobody who does not ask again is waited for.
KEYS   pace, pace:line, pace:awake, pace:due, pace:sent, pace:underway
ARGV   now_ms (0: TIME), rate_milli, burst, then of each request: visitor, form (empty: none that could be sent twice),
       since (us as replied before; 0: it asks for the first time), patience (ms it can be held yet, 0 not at all; -1 a
       page asks; what was passed has ended: -2 without an answer, -3 with one, -4 unsent)
Reply  0, now_ms, then of each request: verdict (0 hold it, 1 a page is to come back, 2 it may pass, 3 it may pass after
       a wait, 4 it has been sent, 5 the page may send it, a little early), ms after which to ask again, ms until its
       turn, since ]]
local function wr_pace(keys, args)
  local pace = pace_at(keys, args)
  expire_pace(pace)
  local reply, n = {0, pace.now}, 2
  for at = pace.first, #args, 4 do
    local visitor, form, since, patience = args[at], args[at + 1], tonumber(args[at + 2]), tonumber(args[at + 3])
    local verdict, next_ms, wait = HOLD, 0, 0
    if patience < -1 then
      end_pace(pace, visitor, form, since, -patience)
    else
      verdict, next_ms, wait, since = ask_pace(pace, visitor, form, since, patience)
    end
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = verdict, next_ms, wait, since
    n = n + 4
  end
  save_pace(pace)
  return reply
end
redis.register_function('wr_pace', wr_pace)
end

do
--[[ wr_keep: a record gets a line of an instant, unless it has one of that instant or a later one: who comes first, of
whatever machine, counts. The last lines stay, as long as new ones come within ttl_ms.
KEYS   record
ARGV   instant (ms), most lines, ttl_ms, text
Reply  0, now_ms, 1 if it was kept, else 0 ]]
local function wr_keep(keys, args)
  local record, at, most, ttl_ms, text = keys[1], args[1], args[2], args[3], args[4]
  local last, kept = redis.call('XREVRANGE', record, '+', '-', 'COUNT', 1)[1], 0
  if not last or tonumber(string.match(last[1], '^%d+')) < tonumber(at) then
    redis.call('XADD', record, 'MAXLEN', most, at .. '-0', 't', text)
    redis.call('PEXPIRE', record, ttl_ms)
    kept = 1
  end
  return {0, math.floor(server_us() / 1000), kept}
end
redis.register_function('wr_keep', wr_keep)
end

do
--[[ wr_kept: lines of a record from an instant on, the oldest first, changing nothing.
KEYS   record
ARGV   instant (ms), most lines
Reply  0, now_ms, then of each line: instant (ms), text ]]
local function wr_kept(keys, args)
  local reply = {0, math.floor(server_us() / 1000)}
  for _, line in ipairs(redis.call('XRANGE', keys[1], args[1], '+', 'COUNT', args[2])) do
    local n = #reply
    reply[n + 1], reply[n + 2] = tonumber(string.match(line[1], '^%d+')), line[2][2]
  end
  return reply
end
redis.register_function{function_name = 'wr_kept', callback = wr_kept, flags = {'no-writes'}}
end

do
--[[ wr_version: the version of this library; a newer one understands all that an older one was asked.
KEYS   none
ARGV   none
Reply  version ]]
local function wr_version() return VERSION end
redis.register_function{function_name = 'wr_version', callback = wr_version, flags = {'no-writes'}}
end

do
--[[ wr_lease: takes or renews a lease; only its owner renews it, and nobody takes it before it runs out.
KEYS   lease
ARGV   owner, ttl_ms
Reply  1 if the owner has it now, else 0 ]]
local function wr_lease(keys, args)
  local lease, owner, ttl_ms = keys[1], args[1], args[2]
  local holder = redis.call('GET', lease)
  if holder and holder ~= owner then return 0 end
  redis.call('SET', lease, owner, 'PX', ttl_ms)
  return 1
end
redis.register_function('wr_lease', wr_lease)
end

-- One limit: what vertexq/limits/gate.py says, on Redis's own clock and for all workers at once.
-- KEYS[1] the limit, a hash with the fields NAMES; ARGV: the numbers of SHAPE, then those of take or tell.
-- NAMES, SHAPE and WHAT ("take" or "tell") are written before this text when it is loaded.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local shape, gate, lost = {}, {}, 0
for at, name in ipairs(SHAPE) do shape[name] = tonumber(ARGV[at]) end

local function gap()
  return math.ceil(shape.gap * shape.limit / (gate.rate > 0 and gate.rate or shape.limit))
end

local function load()
  local known = false
  for at, value in ipairs(redis.call('HMGET', KEYS[1], unpack(NAMES))) do
    known = known or value
    gate[NAMES[at]] = tonumber(value or 0) or 0
  end
  if not known then lost = 1 end
  if not known and shape.careful == 1 then gate.empty_at = now + shape.gap end
  if gate.rate >= shape.limit then gate.rate = 0 end
  local window = math.floor(now / shape.window)
  if gate.window ~= window then
    local follows = gate.window == window - 1
    gate.calls_before, gate.broken_before = follows and gate.calls or 0, follows and gate.broken or 0
    gate.calls, gate.broken, gate.window = 0, 0, window
  end
  gate.limit = shape.limit
  gate.empty_at = math.min(gate.empty_at, now + shape.burst * gap())
  gate.cut_at = math.min(gate.cut_at, now)
  gate.blocked_until = math.min(gate.blocked_until, now + shape.longest_block)
  gate.open_until = math.min(gate.open_until, now + shape.open_for)
  gate.probe_until = math.min(gate.probe_until, now + shape.probe_for)
end

local function store()
  local fields = {}
  for _, name in ipairs(NAMES) do
    fields[#fields + 1] = name
    -- %.0f, because Lua would write a large number with an exponent and lose digits
    fields[#fields + 1] = string.format('%.0f', gate[name])
  end
  redis.call('HSET', KEYS[1], unpack(fields))
  redis.call('PEXPIRE', KEYS[1], shape.keep_ms)
end

local function open_breaker()
  gate.open_until, gate.probe, gate.probe_until = now + shape.open_for, 0, 0
end

-- Returns {0 to go or microseconds to wait, the probe's name or 0, now, 1 when nothing was known}.
local function take()
  local wait = gate.blocked_until - now
  if gate.open_until > now then
    wait = math.max(wait, gate.open_until - now)
  elseif gate.open_until > 0 and gate.probe_until > now then
    wait = math.max(wait, math.min(gate.probe_until - now, ASK_AGAIN))
  end
  local full_at = math.max(gate.empty_at, now) + gap()
  wait = math.max(wait, full_at - shape.burst * gap() - now)
  if wait > 0 then return {wait, 0, now, lost} end
  gate.empty_at, gate.calls = full_at, gate.calls + 1
  if gate.open_until == 0 then return {0, 0, now, lost} end
  gate.probe, gate.probe_until = now, now + shape.probe_for
  return {0, now, now, lost}
end

local function too_many()
  local calls, broken = gate.calls + gate.calls_before, gate.broken + gate.broken_before
  local share = calls >= shape.least_calls and broken * 100 >= calls * shape.broken_percent
  return gate.failures >= shape.failures or share
end

local function switch(broken, probe)
  if gate.open_until > 0 then
    if probe == 0 or probe ~= gate.probe then return end
    if broken then return open_breaker() end
    gate.open_until, gate.probe, gate.probe_until = 0, 0, 0
    gate.failures, gate.broken, gate.broken_before = 0, 0, 0
  elseif broken and too_many() then
    open_breaker()
  end
end

local function cut()
  if gate.cut_at > 0 and now - gate.cut_at < shape.cut_every then return end
  local rate = gate.rate > 0 and gate.rate or shape.limit
  gate.rate, gate.cut_at = math.max(shape.floor, math.floor(rate / 2)), now
end

local function rise()
  if gate.rate == 0 then return end
  local worth = math.floor(shape.limit * (gap() / shape.rise))
  gate.rate = gate.rate + math.min(gate.rate, worth)
  if gate.rate >= shape.limit then gate.rate = 0 end
end

-- Returns {now}.
local function tell(verdict, retry, probe)
  if retry > 0 then
    gate.blocked_until = math.max(gate.blocked_until, now + math.min(retry, shape.longest_block))
  end
  local broken = verdict == 'broken'
  if broken then
    gate.failures, gate.broken = gate.failures + 1, gate.broken + 1
  else
    gate.failures = 0
    if verdict == 'throttled' then cut() else rise() end
  end
  switch(broken, probe)
  return {now}
end

load()
local said
if WHAT == 'take' then
  said = take()
else
  local own = #SHAPE
  said = tell(ARGV[own + 1], tonumber(ARGV[own + 2]), tonumber(ARGV[own + 3]))
end
store()
return said

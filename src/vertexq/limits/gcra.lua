-- A bucket by the generic cell rate algorithm: one number, the time at which it is empty again.
-- KEYS[1] the bucket; ARGV: microseconds between two, how many at once, how many to take.
-- Returns {1, 0} when they were taken, {0, microseconds to wait} when not.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local empty_at = tonumber(redis.call('GET', KEYS[1]) or now)
if empty_at < now then empty_at = now end
local full_at = empty_at + cost * interval
local allowed_at = full_at - burst * interval
if allowed_at > now then return {0, allowed_at - now} end
-- %.0f, because Lua would write a large number with an exponent and lose digits
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000) + 1000)
return {1, 0}

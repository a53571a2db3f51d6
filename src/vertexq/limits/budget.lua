-- How many repeated calls the workers of a place may still make: a bucket that successes fill again.
-- KEYS[1] a hash; ARGV: capacity, what successes have earned, what a repeat costs (0: none is asked for),
-- milliseconds to keep it.
-- Returns {1 when the repeat is granted, tokens left}. budget.py's Bucket does the same.
local capacity, earned, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local stored = redis.call('HMGET', KEYS[1], 'tokens', 'refused')
local tokens = math.min(capacity, (tonumber(stored[1] or capacity) or capacity) + earned)
local refused = tonumber(stored[2] or 0) or 0
local granted = tokens >= cost
if granted then tokens = tokens - cost else refused = refused + 1 end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.0f', tokens), 'refused', string.format('%.0f', refused),
  'capacity', string.format('%.0f', capacity))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {granted and 1 or 0, tokens}

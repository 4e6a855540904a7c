-- One step of a token bucket: KEYS[1] is the bucket; ARGV: size, tokens wanted, seconds to refill an empty one.
-- The server's clock decides, so that several appliances agree.
local size = tonumber(ARGV[1])
local wanted = tonumber(ARGV[2])
local refill = tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local held = redis.call('HMGET', KEYS[1], 'tokens', 'last_refill')
local tokens = tonumber(held[1]) or size
local since = tonumber(held[2]) or now
tokens = math.min(size, tokens + math.max(0, now - since) * size / refill)
local before = tokens
if tokens >= wanted then
  tokens = tokens - wanted
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', tokens), 'last_refill', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], refill + 1)
return string.format('%.9f', before)

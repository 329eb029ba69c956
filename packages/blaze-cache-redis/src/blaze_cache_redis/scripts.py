"""What Redis does by itself, as Lua: each call of the cache is one script, so one round trip and atomic.

One hash per namespace, the state, remembers what keeps stale rows out:

- `server`: the run of the server that the state belongs to. A server that was started again, or a replica
  that took over, may have lost deletions: its run is another one, and all that it has from before is left
  behind.
- `epoch`: part of the name of every value; `clear` changes it, and all older values can be found no more.
- `number`: the number of the last deletion; a mark holds it, the epoch, and the time.
- `d<bucket>`: the number of the last deletion of a key of that bucket. Many keys share a bucket, so the
  state has a bounded size and never has to forget; the price is that a value is refused now and then for
  nothing.
- `h<bucket>`: the holds on keys of that bucket: key to holders, each with the millisecond when it ends.

When the server has no memory left it refuses commands that take some, unless the script has written already.
So those scripts that must work all the same begin with a write that takes none.
"""

from __future__ import annotations

from hashlib import sha1
from typing import NamedTuple

__all__ = ["BUCKETS", "CLEAR", "DELETE", "GET", "KEEP", "SET", "Script"]

BUCKETS = 4096
# Milliseconds that the state, and any value at most, is kept without being written: 30 days.
KEEP = 30 * 86_400_000


class Script(NamedTuple):
    """A script and the name under which Redis remembers it."""

    text: str
    sha: str


def _script(text: str) -> Script:
    text = _BEGIN + text
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


_BEGIN = f"""
local state, server, fresh, prefix = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local keep, chunk = {KEEP}, 1000
local known = redis.call('HMGET', state, 'server', 'epoch', 'number')
local epoch, number = known[2], tonumber(known[3] or 0)
if known[1] ~= server then
    redis.call('DEL', state)
    redis.call('HSET', state, 'server', server, 'epoch', fresh, 'number', 0)
    redis.call('PEXPIRE', state, keep)
    epoch, number = fresh, 0
end
local base = prefix .. epoch .. ':'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
"""

# The keys. Returns the mark and the values.
GET = _script("""
local values = {}
for start = 4, #ARGV, chunk do
    local names = {}
    for i = start, math.min(start + chunk - 1, #ARGV) do
        names[#names + 1] = base .. ARGV[i]
    end
    for _, value in ipairs(redis.call('MGET', unpack(names))) do
        values[#values + 1] = value
    end
end
return {string.format('%s %.0f %.0f', epoch, number, now), values}
""")

# The mark or nothing, the milliseconds to live, and bucket, key and value of each. Returns how many it took.
SET = _script("""
local made, seen, at = string.match(ARGV[4], '^(%S+) (%d+) (%d+)$')
if ARGV[4] ~= '' and made ~= epoch then
    return 0
end
seen, at = tonumber(seen), tonumber(at)
local stored = 0
for i = 6, #ARGV, 3 do
    local bucket, key = ARGV[i], ARGV[i + 1]
    local found = redis.call('HMGET', state, 'd' .. bucket, 'h' .. bucket)
    local allowed = not (seen and found[1] and tonumber(found[1]) > seen)
    local holders = allowed and found[2] and cmsgpack.unpack(found[2])[key]
    if holders then
        for _, ends in pairs(holders) do
            -- the end of a hold is a deletion, for those that were reading meanwhile
            if ends > now or (at and at <= ends) then
                allowed = false
            end
        end
    end
    if allowed then
        redis.call('SET', base .. key, ARGV[i + 2], 'PX', ARGV[5])
        stored = stored + 1
    end
end
return stored
""")

# The milliseconds to hold or 0, the holder, and bucket and key of each. Returns how many were there.
DELETE = _script("""
local hold, holder = tonumber(ARGV[4]), ARGV[5]
local dropped = 0
number = number + 1
for start = 6, #ARGV, 2 * chunk do
    local names, fields = {}, {'number', number}
    local last = math.min(start + 2 * chunk - 1, #ARGV)
    for i = start, last, 2 do
        names[#names + 1] = base .. ARGV[i + 1]
        fields[#fields + 1] = 'd' .. ARGV[i]
        fields[#fields + 1] = number
    end
    dropped = dropped + redis.call('UNLINK', unpack(names))
    redis.call('HSET', state, unpack(fields))
    for i = start, last, 2 do
        local field, key = 'h' .. ARGV[i], ARGV[i + 1]
        local packed = redis.call('HGET', state, field)
        if packed or hold > 0 then
            local held = packed and cmsgpack.unpack(packed) or {}
            local left = {}
            for name, holders in pairs(held) do
                for who, ends in pairs(holders) do
                    if ends > now and not (name == key and who == holder) then
                        left[name] = left[name] or {}
                        left[name][who] = ends
                    end
                end
            end
            if hold > 0 then
                left[key] = left[key] or {}
                left[key][holder] = now + hold
            end
            if next(left) then
                redis.call('HSET', state, field, cmsgpack.pack(left))
            else
                redis.call('HDEL', state, field)
            end
        end
    end
end
redis.call('PEXPIRE', state, keep)
return dropped
""")

# Nothing. Holds stay.
CLEAR = _script("""
redis.call('PEXPIRE', state, keep)
redis.call('HSET', state, 'epoch', fresh, 'number', number + 1)
return 1
""")

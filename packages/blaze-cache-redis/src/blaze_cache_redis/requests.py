"""What the cache asks Redis, and what it makes of the answers; without any input or output."""

from __future__ import annotations

import itertools
import logging
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Callable, NamedTuple, Optional, Union
from zlib import crc32

from redis.exceptions import InvalidResponse, OutOfMemoryError

from blaze.cache.backend import CacheStats, Hits, is_counted
from blaze_cache_redis import scripts
from blaze_cache_redis.scripts import BUCKETS, KEEP, Script
from blaze_cache_redis.values import decode, encode

__all__ = ["Request", "Requests", "run_of"]

# The layout of the state and of values. Versions of Blaze with another one do not see each other's values.
FORMAT = 1
# Seconds in which nothing is stored after Redis had no room for it.
FULL_PAUSE = 1.0

Argument = Union[str, bytes, int]


class Request(NamedTuple):
    """One script with its arguments, and what makes a result of its answer."""

    script: Script
    arguments: list[Argument]
    finish: Callable[[Any], Any]

    def command(self, run: bytes, known: bool = True) -> tuple[Argument, ...]:
        """Return the command for a server of that run: by the script's name, or with all of its text."""
        head = ("EVALSHA", self.script.sha) if known else ("EVAL", self.script.text)
        state, *arguments = self.arguments
        return (*head, 1, state, run, *arguments)


class Requests:
    """Make requests for the keys of one namespace, and count what becomes of them; safe between threads."""

    def __init__(self, namespace: str, ttl: Optional[float]) -> None:
        prefix = f"{{{namespace}}}:{FORMAT}:"  # in braces: one slot of a cluster
        self._state = f"{prefix}state"
        self._prefix = prefix
        self._ttl = ttl
        self._full_until = 0.0
        self._lock = threading.Lock()
        self._counts: dict[str, int] = dict.fromkeys(
            ("hits", "misses", "stored", "refused", "deleted", "errors"), 0
        )
        self.renew()

    def renew(self) -> None:
        """Begin anew in a forked process."""
        self._lock = threading.Lock()
        self._token = secrets.token_hex(8)
        self._calls = itertools.count()

    def get(self, keys: Iterable[str]) -> Request:
        """Look keys up."""
        wanted = list(keys)

        def finish(answer: Any) -> Hits:
            if (
                type(answer) is not list
                or [type(part) for part in answer] != [bytes, list]
                or len(answer[1]) != len(wanted)
            ):
                raise _rubbish(answer)
            found = Hits()
            found.mark, values = answer
            hits = misses = 0
            for key, data in zip(wanted, values):
                if data is not None:
                    try:
                        found[key] = decode(data)
                    except (TypeError, ValueError):
                        data = None  # not ours, or damaged: it is replaced by what the database says
                if is_counted(key):
                    hits += data is not None
                    misses += data is None
            self._count(hits=hits, misses=misses)
            return found

        return self._request(scripts.GET, [_key(key) for key in wanted], finish)

    def set(self, values: Mapping[str, Any], ttl: Optional[float], mark: Any) -> Optional[Request]:
        """Store values; None where there is nothing to ask for."""
        seconds = self._ttl if ttl is None else ttl
        life = KEEP if seconds is None else max(1, min(KEEP, int(seconds * 1000)))
        arguments: list[Argument] = [b"" if mark is None else mark, life]
        for key, value in values.items():
            name = _key(key)
            arguments += (_bucket(name), name, encode(key, value))
        if not values or time.monotonic() < self._full_until:
            return None

        def finish(answer: Any) -> int:
            stored = _whole_number(answer)
            self._count(stored=stored, refused=len(values) - stored)
            return stored

        return self._request(scripts.SET, arguments, finish)

    def delete(self, keys: Iterable[str], hold: float, holder: str) -> Optional[Request]:
        """Drop keys; None where there is nothing to ask for."""
        arguments: list[Argument] = [int(hold * 1000), _key(holder)]
        for key in keys:
            name = _key(key)
            arguments += (_bucket(name), name)
        if len(arguments) == 2:
            return None

        def finish(answer: Any) -> int:
            deleted = _whole_number(answer)
            self._count(deleted=deleted)
            return deleted

        return self._request(scripts.DELETE, arguments, finish)

    def clear(self) -> Request:
        """Drop everything."""

        def finish(answer: Any) -> None:
            _whole_number(answer)

        return self._request(scripts.CLEAR, [], finish)

    def failed(self) -> None:
        """Count a call that got no answer."""
        self._count(errors=1)

    def is_full(self, error: Exception) -> bool:
        """Tell whether Redis has no room: then nothing is stored for a moment, while the rest goes on."""
        if not isinstance(error, OutOfMemoryError) and "-OOM " not in str(error):  # so in scripts of Redis 6
            return False
        with self._lock:
            first = time.monotonic() > self._full_until + 60.0
            self._full_until = time.monotonic() + FULL_PAUSE
        if first:
            logging.getLogger("blaze.cache").error("Redis has no room to store rows: %s", error)
        return True

    def stats(self) -> CacheStats:
        """Return the counts of this process."""
        with self._lock:
            return CacheStats(**self._counts, evicted=0, expired=0, size=None, capacity=None)

    def _request(self, script: Script, arguments: list[Argument], finish: Callable[[Any], Any]) -> Request:
        fresh = f"{self._token}{next(self._calls):x}"  # never used before, should an epoch have to begin
        return Request(script, [self._state, fresh, self._prefix, *arguments], finish)

    def _count(self, **counts: int) -> None:
        with self._lock:
            for name, number in counts.items():
                self._counts[name] += number


def run_of(answer: Any) -> bytes:
    """Return what tells a run of a server from all others, from its answer to INFO."""
    if type(answer) is bytes:
        for line in answer.splitlines():
            if line.startswith(b"run_id:") and len(line) > 7:
                return line[7:]
    raise _rubbish(answer)


def _key(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _bucket(name: bytes) -> int:
    return crc32(name) % BUCKETS


def _whole_number(answer: Any) -> int:
    if type(answer) is not int or answer < 0:
        raise _rubbish(answer)
    return answer


def _rubbish(answer: Any) -> Exception:
    return InvalidResponse(f"this is no answer of Redis to what was asked: a {type(answer).__name__}")

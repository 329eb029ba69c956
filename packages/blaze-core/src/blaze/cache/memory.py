"""A cache in the memory of the process."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Optional

from blaze.cache.backend import CacheStats, Hits, is_counted
from blaze.cache.data import check_json, copy_json, is_flat, size_of
from blaze.errors import ConfigurationError
from blaze.utils import fork

__all__ = ["MemoryCache"]


class _Item(NamedTuple):
    value: Any
    copy: Callable[[Any], Any]
    expires: float
    bytes: int


class MemoryCache:
    """Keep up to `size` values for `ttl` seconds (None: without limit); the least recently used go first.

    `max_bytes` bounds the room of keys and values, as the length of their JSON, which costs the measuring of
    every value stored. `clock` gives seconds that never go back.

    Safe between threads, shared by all sessions that are given it, synchronous and asynchronous ones. Other
    processes do not see it and their changes do not invalidate it: use a `ttl` or another backend there. A
    forked process begins with an empty one. Raises `ConfigurationError` for limits that make no sense.
    """

    def __init__(
        self,
        size: int = 10_000,
        ttl: Optional[float] = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        max_bytes: Optional[int] = None,
    ) -> None:
        if size < 1:
            raise ConfigurationError(
                f"the size of a MemoryCache is a number of values from 1 on, not {size!r}"
            )
        if ttl is not None and not ttl > 0:
            raise ConfigurationError(f"ttl is a number of seconds above 0 or None, not {ttl!r}")
        if max_bytes is not None and max_bytes < 1:
            raise ConfigurationError(f"max_bytes is a number of bytes from 1 on or None, not {max_bytes!r}")
        self._size = size
        self._max_bytes = max_bytes
        self._bytes = 0
        self._ttl = ttl
        self._clock = clock
        self._lock = threading.Lock()
        self._items: OrderedDict[str, _Item] = OrderedDict()
        # Deletions are numbered, and a mark is the number of the last one. The latest of each key are
        # remembered; `_floor` is the number of the last forgotten one, and older marks are worth nothing.
        self._number = 0
        self._deletions: OrderedDict[str, int] = OrderedDict()
        self._floor = 0
        self._held: dict[str, dict[str, float]] = {}  # key to holders, and until when each holds
        self._first_end = float("inf")  # no hold ends by itself before
        self._counts = dict.fromkeys(
            ("hits", "misses", "stored", "refused", "deleted", "evicted", "expired"), 0
        )
        fork.watch(self)

    def get_many(self, keys: Iterable[str]) -> Hits:
        """Return copies of the values of those keys that the cache has."""
        found = Hits()
        counts = self._counts
        with self._lock:
            now = self._clock()
            if now >= self._first_end:
                self._end_holds(now)
            found.mark = self._number
            for key in keys:
                item = self._items.get(key)
                if item is not None and item.expires <= now:
                    self._drop(key)
                    counts["expired"] += 1
                    item = None
                if item is None:
                    counts["misses"] += is_counted(key)
                    continue
                counts["hits"] += is_counted(key)
                self._items.move_to_end(key)
                found[key] = item.copy(item.value)
        return found

    def set_many(self, values: Mapping[str, Any], ttl: Optional[float] = None, mark: Any = None) -> int:
        """Store copies of values; return how many were stored.

        Keys that were deleted after `mark`, or are held, are left out. Raises TypeError, with nothing stored,
        for a value that is not JSON-like.
        """
        measured = self._max_bytes is not None
        items = {key: (*_frozen(key, v), size_of(key, v) if measured else 0) for key, v in values.items()}
        seconds = self._ttl if ttl is None else ttl
        stored = 0
        with self._lock:
            now = self._clock()
            if now >= self._first_end:
                self._end_holds(now)
            expires = float("inf") if seconds is None else now + seconds
            for key, (value, copy, room) in items.items():
                if self._is_refused(key, mark):
                    self._counts["refused"] += 1
                    continue
                self._drop(key)
                self._items[key] = _Item(value, copy, expires, room)
                self._bytes += room
                stored += 1
            while len(self._items) > self._size or (measured and self._bytes > self._max_bytes):  # type: ignore[operator]
                self._bytes -= self._items.popitem(last=False)[1].bytes
                self._counts["evicted"] += 1
            self._counts["stored"] += stored
        return stored

    def delete_many(self, keys: Iterable[str], hold: float = 0.0, holder: str = "") -> int:
        """Drop keys; return how many were there.

        `hold` keeps them away for so many seconds, or until `holder` deletes them without it.
        """
        deleted = 0
        with self._lock:
            self._number += 1
            now = self._clock()
            for key in keys:
                deleted += self._drop(key)
                self._deletions[key] = self._number
                self._deletions.move_to_end(key)
                if hold > 0:
                    self._held.setdefault(key, {})[holder] = now + hold
                    self._first_end = min(self._first_end, now + hold)
                else:
                    self._release(key, holder)
            if len(self._held) > self._size:
                self._end_holds(now)
            while len(self._deletions) > self._size:
                _, self._floor = self._deletions.popitem(last=False)
            self._counts["deleted"] += deleted
        return deleted

    def clear(self) -> None:
        """Drop everything, for good: what was read before is refused afterwards. Held keys stay held."""
        with self._lock:
            self._number += 1
            self._floor = self._number
            self._deletions.clear()
            self._counts["deleted"] += len(self._items)
            self._items.clear()
            self._bytes = 0

    def stats(self) -> CacheStats:
        """Return the statistics since the cache was made."""
        with self._lock:
            room = None if self._max_bytes is None else self._bytes
            return CacheStats(
                **self._counts, errors=0, size=len(self._items), capacity=self._size, bytes=room
            )

    def close(self) -> None:
        """Drop everything."""
        self.clear()

    def __repr__(self) -> str:
        return f"<MemoryCache with {len(self._items)} of {self._size} values>"

    def before_fork(self) -> None:
        """Come to rest."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Begin empty: what the parent changes from now on is not known here."""
        self._lock = threading.Lock()
        self._held.clear()
        self.clear()

    def _drop(self, key: str) -> bool:
        item = self._items.pop(key, None)
        if item is None:
            return False
        self._bytes -= item.bytes
        return True

    def _release(self, key: str, holder: str) -> None:
        holders = self._held.get(key)
        if holders is not None and holders.pop(holder, None) is not None and not holders:
            del self._held[key]

    def _end_holds(self, now: float) -> None:
        """Take holds away that have run out: a deletion, for those that read while they were there."""
        ends = {key: max(holders.values()) for key, holders in self._held.items()}
        for key in [key for key, end in ends.items() if end <= now]:
            del self._held[key], ends[key]
            self._number += 1
            self._deletions[key] = self._number
            self._deletions.move_to_end(key)
        self._first_end = min(ends.values(), default=float("inf"))

    def _is_refused(self, key: str, mark: Any) -> bool:
        if key in self._held:
            return True
        return mark is not None and (mark < self._floor or self._deletions.get(key, 0) > mark)


def _frozen(key: str, value: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return a copy of a value for the cache, and the function that copies it for readers."""
    problem = check_json(value)
    if problem:
        raise TypeError(
            f"the cache takes JSON-like data only, but the value of {key!r} does not fit: {problem}"
        )
    if not is_flat(value):
        return copy_json(value), copy_json
    return (value.copy(), dict.copy) if type(value) is dict else (value, _same)


def _same(value: Any) -> Any:
    return value

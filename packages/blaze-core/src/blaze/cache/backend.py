"""What a cache must be able to do: the contract of `Session(cache_backend=...)`.

`blaze.testing.cache_suite` holds the same contract as tests, for every backend to pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Optional, Protocol, runtime_checkable

__all__ = ["AsyncCacheBackend", "CacheBackend", "CacheStats", "Hits", "is_counted"]


class Hits(dict[str, Any]):
    """What `get_many` found, by key; `mark` is the state of the cache at that moment.

    Hand the mark to `set_many`, and whatever was deleted in between is not stored: a row that was read before
    somebody else's commit cannot come into the cache after it. The mark is taken before the values are looked
    up, or together with them. It is compared by the backend alone, and may be of any kind.
    """

    __slots__ = ("mark",)

    mark: Any


class CacheStats(NamedTuple):
    """Counts since the cache was made, and its present size; keys for which `is_counted` is False are left
    out of the counts of hits and misses.
    """

    hits: int
    misses: int
    stored: int
    refused: int  # not stored, for what was deleted meanwhile
    deleted: int
    evicted: int  # dropped for lack of room
    expired: int
    errors: int  # operations that failed because the cache was out of reach
    size: Optional[int]  # None where the cache does not know it
    capacity: Optional[int]
    bytes: Optional[int] = None  # the room that the values take, where the cache knows it


def is_counted(key: str) -> bool:
    """Whether looking a key up is a hit or a miss for the statistics: those that begin with `#` are the
    bookkeeping of sessions.
    """
    return not key.startswith("#")


@runtime_checkable
class CacheBackend(Protocol):
    """A cache for JSON-like data under text keys; safe between threads.

    Values are copies on both sides. Each call is one round trip, however many keys it has, and ends within a
    bounded time. A call that fails raises any `Exception` and counts in `errors`: the session logs it and
    goes on with the database. When a deletion failed, sessions of that process call `clear()` until it
    succeeds and read nothing before. Other processes do not hear of it: where a part of them can lose sight
    of the cache, give it a `ttl`, which bounds how long they may show an old row.

    What makes it safe is memory of deletions and holds. A backend may forget neither while a mark older than
    them can still come: what it has to forget (size, time) makes all older marks worthless, and a hold counts
    as a deletion made now until it ends. A cache that restarts empty has to refuse the marks from before.

    A cache in another process may give two forms of itself, as attributes: `aio`, the asynchronous one, which
    `AsyncSession` uses when it is given the other one, and `blocking`, the synchronous one, which may be the
    cache itself. With `blocking`, sessions ask nothing after a failure: a thread asks until it answers, and
    clears it before they read from it again when a deletion was lost.
    """

    def get_many(self, keys: Iterable[str]) -> Hits:
        """Return the values of those keys that the cache has."""
        ...

    def set_many(self, values: Mapping[str, Any], ttl: Optional[float] = None, mark: Any = None) -> int:
        """Store values for `ttl` seconds (None: the backend's default); return how many were stored.

        With a `mark`, keys deleted after it are left out; so are keys that are held. Raises TypeError, with
        nothing stored, for a value that is not JSON-like.
        """
        ...

    def delete_many(self, keys: Iterable[str], hold: float = 0.0, holder: str = "") -> int:
        """Drop keys; return how many were there.

        `hold` keeps them from being stored for so many seconds, or until the same `holder` deletes them
        without `hold`. A writer deletes with `hold`, under a name of its own, before its commit, and without
        it after the commit or rollback: then nobody finds the old row once the new one is committed, whatever
        other writers do, and a writer that dies blocks nothing for long.
        """
        ...

    def clear(self) -> None:
        """Drop everything, for good: what was read before is refused afterwards. Held keys stay held."""
        ...

    def stats(self) -> CacheStats:
        """Return the statistics."""
        ...

    def close(self) -> None:
        """Let go of all resources; closing twice is no error."""
        ...


@runtime_checkable
class AsyncCacheBackend(Protocol):
    """The same contract for backends that are awaited; for `AsyncSession` alone."""

    async def get_many(self, keys: Iterable[str]) -> Hits:
        """Return the values of those keys that the cache has."""
        ...

    async def set_many(self, values: Mapping[str, Any], ttl: Optional[float] = None, mark: Any = None) -> int:
        """Store values; return how many were stored."""
        ...

    async def delete_many(self, keys: Iterable[str], hold: float = 0.0, holder: str = "") -> int:
        """Drop keys, and hold them for a time; return how many were there."""
        ...

    async def clear(self) -> None:
        """Drop everything."""
        ...

    async def stats(self) -> CacheStats:
        """Return the statistics."""
        ...

    async def close(self) -> None:
        """Let go of all resources."""
        ...

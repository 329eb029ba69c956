"""What a cache must be able to do: the contract of `Session(cache_backend=...)`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Optional, Protocol, runtime_checkable

__all__ = ["AsyncCacheBackend", "CacheBackend", "CacheStats", "Hits"]


class Hits(dict[str, Any]):
    """What `get_many` found, by key; `mark` is the state of the cache at that moment.

    Hand the mark to `set_many`, and whatever was deleted in between is not stored: a row that was read before
    somebody else's commit cannot come into the cache after it. A transaction that sees an old snapshot uses
    a mark from before its snapshot: that of a `get_many([])` when it began.
    """

    __slots__ = ("mark",)

    mark: Any


class CacheStats(NamedTuple):
    """Counts since the cache was made or cleared of them, and its present size."""

    hits: int
    misses: int
    stored: int
    refused: int  # not stored, for what was deleted meanwhile
    deleted: int
    evicted: int  # dropped for lack of room
    expired: int
    errors: int  # operations that failed because the cache was out of reach
    size: int
    capacity: Optional[int]


@runtime_checkable
class CacheBackend(Protocol):
    """A cache for JSON-like data under text keys; safe between threads.

    Values are copies on both sides. A backend out of reach raises nothing: it finds nothing, stores nothing,
    counts `errors`, and, when a deletion was lost, finds nothing until it has been cleared.
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
        """Drop everything, for good: what was read before is refused afterwards."""
        ...

    def stats(self) -> CacheStats:
        """Return the statistics."""
        ...

    def close(self) -> None:
        """Let go of all resources; closing twice is no error."""
        ...


@runtime_checkable
class AsyncCacheBackend(Protocol):
    """The same contract for backends that are awaited."""

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

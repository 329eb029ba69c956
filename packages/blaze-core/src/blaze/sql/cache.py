"""A bounded cache of compiled statements, by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable


class CacheStats(NamedTuple):
    """Entries, the most there may be, additions so far, and entries dropped for want of room."""

    size: int
    capacity: int
    added: int
    dropped: int


class StatementCache:
    """Keep what was compiled; when full, drop the older half.

    `get` is the dict's own method: a hit costs one lookup and no lock. Losing a race means compiling twice.
    """

    __slots__ = ("_added", "_dropped", "_entries", "capacity", "get")

    def __init__(self, capacity: int = 1024) -> None:
        if capacity < 1:
            raise ValueError(f"a statement cache holds at least one statement, not {capacity}")
        self.capacity = capacity
        self._entries: dict[Hashable, Any] = {}
        self._added = 0
        self._dropped = 0
        self.get = self._entries.get

    def add(self, key: Hashable, value: Any) -> Any:
        """Store a value and return it."""
        entries = self._entries
        if len(entries) >= self.capacity:
            for old in list(entries)[: max(1, self.capacity // 2)]:
                if entries.pop(old, None) is not None:
                    self._dropped += 1
        entries[key] = value
        self._added += 1
        return value

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def stats(self) -> CacheStats:
        """Return the counts."""
        return CacheStats(len(self._entries), self.capacity, self._added, self._dropped)

    def __len__(self) -> int:
        return len(self._entries)

"""Which rows of a result a query keeps: `limit`, `offset` and slices."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

from blaze.errors import QueryError


class Cut(NamedTuple):
    """The bounds of the slices so far, and the `limit` and `offset` after them, which stay within."""

    start: int = 0
    size: Optional[int] = None
    offset: Optional[int] = None
    limit: Optional[int] = None

    @property
    def skipped(self) -> Optional[int]:
        """How many rows of the whole result come before; None when nothing was said about that."""
        return self.start + (self.offset or 0) if self.start or self.offset is not None else None

    @property
    def most(self) -> Optional[int]:
        """How many rows remain at most."""
        if self.size is None:
            return self.limit
        left = max(self.size - (self.offset or 0), 0)
        return left if self.limit is None else min(self.limit, left)

    @property
    def name(self) -> Optional[str]:
        """What to call this in a message; None when all rows are kept."""
        if self.most is not None:
            return "limit"
        return None if self.skipped is None else "offset"

    def sliced(self, index: slice) -> Cut:
        """Return the bounds of a slice of these rows; it takes non-negative ones and no step."""
        start, stop = index.start or 0, index.stop
        if index.step is not None or start < 0 or (stop is not None and stop < 0):
            raise QueryError("a query takes slices with non-negative bounds and no step, as in query[10:20]")
        size, most = None if stop is None else max(stop - start, 0), self.most
        if most is not None:
            left = max(most - start, 0)
            size = left if size is None else min(size, left)
        return Cut((self.skipped or 0) + start, size)

    def key(self) -> str:
        """Return what tells the shape of the statement."""
        return ("" if self.most is None else "l") + ("" if self.skipped is None else "o")

    def binds(self) -> tuple[Any, ...]:
        """Return the values of the statement: the limit, then the offset."""
        return tuple([number for number in (self.most, self.skipped) if number is not None])


WHOLE = Cut()

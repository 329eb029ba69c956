"""What a statement leaves behind when nobody consumes its rows."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

__all__ = ["Outcome"]


class Outcome(NamedTuple):
    """The result of a statement: ``columns`` is ``()`` when it returns no rows.

    ``rowcount`` is -1 where the driver does not tell, ``lastrowid`` None where it has none.
    """

    rowcount: int
    lastrowid: Optional[int]
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

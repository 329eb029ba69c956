"""The result that loaded an object: its session and the siblings that lazy loading serves together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional


class LoadContext:
    """What all objects of one result share.

    `session` is whichever session loaded them, `members` the loaded objects. A lazy access on one member
    loads for every member whose context this still is. `lazy` is what the query said of it; without a word
    the session and the model decide.
    """

    __slots__ = ("lazy", "members", "session")

    def __init__(self, session: Any, members: Sequence[Any] = (), lazy: Optional[str] = None) -> None:
        self.session = session
        self.members = members
        self.lazy = lazy

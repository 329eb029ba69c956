"""Conditions by keyword: `Q(author__name__startswith="Ursula")`."""

from __future__ import annotations

from typing import Any

from blaze.errors import QueryError
from blaze.security.redaction import redactor


class Q:
    """A condition on a model, told by `field__relation__lookup=value` keywords; combine with `& | ~`.

    Keywords and positional conditions of one `Q` hold together. `~Q(...)` also matches rows where the
    compared value is NULL, as one would say it in words: "not the one with this value". An empty `Q()` says
    nothing, in `&`, `|` and `~` too, so that a loop may begin with it: `q |= Q(name=name)`.
    """

    __slots__ = ("children", "connector", "negated")

    def __init__(self, /, *conditions: Q, **lookups: Any) -> None:
        for condition in conditions:
            if not isinstance(condition, Q):
                raise QueryError(
                    f"Q() takes Q objects and lookups, not {condition!r}; use where() for expressions"
                )
        self.connector = "AND"
        self.negated = False
        self.children: tuple[Any, ...] = (*conditions, *lookups.items())

    def _combined(self, other: Q, connector: str) -> Q:
        if not isinstance(other, Q):
            raise QueryError(f"a Q is combined with {other!r}; combine Q objects with Q objects")
        made = Q()
        made.connector = connector
        made.children = (self, other)
        return made

    def __and__(self, other: Q) -> Q:
        return self._combined(other, "AND")

    def __or__(self, other: Q) -> Q:
        return self._combined(other, "OR")

    def __invert__(self) -> Q:
        made = Q()
        made.negated = True
        made.children = (self,)
        return made

    def __bool__(self) -> bool:
        raise QueryError("a Q has no truth value: combine Q objects with & | ~ instead of and/or/not")

    def __repr__(self) -> str:
        shown = [f"{c[0]}={redactor.shown(*c)}" if isinstance(c, tuple) else repr(c) for c in self.children]
        return f"{'~' if self.negated else ''}Q({f' {self.connector} '.join(shown)})"

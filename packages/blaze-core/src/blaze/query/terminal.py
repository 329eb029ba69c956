"""What an unbound terminal method gives: a query and what to do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from blaze.query.query import Query

# Not covariant: a list of plans with different results must not pass for one of plans for `object`.
R = TypeVar("R")
S = TypeVar("S", covariant=True)


class Plan(Generic[R]):
    """`Select(Book).all()` as a value: run it by `session.exec`, `parallel_exec` or `exec_scalar`."""

    __slots__ = ("arguments", "mode", "query")

    def __init__(self, query: Query[Any], mode: str, arguments: tuple[Any, ...] = ()) -> None:
        self.query = query
        self.mode = mode
        self.arguments = arguments

    def __repr__(self) -> str:
        return f"<plan {self.query!r}.{self.mode}()>"

    if TYPE_CHECKING:

        def __result__(self) -> R: ...


class Task(Protocol[S]):
    """What `parallel_exec` runs beside functions, by its result: a plan, or a statement for a list."""

    def __result__(self) -> S: ...

"""Steps: what a migration does, one thing after the other, each carried out and recorded as a whole."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Union

if TYPE_CHECKING:
    from blaze.dialects.changes import TableChange

__all__ = ["PythonStep", "RebuildStep", "Runner", "StatementStep", "Step"]

# What a function of `RunPython` gets: it makes a command of SQL with parameters, to be yielded.
Runner = Callable[..., Any]
Function = Callable[[Runner], Optional[Generator[Any, Any, None]]]


class StatementStep(NamedTuple):
    """One SQL statement.

    `guard` is a query that fails where the database would accept too much. `proof` is one that fails until
    the statement has been carried out, where no error says that it was.
    """

    sql: str
    guard: str = ""
    proof: str = ""

    @property
    def text(self) -> str:
        """Give the step as people read it."""
        return self.sql


class RebuildStep(NamedTuple):
    """A change of a table to which the database has no statement."""

    table: str
    change: TableChange

    @property
    def text(self) -> str:
        """Give the step as people read it."""
        return f"rebuild table {self.table!r} with {self.change!r}"


class PythonStep(NamedTuple):
    """A function that sends SQL of its own."""

    function: Function
    name: str

    @property
    def text(self) -> str:
        """Give the step as people read it."""
        return f"call {self.name}"


Step = Union[StatementStep, RebuildStep, PythonStep]

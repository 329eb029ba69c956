"""The base of all contenders.

A method named after a scenario takes the scenario's work, prepares what is not to be timed and returns
`run`: a function without arguments that is timed and returns what it read (or the objects it stored).
A contender without such a method does not take part in that scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.data import Library, Row
from benchmarks.databases import Database

Run = Callable[[], Any]
Change = tuple[int, int, str]  # id, new quantity, new name


def handed_over(rows: list[Row]) -> Iterator[Row]:
    """Yield copies of rows and keep none: an object's document belongs to that object alone."""
    for row in rows:
        yield {**row, "meta": {**row["meta"]}}


class Contender:
    """One library (or none) over one database, opened by the constructor with its tables created."""

    name = ""
    aware = True  # whether datetimes carry a time zone; the others are given naive UTC

    def __init__(self, database: Database) -> None:
        self.database = database
        self.kept: list[Any] = []

    def close(self) -> None:
        """Close every connection."""
        raise NotImplementedError

    def seed_items(self, rows: list[Row]) -> None:
        """Store items with ids counting from 1."""
        raise NotImplementedError

    def seed_library(self, library: Library) -> None:
        """Store the related tables with the ids given."""
        raise NotImplementedError

    def read_and_use(self) -> Run:
        """Read all items and every attribute of each: what is decoded late is decoded here."""
        read = self.read_all()

        def run() -> list[Any]:
            items: list[Any] = read()
            for item in items:
                item.id, item.rank, item.name, item.quantity, item.ratio  # noqa: B018
                item.active, item.created, item.price, item.note, item.meta  # noqa: B018
            return items

        return run

    def read_all(self) -> Run:
        """Read all items."""
        raise NotImplementedError

    def tags_of(self, book: Any) -> list[Any]:
        """Return the loaded tags of a book of `prefetch_m2m`, without a query."""
        return list(book.tags)

    def hold_items(self) -> tuple[Any, list[Any]]:
        """Load all items; return their open session (or something else to `close()`) and the objects."""
        raise NotImplementedError

    def item_class(self) -> Callable[..., Any]:
        """Return what builds an unsaved item from nine keywords (all columns but the id)."""
        raise NotImplementedError

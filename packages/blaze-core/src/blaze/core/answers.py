"""Answers that a blocking session gives at once and an asynchronous one after `await`."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any


class Count(int):
    """A number of objects; code of either kind may use it: `author.books.count()`, with `await` or without.

    An asynchronous session gives something to await in its place.
    """

    def __await__(self) -> Generator[Any, Any, int]:
        return int(self)
        yield


class Existence(int):
    """Whether there is an object, 1 or 0, and True or False when awaited."""

    def __await__(self) -> Generator[Any, Any, bool]:
        return bool(self)
        yield

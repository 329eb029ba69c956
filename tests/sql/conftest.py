from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Callable

import pytest

from tests.sql import library


@pytest.fixture
def fetch() -> Iterator[Callable[[Any], list[Any]]]:
    """Run a statement or a builder on a fresh database; rows of one column come as plain values."""
    with closing(library.connect()) as connection:

        def run(statement: Any) -> list[Any]:
            built = statement.build() if hasattr(statement, "build") else statement
            text, params = library.compiled(built)
            rows = connection.execute(text, params).fetchall()
            return [row[0] if len(row) == 1 else row for row in rows]

        yield run

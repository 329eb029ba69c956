"""KeyboardInterrupt in statements that write past the objects: no object is left behind its row."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from blaze import Delete, Engine, Session, Update
from blaze.errors import SessionError
from tests.persistence.models import Author, Book
from tests.persistence.test_interrupts import Interrupter, assert_whole, empty, memory

__all__ = ["memory"]

pytestmark = pytest.mark.requirement("R22", "R110")

CALLS: dict[str, Callable[[Session], Any]] = {
    "update": lambda s: s.query(Author).where(Author.id < 30).update(name="z"),
    "update of a few": lambda s: s.query(Author).where(Author.id < 3).update(name="z"),
    "update of keys": lambda s: s.query(Author).where(Author.id == 2).update(id=100),
    "statement": lambda s: s.exec(Update(Author).set(name="z").where(Author.id < 30)),
    "delete": lambda s: s.query(Author).where(Author.id < 30).delete(),
    "bulk_delete": lambda s: s.bulk_delete(Author, [1, 2]),
    "returning statement": lambda s: s.exec(Delete(Author).where(Author.id == 1).returning(Author.name)),
}


@pytest.mark.parametrize("authors", [2, 25], ids=["few", "many"])
@pytest.mark.parametrize("how", CALLS)
def test_an_interrupt_leaves_no_object_behind_its_row(memory: Engine, how: str, authors: int) -> None:
    number, hit = 0, object()
    lost: list[str] = []
    while hit is not None:
        empty(memory)
        with Session(memory) as s:
            held = [Author(id=n + 1, name="a") for n in range(authors)]
            books = [Book(id=n + 1, title=str(n), author=o) for n, o in enumerate(held)]
            s.add_all([*held, *books])
            s.commit()
            interrupter = Interrupter(number, True)
            number += 3
            with suppress(KeyboardInterrupt):
                interrupter.run(lambda: CALLS[how](s))
            hit = interrupter.hit if number > 3 else object()
            try:
                s.commit()
            except SessionError as error:
                lost.append(str(error))
                s.rollback()
            rows = dict(s.execute("SELECT id, name FROM author").all())
            keys = dict(s.execute("SELECT id, author_id FROM book").all())
            found = {o.id: o.name for o in held if o in s}
            assert found == rows, hit
            assert {b.id: b.author_id for b in books} == keys, hit
            for book in books:
                assert (book.author is None) == (book.author_id is None), hit
        assert_whole(memory)
    assert number > 100
    assert how == "bulk_delete" or len(lost) > 5, "what a bulk operation did is undone by its savepoint"
    assert all("KeyboardInterrupt" in text and "call rollback()" in text for text in lost)

"""Random conditions give what Python computes, however the query was put together."""

from __future__ import annotations

import random
from typing import Any, Callable

import pytest

from blaze.dialects.dialect import Dialect
from blaze.sql.compiler import Compiler
from blaze.sql.functions import exists
from tests.sql.library import BOOKS, author, author_books, book, book_author, compiled, connect, select
from tests.sql.test_matching import Numbered

Test = Callable[[int], bool]
AUTHOR_OF = {row[0]: row[8] for row in BOOKS}


def leaf(r: random.Random) -> tuple[Any, Test]:
    n, m = r.randint(0, 5), r.randint(0, 5)
    listed = [r.randint(0, 5) for _ in range(r.randint(0, 3))]
    inner = select(book).where(book.author_id == author.id, book.id > n).limit(m + 1).build()
    has = {a: any(b > n for b, owner in AUTHOR_OF.items() if owner == a) for a in (1, 2, 3)}
    return r.choice(
        [
            (author.id < n, lambda a: a < n),
            (author.id + n == m, lambda a: a + n == m),
            (author.id.between(n, m), lambda a: n <= a <= m),
            (author.id.in_(listed), lambda a: a in listed),
            (author_books.id > n, lambda a: has[a]),
            (exists(inner), lambda a: has[a]),
            (author.id.in_(select(book, book_author.id).where(book.id > n).build()), lambda a: has[a]),
        ]
    )


def tree(r: random.Random, depth: int) -> tuple[Any, Test]:
    if depth == 0 or r.random() < 0.2:
        return leaf(r)
    left, left_test = tree(r, depth - 1)
    if r.random() < 0.25:
        return ~left, lambda a: not left_test(a)
    right, right_test = tree(r, depth - 1)
    if r.random() < 0.5:
        return left | right, lambda a: left_test(a) or right_test(a)
    # A conjunction asks the to-many path about one row: keep the two apart, as Python does here.
    return ~(~left | ~right), lambda a: left_test(a) and right_test(a)


@pytest.mark.parametrize("seed", range(150))
def test_random_conditions(seed: int) -> None:
    r = random.Random(seed)
    query = select(author)
    tests: list[Test] = []
    for step in r.sample(["where", "where", "where", "limit", "order"], 5):
        if step == "limit":
            query.limit(3)
        elif step == "order":
            query.order_by(author.id * r.randint(1, 3))
        else:
            condition, test = tree(r, 3)
            query.where(condition)
            tests.append(test)
    statement = query.build()
    connection = connect()
    found = [row[0] for row in connection.execute(*compiled(statement))]
    connection.close()
    assert found == [a for a in (1, 2, 3) if all(test(a) for test in tests)]


@pytest.mark.parametrize("seed", range(20))
def test_numbered_and_unnumbered_placeholders_agree(seed: int) -> None:
    condition, _ = tree(random.Random(seed), 4)
    statement = select(author).where(condition).build()
    plain, plain_params = Compiler(Dialect()).compile(statement).render(statement.binds)
    text, params = Compiler(Numbered()).compile(statement).render(statement.binds)
    assert text.count("$") == len(params)
    assert plain.count("?") == len(plain_params)

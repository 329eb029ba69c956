"""Long lists of keys of what belongs to an object: SQLite asks for each key once, not for each object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Callable, Optional

import pytest

from blaze import (
    Engine,
    Field,
    ForeignKey,
    Model,
    OneToMany,
    Session,
    alias,
    create_all,
    field,
    foreign_key,
    one_to_many,
)
from blaze_sqlite import SQLiteAdapter

SIZE = 2_000


class Shelf(Model):
    id: Field[int] = field(primary_key=True)
    label: Field[str]
    items: OneToMany[Item] = one_to_many()

    class Meta:
        table = "key_lists_shelf"


class Item(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(unique=True)
    shelf: ForeignKey[Optional[Shelf]] = foreign_key(related_name="items")

    class Meta:
        table = "key_lists_item"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(f"sqlite:///{tmp_path_factory.mktemp('lists') / 'lists.db'}") as engine:
        create_all(engine, [Shelf, Item])
        with Session(engine, auto_commit=True) as session:
            session.bulk_insert([Shelf(id=number, label=f"s{number}") for number in range(1, SIZE + 1)])
            session.bulk_insert(  # every tenth is nowhere
                [Item(id=n, name=f"i{n}", shelf_id=None if n % 10 == 0 else n) for n in range(1, SIZE + 1)]
            )
        yield engine


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


def steps(engine: Engine, query: Any) -> int:
    """Run a query; return how many instructions the database took, in thousands."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return taken > 3_000

    sql, params = query.to_sql()
    with closing(SQLiteAdapter().connect(engine.config)) as connection:
        driver: Any = connection.raw
        driver.set_progress_handler(count, 1_000)
        connection.execute(sql, params, lambda cursor: cursor.fetchall())
    return taken


QUERIES: dict[str, Callable[[Any, Any], Any]] = {
    "keys": lambda q, keys: q.where(Shelf.items.id.in_(keys)),
    "keys and names": lambda q, keys: q.where(
        Shelf.items.id.in_(keys), Shelf.items.name.in_([f"i{key}" for key in keys])
    ),
    "keys of both": lambda q, keys: q.where(Shelf.id.in_(keys), Shelf.items.id.in_(keys)),
    "no keys": lambda q, keys: q.where(~Shelf.items.id.in_(keys)),
}


@pytest.mark.requirement("R43")
@pytest.mark.parametrize("name", QUERIES)
def test_lists_of_keys_take_linear_time(session: Session, engine: Engine, name: str) -> None:
    few, many = (
        steps(engine, QUERIES[name](session.query(Shelf.id), range(1, size + 1))) for size in (200, SIZE)
    )
    assert many < 20 * max(few, 20)


def test_what_lists_of_keys_find(session: Session) -> None:
    shelves = session.query(Shelf.id).where(Shelf.id <= 25).order_by(Shelf.id)
    keys = [3, 4, 10, 20, 21, 99_999]
    listed = Shelf.items.id.in_(keys)
    assert shelves.where(listed).scalars() == [3, 4, 21]
    others = [number for number in range(1, 26) if number not in (3, 4, 21)]
    assert shelves.where(~listed).scalars() == others
    assert shelves.where(listed, Shelf.items.name == "i4").scalars() == [4]
    assert shelves.where(listed | (Shelf.items.id == 7)).scalars() == [3, 4, 7, 21]
    assert shelves.where(listed, Shelf.items.name == Shelf.label).scalars() == []
    assert shelves.where(Shelf.items.id.in_([])).scalars() == []
    assert shelves.where(Shelf.items.shelf.items.id.in_(keys)).scalars() == [3, 4, 21]
    assert session.query(Item).where(Item.shelf.items.id.in_(keys)).count() == 3
    assert session.query(Item).where(~Item.shelf.items.id.in_(keys)).count() == SIZE - 3


def test_lists_of_keys_of_what_is_missing(session: Session) -> None:
    other = alias(Shelf, "other")
    joined = session.query(Item.id).where(Item.id <= 10).left_join(other, on=other.id == Item.shelf_id)
    assert joined.where(~other.items.id.in_([3, 4])).order_by(Item.id).scalars() == [1, 2, 5, 6, 7, 8, 9, 10]
    assert joined.where(other.items.id.in_([3, 4])).order_by(Item.id).scalars() == [3, 4]
